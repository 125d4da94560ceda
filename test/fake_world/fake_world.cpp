#include "test/fake_world/fake_world.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

namespace nmanager::test {

detect::VariantEvidence in_use(detect::Variant variant) {
  detect::VariantEvidence evidence;
  evidence.nft = {variant == detect::Variant::kNft, variant == detect::Variant::kNft};
  evidence.legacy = {variant == detect::Variant::kLegacy, variant == detect::Variant::kLegacy};
  return evidence;
}

namespace {

using namespace std::chrono_literals;

class Door final : public Backend {
 public:
  Door(BackendChoice choice, FakeTables& tables, std::chrono::milliseconds& elapsed)
      : name_(to_string(choice)), tables_(tables), elapsed_(elapsed) {}

  std::string_view name() const override { return name_; }
  std::vector<SyncReport> sync(std::span<const Goal> goals, const SyncOptions& options) override {
    if (tables_.during_sync) tables_.during_sync();
    tables_.syncs += static_cast<int>(goals.size());
    return tables_.kernel.sync(goals, options);
  }
  PlanText plan_text(std::span<const Goal> goals) override {
    return tables_.kernel.plan_text(goals);
  }
  Result<KubeStamp> kube_stamp(Family family) override { return tables_.kernel.kube_stamp(family); }
  Result<KubeChecksum> kube_checksum(Family family) override {
    elapsed_ += tables_.checksum_takes;
    return tables_.kernel.kube_checksum(family);
  }

 private:
  std::string_view name_;
  FakeTables& tables_;
  std::chrono::milliseconds& elapsed_;
};

class Watch final : public ChangeWatch {
 public:
  explicit Watch(FakeTables& tables) : tables_(tables) {}
  int fd() const override { return -1; }
  std::vector<TableChange> drain() override { return std::exchange(tables_.changes, {}); }
  std::chrono::milliseconds poll_interval() const override { return 1000ms; }

 private:
  FakeTables& tables_;
};

/// Keeps its sink in the world, so that a test can have it post after its end, too.
class Source final : public api::ServiceSource {
 public:
  Source(std::vector<api::ApiSink>& sinks, int& running) : sinks_(sinks), running_(running) {}
  ~Source() override { --running_; }
  void start(api::ApiSink sink) override {
    ++running_;
    sinks_.push_back(std::move(sink));
  }

 private:
  std::vector<api::ApiSink>& sinks_;
  int& running_;
};

}  // namespace

FakeWorld::FakeWorld() {
  for (const BackendChoice choice :
       {BackendChoice::kLegacy, BackendChoice::kNft, BackendChoice::kNftables}) {
    tables[choice].kernel.clock = [this] { return elapsed; };
  }
}

Now FakeWorld::now() const {
  using std::chrono_literals::operator""h;
  return {TimePoint(1000h) + elapsed, WallTime(1000h) + elapsed};
}

bool FakeWorld::logged(const std::string& part) const {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

Result<run::BackendPair> FakeWorld::make_backend(BackendChoice choice,
                                                 const run::BackendOptions& options) {
  FakeTables& own = tables.at(choice);
  if (own.refused) return *own.refused;
  ++own.made;
  own.options = options;
  return run::BackendPair{std::make_unique<Door>(choice, own, elapsed),
                          std::make_unique<Watch>(own)};
}

Result<std::vector<Address>> FakeWorld::forget_flows(Family /*family*/,
                                                     const UdpChange& /*change*/) {
  ++flows_forgotten;
  return std::vector<Address>{};
}

settings::KubeProxyFiles FakeWorld::read_files(const Settings& /*own*/) {
  const settings::KubeProxyFiles read = files;
  if (const auto meanwhile = std::exchange(while_files_are_read, {})) meanwhile();
  return read;
}

std::unique_ptr<api::ServiceSource> FakeWorld::make_source(const api::ApiAccess& /*access*/) {
  return std::make_unique<Source>(sinks, clients);
}

std::unique_ptr<api::ServiceSource> FakeWorld::make_node_source(const api::ApiAccess& /*access*/) {
  return std::make_unique<Source>(node_sinks, node_clients);
}

Result<ServicesListed> FakeWorld::list_once(const api::ApiAccess& /*access*/) {
  return ServicesListed{{}, "1"};
}

void FakeWorld::log(reconciler::LogLine::Level /*level*/, const std::string& text) {
  lines.push_back(text);
}

bool FakeWorld::wait(TimePoint /*until*/, std::span<const int> /*fds*/) {
  return false;
}

Driver::Driver(Settings settings, std::function<void(FakeWorld&)> prepare) {
  if (prepare) prepare(world);
  loop = std::make_unique<run::Loop>(settings, "test", world.world(), mailbox);
}

void Driver::post(Event event) {
  mailbox.post(std::move(event));
  loop->turn();
}

void Driver::post(std::vector<Event> events) {
  for (Event& event : events) mailbox.post(std::move(event));
  loop->turn();
}

void Driver::pass(std::chrono::milliseconds time) {
  const auto end = world.elapsed + time;
  int turns = 0;
  while (true) {
    const auto rest = loop->next_turn() - world.now().mono;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(rest);
    if (world.elapsed + wait > end) break;
    REQUIRE_MESSAGE(++turns < 200000, "busy loop");
    world.elapsed += std::max(wait, 0ms);
    loop->turn();
    if (wait <= 0ms) world.elapsed += 1ms;  // a turn takes time, too
  }
  world.elapsed = std::max(world.elapsed, end);  // a turn may have taken longer
  loop->turn();
}

}  // namespace nmanager::test
