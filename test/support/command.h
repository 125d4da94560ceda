// Programs that an administrator or kube-proxy would run, in the calling thread's namespace.
#pragma once

#include <string>

namespace nmanager::test {

struct CommandResult {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};

/// Runs `command` by the shell; `input` is its stdin.
CommandResult run(const std::string& command, const std::string& input = {});

/// As run(), but the test fails with the output unless the exit code is 0.
std::string must(const std::string& command, const std::string& input = {});

}  // namespace nmanager::test
