// Environment variables that look like settings but are unknown. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/model/warning.h"

namespace nmanager::settings {

using Environment = std::map<std::string, std::string>;

/// Of the C library's `environ`: an array of NAME=VALUE that ends with a null pointer.
[[nodiscard]] Environment environment_from(const char* const* environ_array);

/// Names that begin with NMANAGER_ and are not settings, and any names that are similar to one.
/// Warnings, not errors: a variable of a newer version must not stop a roll-back. Variables that
/// the kubelet sets for a Service called nmanager* are skipped.
[[nodiscard]] std::vector<Warning> unknown_variables(const Environment& environment);

/// The number of insertions, deletions, replacements and swaps of neighbouring characters that turn
/// one into the other (optimal string alignment).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace nmanager::settings
