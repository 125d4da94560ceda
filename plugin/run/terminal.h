// Properties of the command's terminal.
#pragma once

namespace nmanager::run {

/// Standard output is a terminal with colours, and NO_COLOR is not set (https://no-color.org).
[[nodiscard]] bool wants_colour();

/// Standard input or output is a terminal. In a container without a tty neither is.
[[nodiscard]] bool at_a_terminal();

}  // namespace nmanager::run
