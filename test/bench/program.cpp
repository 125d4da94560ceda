#include "test/bench/program.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "test/support/command.h"

namespace nmanager::bench {

std::string service_json(const std::string& name, const std::string& cluster,
                         const std::string& external, const std::string& ports) {
  return R"({"metadata":{"namespace":"default","name":")" + name +
         R"("},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","clusterIP":")" +
         cluster + R"(","clusterIPs":[")" + cluster + R"("],"ports":[)" + ports +
         R"(]},"status":{"loadBalancer":{"ingress":[{"ip":")" + external + R"("}]}}})";
}

std::string service(int number, int version) {
  const std::string tail = std::to_string(number / 250) + "." + std::to_string(number % 250 + 1);
  return service_json("service-" + std::to_string(number),
                      "10." + std::to_string(96 + version) + "." + tail, "198.18." + tail,
                      R"({"protocol":"TCP","port":80},{"protocol":"TCP","port":443})");
}

double metric(const std::string& name) {
  const auto text = test::run("curl -s -m 5 http://127.0.0.1:10261/metrics | grep '^" + name +
                              "[ {]' | awk '{s += $NF} END {print s + 0}'");
  return std::strtod(text.output.c_str(), nullptr);
}

Program::Program(const test::ApiServer& server, const std::string& backend, const std::string& mode)
    : file_(std::filesystem::temp_directory_path() /
            ("nmanager-bench-" + std::to_string(::getpid()))) {
  std::ofstream(file_) << "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n"
                       << "clusters: [{name: c, cluster: {server: '" << server.url() << "'}}]\n";
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::execl(NMANAGER_BINARY, "nmanager", "run", "--backend", backend.c_str(), "--proxy-mode",
          mode.c_str(), "--pod-cidr-ipv4", "10.244.0.0/16", "--kubeconfig", file_.c_str(),
          "--log-level", "error", nullptr);
  ::_exit(127);
}

Program::~Program() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  std::filesystem::remove(file_);
}

double Program::mebibytes(const std::string& field) const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) {
      return std::strtod(line.c_str() + field.size() + 1, nullptr) / 1024;
    }
  }
  return 0;
}

bool wait_for_services(int services) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  while (metric("nmanager_services_with_rules") < services ||
         metric("nmanager_table_in_sync") < 4) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return true;
}

}  // namespace nmanager::bench
