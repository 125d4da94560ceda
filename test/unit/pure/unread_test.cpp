// A table of which only the hooks are known yet: the rest is read in later parts.
#include <doctest/doctest.h>

#include <memory>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/sync.h"

namespace nmanager::chains {
namespace {

constexpr TableId kNat{Family::kIpv4, Table::kNat};

/// Shows the same table each time, and counts commits.
class Shown final : public ChainBackend {
 public:
  explicit Shown(ObservedTable table) : table_(std::move(table)) {}
  [[nodiscard]] std::string_view name() const override { return "shown"; }
  [[nodiscard]] Result<std::unique_ptr<Transaction>> begin(TableId /*id*/) override {
    return std::unique_ptr<Transaction>(std::make_unique<One>(*this));
  }
  [[nodiscard]] Result<KubeStamp> kube_stamp(Family /*family*/) override { return KubeStamp{0}; }
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family /*family*/) override {
    return KubeChecksum{};
  }

  int commits = 0;

 private:
  struct One final : Transaction {
    explicit One(Shown& all) : owner(all) {}
    [[nodiscard]] const ObservedTable& observed() const override { return owner.table_; }
    [[nodiscard]] Result<Commit> commit(const TablePlan& plan) override {
      ++owner.commits;
      CHECK(plan.edits.empty());
      CHECK(plan.remove_chains.empty());
      CHECK_FALSE(plan.hooks.empty());
      return Commit{};
    }
    Shown& owner;
  };
  ObservedTable table_;
};

}  // namespace

TEST_CASE("while chains are unread only jumps are written, and none after a flush to be spared") {
  ExternalClusterSettings settings;
  settings.pod_cidr = Prefix::parse("10.244.0.0/16");
  const DesiredTable desired =
      external_cluster_chains(external_cluster(Family::kIpv4,
                                               {{*Address::parse("192.0.2.1"),
                                                 *Address::parse("10.96.0.1"),
                                                 "ns/a",
                                                 {{Protocol::kUdp, 53}},
                                                 {}}},
                                               settings));
  ObservedTable table;
  for (const Hook hook : hooks_of(Table::kNat)) table.hooks[hook] = {};
  table.only_differences = true;
  table.unread = true;
  table.left = 7;
  SyncOptions options;
  int commits = 1;
  SUBCASE("jumps are missing") {}
  SUBCASE("their chains may not exist") {
    table.hooks_wait = true;
    commits = 0;
  }
  SUBCASE("perhaps the whole table was flushed") {
    options.spare_flushed.insert(kNat);
    commits = 0;
  }
  Shown shown(table);
  const ChainDigests digests = digests_of(desired);
  bool untold = false;
  const SyncReport report =
      sync_table(shown, kNat, WholeWish(desired), {}, options, &digests, untold);
  CHECK(shown.commits == commits);
  CHECK(untold == (commits > 0));
  CHECK(report.left == std::size_t{7});
  CHECK_FALSE(report.verified);
  CHECK_FALSE(report.flushed);
  CHECK_FALSE(report.error.has_value());
  CHECK(report.udp.empty());
}

}  // namespace nmanager::chains
