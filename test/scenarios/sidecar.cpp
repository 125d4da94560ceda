#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "test/scenarios/node.h"

namespace nmanager::test {

namespace {

pid_t spawn(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
            const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> variables;
  for (char** own = environ; *own != nullptr; ++own) variables.push_back(*own);
  for (const std::string& one : environment) variables.push_back(const_cast<char*>(one.c_str()));
  variables.push_back(nullptr);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execve(argv.front(), argv.data(), variables.data());
    _exit(127);
  }
  return pid;
}

}  // namespace

Sidecar::Sidecar(const Node& node, const std::vector<std::string>& flags, int port,
                 const std::vector<std::string>& environment)
    : port_(port), log_(node.folder() + "/log-" + std::to_string(port)) {
  std::vector<std::string> arguments{NMANAGER_BINARY, "run", "--listen",
                                     "127.0.0.1:" + std::to_string(port)};
  const std::vector<std::string> base = base_flags(node);
  for (std::size_t i = 0; i < base.size(); i += 2) {
    if (std::ranges::find(flags, base[i]) != flags.end()) continue;  // overridden
    arguments.insert(arguments.end(), {base[i], base[i + 1]});
  }
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  pid_ = spawn(arguments, environment, log_);
}

Sidecar::~Sidecar() {
  if (pid_ > 0) terminate();
}

void Sidecar::kill_at_once() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int Sidecar::terminate() {
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool Sidecar::alive() const {
  return pid_ > 0 && kill(pid_, 0) == 0;
}

std::string Sidecar::log() const {
  std::ifstream in(log_);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string Sidecar::get(const std::string& path) const {
  return run("curl -s -m 5 http://127.0.0.1:" + std::to_string(port_) + path).output;
}

std::optional<double> Sidecar::metric(const std::string& name, const std::string& label) const {
  std::istringstream lines(get("/metrics"));
  std::optional<double> sum;
  for (std::string line; std::getline(lines, line);) {
    const bool named = line.starts_with(name + "{") || line.starts_with(name + " ");
    if (!named || line.find(label) == std::string::npos) continue;
    sum = sum.value_or(0) + std::stod(line.substr(line.rfind(' ')));
  }
  return sum;
}

bool Sidecar::settled() const {
  const auto wanted = metric("nmanager_table_wanted");
  return wanted && *wanted > 0 && metric("nmanager_table_in_sync") == 4 &&
         get("/readyz?verbose").find("[+]services") != std::string::npos;
}

bool Sidecar::ready() const {
  return run("curl -sf -m 5 http://127.0.0.1:" + std::to_string(port_) + "/readyz").exit_code == 0;
}

}  // namespace nmanager::test
