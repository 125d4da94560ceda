// From the command line, the environment and kube-proxy's files to the effective settings.
#pragma once

#include "hooks/values/result.h"
#include "plugin/model/settings.h"
#include "plugin/settings/environment.h"

namespace nmanager::settings {

/// Flags and environment only; pure. One error names every problem. An empty value is treated as
/// not set. Unknown variables are warnings (environment.h).
[[nodiscard]] Result<Settings> parse_settings(int argc, const char* const* argv,
                                              const Environment& environment);

/// parse_settings() merged with kube-proxy's files (merge.h), read once.
[[nodiscard]] Result<Settings> load_settings(int argc, const char* const* argv,
                                             const Environment& environment);

}  // namespace nmanager::settings
