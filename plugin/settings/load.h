// From the command line, the environment and kube-proxy's files to the effective settings.
#pragma once

#include "hooks/values/result.h"
#include "plugin/model/settings.h"
#include "plugin/settings/environment.h"

namespace nmanager::settings {

/// Flags and environment only; pure. One error names every problem. An empty value counts as not
/// set. Variables that name no setting are warnings (environment.h).
[[nodiscard]] Result<Settings> parse_settings(int argc, const char* const* argv,
                                              const Environment& environment);

/// parse_settings() and what kube-proxy's files add (merge.h), read once.
[[nodiscard]] Result<Settings> load_settings(int argc, const char* const* argv,
                                             const Environment& environment);

}  // namespace nmanager::settings
