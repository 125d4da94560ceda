#include "hooks/chains/chain_backend.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/rule_text.h"
#include "hooks/chains/sync.h"

namespace nmanager::chains {

namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

/// The content of a table that does not exist: nothing.
Result<ObservedTable> observe(ChainBackend& backend, TableId id) {
  auto begun = backend.begin(id);
  if (begun) return (*begun)->observed();
  if (begun.error().kind == ErrorKind::kAbsent) return ObservedTable{};
  return begun.error();
}

/// The tool of this variant, whichever one `iptables-restore` is: ip6tables-legacy-restore, ...
std::string restore_command(std::string_view backend, Family family) {
  constexpr std::string_view kCommon = "iptables";
  backend.remove_prefix(std::min(kCommon.size(), backend.size()));
  return std::string(iptables_command(family)) + std::string(backend) + "-restore";
}

}  // namespace

ChainBackend::Rendered& ChainBackend::render(const Goal& goal, std::size_t most) {
  Rendered& kept = rendered_.try_emplace(goal.id, goal.id.family).first->second;
  if (kept.of == goal.spec && kept.left == 0) return kept;
  kept.of = goal.spec;
  const ExternalCluster* external = only_external_of(*goal.spec);
  const bool was_external = std::exchange(kept.is_external, external != nullptr);
  if (external != nullptr) {
    kept.left = kept.external.approach(*external, most);
    kept.unused = kept.external.take_replaced();
    kept.table = {};
    kept.digests = {};
  } else {
    if (was_external) {
      kept.unused = std::make_shared<const ExternalChains>(std::move(kept.external));
    }
    kept.external = ExternalChains(goal.id.family);
    kept.left = 0;
    kept.table = chain_table(goal.id.family, *goal.spec);
    kept.digests = digests_of(kept.table);
  }
  return kept;
}

std::unique_ptr<Wish> ChainBackend::wish_of(const Rendered& rendered) {
  if (rendered.is_external) return std::make_unique<ExternalWish>(rendered.external);
  return std::make_unique<WholeWish>(rendered.table);
}

/// Those that waited last time come first.
std::vector<std::size_t> ChainBackend::order_of(std::span<const Goal> goals) const {
  std::vector<std::size_t> order(goals.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_partition(order.begin(), order.end(),
                        [&](std::size_t i) { return waiting_.contains(goals[i].id); });
  return order;
}

std::vector<SyncReport> ChainBackend::sync(std::span<const Goal> goals,
                                           const SyncOptions& options) {
  std::vector<SyncReport> reports(goals.size());
  const auto sharing = std::ranges::count_if(
      goals, [](const Goal& goal) { return wants_addresses_only(*goal.spec); });
  sharing_ = static_cast<std::size_t>(std::max(sharing, std::ptrdiff_t{1}));
  std::vector<std::size_t> ready;
  for (const std::size_t i : order_of(goals)) {
    if (prepare(goals[i], options, reports[i])) ready.push_back(i);
  }
  waiting_.clear();
  if (!ready.empty()) write(goals, ready, options, reports);
  return reports;
}

/// With one commit whatever its size, the table is read as a whole in each call.
bool ChainBackend::prepare(const Goal& goal, const SyncOptions& options, SyncReport& report) {
  constexpr std::size_t kAddressesAtOnce = 4'096;
  const auto start = now();
  const bool one_commit = most_rules() == kAll;
  Rendered& rendered = render(goal, kAddressesAtOnce / sharing_);
  const std::size_t checked_at_once = one_commit ? kAddressesAtOnce : 512;
  auto checked = ExternalChains::Check::kEnded;
  if (options.check && rendered.is_external) checked = rendered.external.check(checked_at_once);
  report.duration = now() - start;
  report.unused = std::move(rendered.unused);
  report.mismatch = checked == ExternalChains::Check::kMended;
  report.check_ended = options.check && checked != ExternalChains::Check::kMore;
  if (rendered.left == 0) return true;
  report.left = rendered.left;
  // Before there is anything to hold the table against, it stays as it is; with one commit, also
  // until all of it is prepared.
  return !one_commit && rendered.external.of() != nullptr;
}

/// `ready`: indexes of goals, in the order in which they are written.
void ChainBackend::write(std::span<const Goal> goals, std::span<const std::size_t> ready,
                         const SyncOptions& options, std::vector<SyncReport>& reports) {
  std::vector<Goal> writing;
  writing.reserve(ready.size());
  for (const std::size_t i : ready) writing.push_back(goals[i]);
  const auto start = now();
  const auto waited_before = lock_waited();
  const auto held = hold(writing);
  const auto took = now() - start;
  const auto waited_for_all = lock_waited();
  bool one_was_large = false;
  for (const std::size_t i : ready) {
    const bool large = is_large(goals[i]);
    reports[i].waits = large && one_was_large;
    if (reports[i].waits) {
      waiting_.insert(goals[i].id);
      continue;
    }
    write(goals[i], options, reports[i]);
    reports[i].large = large;
    // What has failed took no time, and the next one may fail for the same reason.
    one_was_large = one_was_large || (large && !reports[i].error);
  }
  // The common wait is in one report only, so that sums over reports are correct.
  SyncReport& first = reports[ready.front()];
  first.duration += took;
  if (first.lock_wait) *first.lock_wait += *waited_for_all - *waited_before;
}

void ChainBackend::write(const Goal& goal, const SyncOptions& options, SyncReport& prepared) {
  SyncReport report = sync(goal, rendered_.at(goal.id), options);
  report.duration += prepared.duration;
  report.mismatch = prepared.mismatch;
  report.check_ended = prepared.check_ended;
  if (prepared.left && !report.error && !report.flushed) {
    report.left = *prepared.left + report.left.value_or(0);
    report.verified = false;
  }
  if (prepared.unused) {
    using Both = std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>;
    report.unused = std::make_shared<const Both>(std::move(prepared.unused), report.unused);
  }
  prepared = std::move(report);
}

SyncReport ChainBackend::sync(const Goal& goal, Rendered& rendered, const SyncOptions& options) {
  // nat can hold thousands of chains; filter is small, and its counters are wanted.
  const ChainDigests* expected = nullptr;
  if (goal.id.table == Table::kNat) {
    expected = rendered.is_external ? &rendered.external.digests() : &rendered.digests;
  }
  std::set<ChainName>& leave = leave_[goal.id];
  SyncReport report =
      sync_table(*this, goal.id, *wish_of(rendered), leave, options, expected, rendered.untold);
  if (report.committed && report.verified) leave = report.still_referenced;
  report.rules = rendered.is_external ? rendered.external.rules() : rule_count(rendered.table);
  return report;
}

PlanText ChainBackend::plan_text(std::span<const Goal> goals) {
  PlanText result;
  const auto held = hold(goals);
  for (const Goal& goal : goals) {
    const auto observed = observe(*this, goal.id);
    if (!observed) {
      // A table that the kernel does not have holds nothing of ours.
      if (goal.spec->families.empty() && observed.error().kind == ErrorKind::kUnsupported) continue;
      result.problems.push_back(to_string(goal.id) + ": " + observed.error().message);
      continue;
    }
    const DesiredTable desired = wish_of(render(goal, kAll))->for_plan(*observed);
    const TablePlan plan = make_plan(goal.id, desired, *observed);
    if (plan.empty()) continue;
    result.text += "# " + to_string(goal.id) + ", for " + restore_command(name(), goal.id.family) +
                   " --noflush\n" + to_restore_text(plan);
  }
  return result;
}

}  // namespace nmanager::chains
