// The program under a stream of changes, and its memory, with many Services.
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "test/bench/benches.h"
#include "test/bench/endpoint.h"
#include "test/bench/figure.h"
#include "test/bench/program.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::bench {

namespace {

using namespace std::chrono_literals;

constexpr int kServices = 10'000;
constexpr auto kPause = 5ms;  // 200 changes a second
constexpr auto kLasting = 60s;
constexpr int kProbeEach = 50;  // changes
constexpr std::uint16_t kServicePort = 80;

/// Connections within the namespace reach 10.200.0.1; an external address of a probe is local to it
/// as well, and refuses until it is translated.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    test::must("ip addr add 10.200.0.1/32 dev lo && ip route add local 198.51.100.0/24 dev lo");
    const sockaddr_in where = endpoint("10.200.0.1", kServicePort);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
        ::listen(fd_, 4096) != 0) {
      throw std::runtime_error("cannot listen on 10.200.0.1");
    }
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { ::close(fd_); }

  [[nodiscard]] static bool reached_by(const std::string& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in where = endpoint(address, kServicePort);
    const int refused = ::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where);
    ::close(fd);
    return refused == 0;
  }

 private:
  int fd_;
};

std::string address_of(int probe) {
  return "198.51.100." + std::to_string(probe);
}

/// Milliseconds from each probe's event at the server to its first connection. One after another:
/// a probe begins when the one before it has ended.
class Prober {
 public:
  explicit Prober(test::ApiServer& server) : server_(server) {}

  void start() {
    if (thread_.joinable()) thread_.join();
    thread_ = std::thread([this, number = ++number_] {
      const std::string address = address_of(number);
      server_.services().put(service_json("probe-" + std::to_string(number),
                                          {{"10.200.0.1", address}},
                                          R"({"protocol":"TCP","port":80})"));
      const auto begin = Clock::now();
      while (!Listener::reached_by(address) && Clock::now() < begin + 30s) {
        std::this_thread::sleep_for(200us);
      }
      lags_.push_back(Micros(Clock::now() - begin).count() / 1000);
    });
  }
  std::vector<double> end() {
    if (thread_.joinable()) thread_.join();
    return lags_;
  }

 private:
  test::ApiServer& server_;
  int number_ = 0;
  std::vector<double> lags_;
  std::thread thread_;
};

}  // namespace

void bench_stream(const std::string& backend) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  test::must("ip link set lo up");
  const Listener listener;
  test::ApiServer server;
  for (int i = 0; i < kServices; ++i) server.services().put(service(i));
  const Program program(server, backend, "ipvs");
  if (!wait_for_services(kServices)) throw std::runtime_error("the Services have no rules");
  Prober prober(server);
  const double cpu = metric("process_cpu_seconds_total");
  const auto begin = Clock::now();
  auto next = begin;
  for (int change = 0; Clock::now() < begin + kLasting; ++change) {
    server.services().put(service(change * 7 % kServices, 1 + change / kServices % 2));
    if (change % kProbeEach == 0 && change / kProbeEach < 250) prober.start();
    std::this_thread::sleep_until(next += kPause);
  }
  const double seconds = Micros(Clock::now() - begin).count() / 1'000'000;
  const double used = metric("process_cpu_seconds_total") - cpu;
  const std::vector<double> lags = prober.end();
  const std::string name = "stream " + backend;
  print_bound(name + ", lag p50", median(lags), 100, "ms");
  print_bound(name + ", lag p99", quantile(lags, 0.99), 100, "ms");
  print_bound(name + ", of a core", used / seconds * 100, 10, "%");
}

void bench_memory(const std::string& backend, int services, double peak, double rest) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  test::must("ip link set lo up");
  test::ApiServer server;
  for (int i = 0; i < services; ++i) server.services().put(service(i));
  const auto begin = Clock::now();
  std::optional<Program> program(std::in_place, server, backend, "ipvs");
  if (!wait_for_services(services)) throw std::runtime_error("the Services have no rules");
  const double start = Micros(Clock::now() - begin).count();
  const std::string name = "memory " + backend + " " + std::to_string(services);
  print_bound(name + ", peak", program->mebibytes("VmHWM"), peak, "MiB");
  std::this_thread::sleep_for(20s);  // until memory is returned to the system
  print_bound(name + ", at rest", program->mebibytes("VmRSS"), rest, "MiB");
  program.reset();
  const bool native = backend == "nftables";
  const std::string rules = test::must(native ? "nft list ruleset" : "iptables-nft-save");
  test::must("nft flush ruleset");
  const std::string restore = native ? "nft -f" : "iptables-nft-restore";
  const double one = micros([&] { test::must(restore + (native ? " -" : ""), rules); });
  print_ratio("start " + backend + " " + std::to_string(services), start, restore, one, 1.2);
}

}  // namespace nmanager::bench
