// What the command's output goes to.
#pragma once

namespace nmanager::run {

/// Standard output is a terminal that shows colours, and nobody minds (https://no-color.org).
[[nodiscard]] bool wants_colour();

/// A person sits at a terminal: standard input or output is one. In a container without a tty
/// neither is.
[[nodiscard]] bool at_a_terminal();

}  // namespace nmanager::run
