// The memory that the whole program takes, and releases, while its API server sends unbounded
// answers or objects larger than any cluster should have.
#include <doctest/doctest.h>

#include <fstream>
#include <iostream>
#include <optional>

#include "test/api_server/endless.h"
#include "test/scenarios/api_access/server_node.h"
#include "test/support/sanitized.h"
#include "test/support/skip.h"

namespace nmanager::test {
namespace {

constexpr std::size_t kMost = std::size_t{64} << 10;  // KiB more than at rest
constexpr std::size_t kNear = std::size_t{4} << 10;

/// A sidecar that has listed three Services, and its memory.
class Watched {
 public:
  explicit Watched(const Node& node, ApiServer& server, const PemPair& authority)
      : server_(server),
        sidecar_(node, {"--kubeconfig", write_kubeconfig(node, server.url(), authority)}) {
    for (int i = 0; i < 3; ++i) server.services().put(service(i, ""));
    // The count of lists is updated with the next state of the connection, after the Services.
    REQUIRE_MESSAGE(eventually([&] { return knows(sidecar_, 3) && lists() > 0; }), sidecar_.log());
    lists_ = lists();
    rest_ = field("VmRSS");
  }

  static std::string service(int number, const std::string& filler) {
    const std::string n = std::to_string(number);
    return R"({"metadata":{"namespace":"default","name":"s)" + n + R"(","annotations":{"a":")" +
           filler + R"("}},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local",)" +
           R"("clusterIP":"10.96.0.)" + n + R"(","ports":[{"port":80}]},)" +
           R"("status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.)" + n + R"("}]}}})";
  }

  /// The next list begins, and ends in `fault` first; the peak is counted from now on.
  void list_again(const std::optional<Fault>& fault = {}) {
    REQUIRE(eventually([&] { return server_.watches() == 1; }));
    std::ofstream("/proc/" + std::to_string(sidecar_.pid()) + "/clear_refs") << "5";
    if (fault) server_.fail_next(*fault);
    server_.fail_next({.kind = Fault::Kind::kStatus, .on = Fault::On::kWatch, .status = 410});
    server_.drop_connections(true);
  }
  bool listed_again() {
    const bool again = eventually([&] { return lists() > lists_; }, std::chrono::minutes(2));
    lists_ = lists();
    return again;
  }

  void check_memory(const char* name) {
    CHECK(field("VmHWM") <= rest_ + kMost);
    CHECK(eventually([&] { return field("VmRSS") <= rest_ + kNear; }));
    std::cout << name << ": at rest " << rest_ << ", peak " << field("VmHWM") << ", afterwards "
              << field("VmRSS") << " KiB\n";
  }

  [[nodiscard]] double errors() const {
    return sidecar_.metric("nmanager_api_errors_total").value_or(0);
  }
  [[nodiscard]] const Sidecar& sidecar() const { return sidecar_; }

 private:
  [[nodiscard]] double lists() const {
    return sidecar_.metric("nmanager_api_lists_total").value_or(0);
  }
  [[nodiscard]] std::size_t field(const std::string& name) const {
    std::ifstream status("/proc/" + std::to_string(sidecar_.pid()) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name + ":")) return std::stoul(line.substr(name.size() + 1));
    }
    return 0;
  }

  ApiServer& server_;
  Sidecar sidecar_;
  double lists_ = 0;
  std::size_t rest_ = 0;
};

}  // namespace

TEST_CASE("unbounded answers: memory is bounded, and released afterwards (A17)") {
  if (kSanitized) return skip("memory is not measured with a sanitizer");
  for (const Streaming streaming : {Streaming::kYes, Streaming::kUnprocessable}) {
    Node node;
    if (!node.usable()) return;
    const PemPair authority = make_authority("authority");
    ApiServerOptions options = tls_server("127.0.0.1", authority, {"127.0.0.1"});
    options.streaming = streaming;
    ApiServer server(options);
    Watched watched(node, server, authority);
    for (const EndlessAnswer& answer : endless_answers()) {
      const bool plain = answer.fault.on == Fault::On::kPlain;
      if (plain != (streaming == Streaming::kUnprocessable)) continue;
      CAPTURE(std::string(answer.name));
      const auto errors = watched.errors();
      watched.list_again(answer.fault);
      REQUIRE_MESSAGE(watched.listed_again(), watched.sidecar().log());
      CHECK_MESSAGE(watched.errors() >= errors + 2, watched.sidecar().log());  // watch, and list
      watched.check_memory(answer.name);
    }
  }
}

TEST_CASE("Services of 1 MiB each: memory is bounded, and released afterwards (A17)") {
  if (kSanitized) return skip("memory is not measured with a sanitizer");
  struct Case {
    const char* name;
    Streaming streaming;
    bool watch_cache;
  };
  for (const Case& c : {Case{"streamed", Streaming::kYes, true},
                        {"whole, out of the watch cache", Streaming::kUnprocessable, true},
                        {"in pages", Streaming::kUnprocessable, false}}) {
    CAPTURE(std::string(c.name));
    Node node;
    if (!node.usable()) return;
    const PemPair authority = make_authority("authority");
    ApiServerOptions options = tls_server("127.0.0.1", authority, {"127.0.0.1"});
    options.streaming = c.streaming;
    options.watch_cache = c.watch_cache;
    ApiServer server(options);
    Watched watched(node, server, authority);
    constexpr int kServices = 100;  // more than the bound, were they kept
    const std::string filler(std::size_t{1} << 20, 'x');
    watched.list_again();
    for (int i = 0; i < kServices; ++i) server.services().put(Watched::service(i, filler));
    CHECK_MESSAGE(
        eventually([&] { return knows(watched.sidecar(), kServices); }, std::chrono::minutes(2)),
        watched.sidecar().log());
    watched.list_again();
    REQUIRE_MESSAGE(watched.listed_again(), watched.sidecar().log());
    watched.check_memory(c.name);
  }
}

}  // namespace nmanager::test
