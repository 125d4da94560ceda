// From the command line, the environment and kube-proxy's files to the effective settings.
#pragma once

#include <map>
#include <string>

#include "hooks/values/result.h"
#include "plugin/model/settings.h"

namespace nmanager::settings {

using Environment = std::map<std::string, std::string>;

/// Of `environ` as the C library has it: an array of NAME=VALUE that ends with a null.
[[nodiscard]] Environment environment_from(const char* const* environ_array);

/// Flags and environment only; pure. One error names every problem. An empty value counts as not
/// set. Variables that begin with NMANAGER_ and name no setting are a problem, except those that
/// Kubernetes itself puts there for a Service called nmanager*.
[[nodiscard]] Result<Settings> parse_settings(int argc, const char* const* argv,
                                              const Environment& environment);

/// parse_settings() and what kube-proxy's files add (merge.h), read once.
[[nodiscard]] Result<Settings> load_settings(int argc, const char* const* argv,
                                             const Environment& environment);

/// What --help prints: commands, and every flag with its name in the environment and its default.
[[nodiscard]] std::string help_text();

}  // namespace nmanager::settings
