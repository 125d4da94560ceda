// Runs programs of an administrator or of kube-proxy, in the calling thread's namespace.
#pragma once

#include <string>

namespace nmanager::test {

struct CommandResult {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};

/// Runs `command` in a shell; `input` is its stdin.
CommandResult run(const std::string& command, const std::string& input = {});

/// Like run(), but returns the output, and the test fails with it unless the exit code is 0.
std::string must(const std::string& command, const std::string& input = {});

}  // namespace nmanager::test
