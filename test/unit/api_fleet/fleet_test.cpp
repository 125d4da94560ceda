// Prints figures, and checks those that have a bound.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <map>
#include <thread>

#include "test/api_server/api_server.h"
#include "test/support/sanitized.h"
#include "test/unit/api/follower.h"

namespace nmanager::test {
using namespace nmanager::api;
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::size_t status_kib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoul(line.substr(field.size() + 1));
  }
  return 0;
}

/// A server in its own process, so that its memory is not counted. Created before any thread
/// starts.
class Apart {
 public:
  explicit Apart(const ApiServerOptions& options, int services) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) serve(options, services, ends[1]);
    ::close(ends[1]);
    REQUIRE(::read(ends[0], &port_, sizeof port_) == sizeof port_);
    ::close(ends[0]);
  }
  Apart(const Apart&) = delete;
  Apart& operator=(const Apart&) = delete;
  ~Apart() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  [[noreturn]] static void serve(const ApiServerOptions& options, int services, int to) {
    ApiServer server(options);
    for (int i = 0; i < services; ++i) {
      server.services().put(service_json("s" + std::to_string(i), "192.0.2.1",
                                         R"({"filler":")" + std::string(900, 'x') + R"("})"));
    }
    const std::uint16_t port = server.port();
    if (::write(to, &port, sizeof port) != sizeof port) ::_exit(1);
    while (true) ::pause();
  }

  pid_t child_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace

TEST_CASE("10,000 Services: the memory of a list in addition to the Services themselves") {
  constexpr int kServices = 10'000;
  const Apart streaming({}, kServices);
  const Apart cached({.streaming = Streaming::kUnprocessable}, kServices);
  start_library_once();
  for (const auto* server : {&streaming, &cached}) {
    ApiAccess access;
    access.server = server->url();
    Follower follower;
    std::ofstream("/proc/self/clear_refs") << "5";
    const std::size_t before = status_kib("VmRSS");
    const auto start = Clock::now();
    const auto client = client_of(access);
    client->start(follower.sink());
    REQUIRE_MESSAGE(follower.wait_for([](const auto& known) {
      return known.lists == 1 && known.api.phase == ApiState::Phase::kWatching;
    }),
                    follower.known().api.last_error);
    const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
    const std::size_t peak = status_kib("VmHWM");
    const std::size_t rest = status_kib("VmRSS");
    std::cout << (server == &streaming ? "streaming list" : "list of the cache") << ": "
              << took.count() << " ms, before " << before << ", peak " << peak << ", at rest "
              << rest << " KiB\n";
    CHECK(follower.known().services.size() == kServices);
    if (server == &streaming && !kSanitized) CHECK(peak <= rest + 4 * 1024);
  }
}

TEST_CASE("nodes that lost their server for a minute return at different times") {
  start_library_once();
  // A sanitizer's build is too slow for more, and is not about load.
  constexpr std::size_t kNodes = kSanitized ? 50 : 500;
  constexpr double kPace = 0.25;  // a minute is 15 s, a second 250 ms
  constexpr auto kSecond = milliseconds(250);
  auto server = std::make_unique<ApiServer>();
  server->services().put(service_json("a", "192.0.2.1"));
  const std::uint16_t port = server->port();
  ApiAccess access;
  access.server = server->url();
  ApiClientOptions options;
  options.pace = kPace;
  std::vector<Follower> nodes(kNodes);
  std::vector<std::unique_ptr<ServiceSource>> clients;
  for (Follower& node : nodes) {
    clients.push_back(client_of(access, options));
    clients.back()->start(node.sink());
  }
  for (Follower& node : nodes) {
    REQUIRE(node.wait_for([](const auto& known) { return known.services.size() == 1; }));
  }
  std::size_t services = 0;
  for (const auto& seen : server->requests()) services += seen.is_services() ? 1 : 0;
  CHECK(services == kNodes);  // one list each, which is the watch
  server.reset();
  std::this_thread::sleep_for(60 * kSecond);
  server = std::make_unique<ApiServer>(ApiServerOptions{.port = port});
  server->services().put(service_json("a", "192.0.2.1"));
  server->services().put(service_json("b", "192.0.2.2"));
  const auto back = Clock::now();
  for (Follower& node : nodes) {
    CHECK(node.wait_for([](const auto& known) { return known.services.size() == 2; }));
  }
  std::map<std::int64_t, std::size_t> by_second;
  for (const auto& seen : server->requests()) ++by_second[(seen.at - back) / kSecond];
  std::cout << "requests by second after the server returned:";
  for (const auto& [second, requests] : by_second) {
    std::cout << ' ' << second << ':' << requests;
    // On a busy machine clients wait for the processor and arrive in bursts. schedule_test checks
    // the same for 5,000 clients without a clock.
    if (!kSanitized) CHECK(requests <= kNodes / 10);
  }
  std::cout << '\n';
  CHECK(server->requests().size() <= kNodes * 2);
}

}  // namespace nmanager::test
