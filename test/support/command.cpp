#include "test/support/command.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace nmanager::test {

CommandResult run(const std::string& command, const std::string& input) {
  std::string source = "/dev/null";
  if (!input.empty()) {
    source = (std::filesystem::temp_directory_path() / "nmanager-input-XXXXXX").string();
    const int fd = mkstemp(source.data());
    REQUIRE(fd >= 0);
    close(fd);
    std::ofstream(source, std::ios::binary) << input;
  }
  FILE* pipe = popen(("( " + command + " ) <" + source + " 2>&1").c_str(), "re");
  REQUIRE(pipe != nullptr);
  CommandResult result;
  std::array<char, 4096> buffer;
  for (std::size_t size; (size = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    result.output.append(buffer.data(), size);
  }
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (!input.empty()) std::filesystem::remove(source);
  return result;
}

std::string must(const std::string& command, const std::string& input) {
  CommandResult result = run(command, input);
  INFO(command << ": " << result.output);
  REQUIRE(result.exit_code == 0);
  return result.output;
}

}  // namespace nmanager::test
