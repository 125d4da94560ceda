// Everything that the loop reaches, in memory: fake kernels, a kube-proxy and an API server that
// report what a test sets, and a clock that only the test advances. The loop is the real one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugin/run/loop.h"
#include "plugin/run/mailbox.h"
#include "plugin/run/world.h"
#include "test/fake_kernel/fake_kernel.h"

namespace nmanager::test {

/// As if kube-proxy had its chains in this variant alone.
[[nodiscard]] detect::VariantEvidence in_use(detect::Variant variant);

/// One backend's tables, which outlive the backends that are made on them.
struct FakeTables {
  FakeKernel kernel{Semantics::kNft};
  std::optional<Error> refused;       // creating a backend fails with this
  std::vector<TableChange> changes;   // what its watch reports next
  int made = 0;                       // backends created on them
  run::BackendOptions options;        // of the last one
  int syncs = 0;                      // tables brought to a goal
  std::function<void()> during_sync;  // called at the begin of each sync
  std::chrono::milliseconds checksum_takes{0};
};

class FakeWorld : run::Kernel, run::KubeProxy, run::ApiServer, run::Output, run::Process {
 public:
  FakeWorld();

  [[nodiscard]] run::World world() { return {*this, *this, *this, *this, *this}; }

  // The kernel.
  std::map<BackendChoice, FakeTables> tables;
  detect::VariantEvidence variants;  // nothing was found, until a test changes it
  neighbour::KernelEvidence kernel_evidence;
  std::optional<bool> canary_found;
  int flows_forgotten = 0;

  // kube-proxy.
  settings::KubeProxyFiles files;
  bool files_have_changed = false;
  std::function<void()> while_files_are_read;
  std::vector<neighbour::ProxyReport> reports;
  std::optional<neighbour::ProxyReport> answer;  // to ask_once()
  int asked_soon = 0;

  // The API server.
  Result<api::ApiAccess> api_access = api::ApiAccess{};
  std::vector<api::ApiSink> sinks;  // of each client that was started, the latest last
  int clients = 0;                  // that run now
  std::vector<api::ApiSink> node_sinks;
  int node_clients = 0;
  std::optional<NodePodCidrs> node_answer;  // to node_once()

  // Output.
  std::vector<std::string> lines;
  std::vector<Snapshot> published;
  std::vector<status::PendingQuestion> questions;  // that the loop takes next
  std::string serve_problem;
  std::uint64_t counters_asked = 0;
  int beats = 0;
  int trims = 0;
  int given_back = 0;  // values

  // The process.
  std::chrono::milliseconds elapsed{0};
  std::string other_nmanager;

  [[nodiscard]] Now now() const override;
  [[nodiscard]] bool logged(const std::string& part) const;
  [[nodiscard]] const Snapshot& last() const { return published.back(); }

 private:
  Result<run::BackendPair> make_backend(BackendChoice choice,
                                        const run::BackendOptions& options) override;
  detect::VariantEvidence variant_evidence() override { return variants; }
  neighbour::KernelEvidence evidence() override { return kernel_evidence; }
  std::optional<bool> canary() override { return canary_found; }
  Result<std::vector<Address>> forget_flows(Family family, const UdpChange& change) override;

  settings::KubeProxyFiles read_files(const Settings& own) override;
  void watch_files(std::vector<std::string> /*paths*/) override {}
  bool has_news() override { return files_have_changed || !reports.empty(); }
  std::vector<int> fds() const override { return {}; }
  bool files_changed() override { return std::exchange(files_have_changed, false); }
  void ask_at(const Endpoint& /*endpoint*/) override {}
  void ask_soon() override { ++asked_soon; }
  std::vector<neighbour::ProxyReport> take_reports() override { return std::exchange(reports, {}); }
  neighbour::ProxyReport ask_once(const Endpoint& /*endpoint*/) override {
    return answer.value_or(neighbour::ProxyReport{});
  }

  Result<api::ApiAccess> access(const Settings& /*settings*/) override { return api_access; }
  std::unique_ptr<api::ServiceSource> make_source(const api::ApiAccess& access) override;
  std::unique_ptr<api::ServiceSource> make_node_source(const api::ApiAccess& access) override;
  Result<ServicesListed> list_once(const api::ApiAccess& access) override;
  std::optional<NodePodCidrs> node_once(const api::ApiAccess& /*access*/) override {
    return node_answer;
  }

  void log(reconciler::LogLine::Level level, const std::string& text) override;
  bool logs_debug() const override { return false; }
  std::uint64_t lost_log_lines() const override { return 0; }
  void publish(Snapshot snapshot) override { published.push_back(std::move(snapshot)); }
  std::uint64_t asked() override { return counters_asked; }
  void beat(TimePoint /*now*/) override { ++beats; }
  std::vector<status::PendingQuestion> take_questions() override {
    return std::exchange(questions, {});
  }
  std::string serve(TimePoint /*now*/) override { return serve_problem; }

  std::string claim_node() override { return other_nmanager; }
  void give_back(std::shared_ptr<const void> unused) override {
    ++trims;
    if (unused) ++given_back;
  }
  bool wait(TimePoint until, std::span<const int> fds) override;
};

/// The loop in such a world, driven turn by turn.
class Driver {
 public:
  explicit Driver(Settings settings, std::function<void(FakeWorld&)> prepare = {});

  /// What another thread would post, and the turn that takes it.
  void post(Event event);
  void post(std::vector<Event> events);
  /// Lets time pass, with a turn whenever the loop asks for one.
  void pass(std::chrono::milliseconds time);

  FakeWorld world;
  run::Mailbox<Event> mailbox;
  std::unique_ptr<run::Loop> loop;
};

}  // namespace nmanager::test
