#include "test/bench/program.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "hooks/sys/fd.h"
#include "test/bench/endpoint.h"

namespace nmanager::bench {

std::string service_json(const std::string& name, const std::vector<ServiceAddress>& addresses,
                         const std::string& ports) {
  std::string clusters;
  std::string ingress;
  for (const auto& [cluster, external] : addresses) {
    const std::string comma = clusters.empty() ? "" : ",";
    clusters += comma + '"' + cluster + '"';
    ingress += comma + R"({"ip":")" + external + R"("})";
  }
  return R"({"metadata":{"namespace":"default","name":")" + name +
         R"("},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","clusterIP":")" +
         addresses.front().cluster + R"(","clusterIPs":[)" + clusters + R"(],"ports":[)" + ports +
         R"(]},"status":{"loadBalancer":{"ingress":[)" + ingress + R"(]}}})";
}

std::string service(int number, int version, Kind kind) {
  const std::string name = "service-" + std::to_string(number);
  const std::string high = std::to_string(number / 250);
  const std::string low = std::to_string(number % 250 + 1);
  const ServiceAddress ipv4{"10." + std::to_string(96 + version) + "." + high + "." + low,
                            "198.18." + high + "." + low};
  const ServiceAddress ipv6{"fd00:" + std::to_string(96 + version) + "::" + high + ":" + low,
                            "2001:db8::" + high + ":" + low};
  if (kind == Kind::kUdp6) {
    return service_json(name, {ipv6},
                        R"({"protocol":"UDP","port":53},{"protocol":"UDP","port":443})");
  }
  const char* const tcp = R"({"protocol":"TCP","port":80},{"protocol":"TCP","port":443})";
  if (kind == Kind::kTcpBoth) return service_json(name, {ipv4, ipv6}, tcp);
  return service_json(name, {ipv4}, tcp);
}

std::string ask_endpoint(const std::string& path) {
  const sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval longest{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
  const sockaddr_in where = endpoint("127.0.0.1", 10261);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) return "";
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: nmanager\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
  std::string answer;
  std::array<char, 16384> buffer{};
  for (ssize_t size = 0; (size = ::recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0;) {
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return answer;
}

double metric(const std::string& name) {
  std::istringstream lines(ask_endpoint("/metrics"));
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    const bool is_it = line.starts_with(name + " ") || line.starts_with(name + "{");
    if (is_it) sum += std::strtod(line.c_str() + line.rfind(' '), nullptr);
  }
  return sum;
}

Program::Program(const test::ApiServer& server, const std::string& backend, const std::string& mode)
    : kubeconfig_(std::filesystem::temp_directory_path() /
                  ("nmanager-bench-" + std::to_string(::getpid()))),
      config_(kubeconfig_ + ".conf") {
  configure(mode);
  std::ofstream(kubeconfig_) << "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n"
                             << "clusters: [{name: c, cluster: {server: '" << server.url()
                             << "'}}]\n";
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::execl(NMANAGER_BINARY, "nmanager", "run", "--backend", backend.c_str(), "--kube-proxy-config",
          config_.c_str(), "--kubeconfig", kubeconfig_.c_str(), "--log-level", "error", nullptr);
  ::_exit(127);
}

Program::~Program() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  std::filesystem::remove(kubeconfig_);
  std::filesystem::remove(config_);
}

void Program::configure(const std::string& mode, const std::string& pods) const {
  std::ofstream(config_ + ".next")
      << "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
      << "kind: KubeProxyConfiguration\nmode: " << mode << "\nclusterCIDR: " << pods << "\n";
  std::filesystem::rename(config_ + ".next", config_);
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
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace nmanager::bench
