// Variables of the environment that look like settings and are none. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/model/warning.h"

namespace nmanager::settings {

using Environment = std::map<std::string, std::string>;

/// Of `environ` as the C library has it: an array of NAME=VALUE that ends with a null.
[[nodiscard]] Environment environment_from(const char* const* environ_array);

/// Names that begin with NMANAGER_ and name no setting, and names that are nearly one, whatever
/// they begin with. Warnings and no errors: a variable of a newer version must not stop a
/// roll-back. What the kubelet makes for a Service called nmanager* is left out.
[[nodiscard]] std::vector<Warning> unknown_variables(const Environment& environment);

/// The number of characters to insert, delete, replace or swap with their neighbour that turns one
/// into the other (optimal string alignment).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace nmanager::settings
