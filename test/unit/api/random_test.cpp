// A seeded run over all faults of the stand-in server, with a model of the Services that the client
// must know; and the program's loop, which must report when they are old.
#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "test/api_server/api_server.h"
#include "test/unit/api/follower.h"
#include "test/unit/api/owner.h"

namespace nmanager::test {
using namespace nmanager::api;
namespace {

using Known = Follower::Known;
using On = Fault::On;
using Kind = Fault::Kind;
using Then = Fault::Then;
using std::chrono::milliseconds;

constexpr int kRuns = 8;
constexpr int kFaults = 250;  // of each run
constexpr int kSpeed = 400;

/// One server, one client, and the model: the Services that the test has written.
class Run {
 public:
  explicit Run(std::uint64_t seed)
      : random_(seed),
        server_({.bookmarks = milliseconds(30),
                 .chunk = pick(2) == 0 ? std::size_t{0} : std::size_t{100},
                 .streaming = static_cast<Streaming>(pick(5)),
                 .watch_cache = pick(2) == 0,
                 .chunking = pick(4) != 0}) {
    ApiClientOptions options;
    options.list_silence = options.watch_silence = milliseconds(250);
    options.pace = 1.0 / kSpeed;
    ApiAccess access;
    access.server = server_.url();
    client_ = client_of(access, options);
  }

  /// Empty: no violation.
  std::string go() {
    client_->start([own = follower_.sink(), loop = owner_.sink()](ApiEvent event) {
      loop(event);
      own(std::move(event));
    });
    for (int faults = 0; faults < kFaults;) {
      const int some = 1 + pick(5);
      for (int i = 0; i < some; ++i) server_.fail_next(fault());
      faults += some;
      for (int i = pick(4); i > 0; --i) change();
      disturb();
      const std::size_t seen = server_.requests().size();
      server_.drop_connections(pick(2) == 0);  // otherwise there would be no request
      if (pick(8) != 0) {
        (void)server_.wait_for_requests(seen + 1);
        continue;
      }
      server_.clear_faults();
      if (!follower_.wait_for([&](const Known& known) { return agrees(known); })) return apart();
    }
    server_.clear_faults();
    change();
    if (!follower_.wait_for([&](const Known& known) { return agrees(known); })) return apart();
    if (const std::string problem = too_many(); !problem.empty()) return problem;
    if (const std::string problem = grow_old(); !problem.empty()) return problem;
    return owner_.broken();
  }

 private:
  int pick(int below) {
    return static_cast<int>(std::uniform_int_distribution<std::int64_t>(0, below - 1)(random_));
  }

  void change() {
    const std::string name = "s" + std::to_string(pick(6));
    if (pick(3) == 0) {
      model_.erase("default/" + name);
      server_.services().remove("default/" + name);
      return;
    }
    const std::string ip = "192.0.2." + std::to_string(pick(250) + 1);
    model_["default/" + name] = ip;
    server_.services().put(service_json(name, ip));
  }

  void disturb() {
    const int what = pick(6);
    if (what == 0) server_.end_watches();
    if (what == 1) server_.services().compact();
  }

  Fault fault() {
    static const std::vector<std::string> kBodies{
        "",
        "garbage\n",
        "{}\n",
        "{\"kind\":\"ServiceL",
        std::string(3'000, '['),
        R"({"type":"ERROR","object":{"code":410,"message":"old"}})"
        "\n",
        R"({"type":"ERROR","object":{"code":500,"message":"etcd"}})"
        "\n",
        R"({"type":"ERROR","object":{"reason":"Expired","message":"old"}})"
        "\n",
        R"({"type":"ADDED","object":{"metadata":{"name":"x\\n"}}})"
        "\n",
        R"({"type":"BOOKMARK","object":{"metadata":{}}})"
        "\n"};
    static constexpr int kStatus[] = {200, 307, 400, 401, 403, 404, 410, 422, 429, 500, 503, 504};
    Fault one;
    one.kind = static_cast<Kind>(pick(6));
    one.on = static_cast<On>(pick(6));
    one.status = kStatus[pick(std::size(kStatus))];
    one.body = kBodies[static_cast<std::size_t>(pick(static_cast<int>(kBodies.size())))];
    one.then = static_cast<Then>(pick(4));
    if (one.kind == Kind::kSilence && pick(3) != 0) one.kind = Kind::kClose;  // silence takes long
    if (one.kind == Kind::kClose || one.kind == Kind::kReset) ++closed_;
    return one;
  }

  bool agrees(const Known& known) const {
    if (known.lists == 0 || known.services.size() != model_.size()) return false;
    for (const auto& [key, ip] : model_) {
      const auto found = known.services.find(key);
      if (found == known.services.end()) return false;
      if (to_string(found->second.ingress.at(0).ip) != ip) return false;
    }
    return known.api.last_word.has_value();
  }

  std::string apart() const {
    const Known known = follower_.known();
    return "the client has " + std::to_string(known.services.size()) + " Services, the model " +
           std::to_string(model_.size()) + ", " + std::to_string(known.lists) + " lists, " +
           std::to_string(known.api.errors) + " errors, the last: " + known.api.last_error;
  }

  /// The server stops and resumes answering: the node stays ready and reports the age.
  std::string grow_old() {
    if (!owner_.wait_for([](const Snapshot& one) { return one.ready() && !one.services_stale; })) {
      return "not ready, or Services reported as old, without a fault";
    }
    server_.fail_next({.kind = Kind::kSilence, .times = 0});
    server_.drop_connections();
    if (!owner_.wait_for([](const Snapshot& one) { return one.ready() && one.services_stale; })) {
      return "Services are old: not ready, or not reported as old";
    }
    server_.clear_faults();
    server_.drop_connections();
    if (!owner_.wait_for([](const Snapshot& one) { return !one.services_stale; })) {
      return "Services are current, but still reported as old";
    }
    return {};
  }

  /// Each request is a list, a watch, or an error that was reported with its delay; except for the
  /// one that detects streaming lists, old versions after a good watch, further pages, and requests
  /// that the HTTP library repeats after a connection was closed.
  std::string too_many() const {
    const Known known = follower_.known();
    const std::size_t most = known.api.lists + known.api.watches + known.api.errors +
                             known.api.relists + static_cast<std::size_t>(closed_) + 2;
    const std::size_t requests = server_.requests().size();
    if (requests <= most) return {};
    return std::to_string(requests) + " requests, " + std::to_string(most) + " explained";
  }

  std::mt19937_64 random_;
  ApiServer server_;
  Follower follower_;
  Owner owner_{kSpeed};
  std::map<std::string, std::string> model_;
  int closed_ = 0;
  std::unique_ptr<ServiceSource> client_;
};

}  // namespace

TEST_CASE("2,000 random faults: the client gets the server's Services, and old ones are reported") {
  start_library_once();
  std::vector<std::string> problems(kRuns);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kRuns; ++i) {
    threads.emplace_back([&, i] { problems[i] = Run(i + 1).go(); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t seed = 0; seed < kRuns; ++seed) {
    CAPTURE(seed + 1);
    CHECK(problems[seed] == "");
  }
}

}  // namespace nmanager::test
