#include "plugin/run/terminal.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace nmanager::run {

bool wants_colour() {
  const char* const no_color = std::getenv("NO_COLOR");  // the environment is never changed
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* const terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return ::isatty(STDOUT_FILENO) == 1;
}

bool at_a_terminal() {
  return ::isatty(STDIN_FILENO) == 1 || ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace nmanager::run
