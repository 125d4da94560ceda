#include "hooks/nftables/nftables_backend.h"

#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "hooks/intent/attempt.h"
#include "hooks/netlink/batch.h"
#include "hooks/netlink/kube_chains.h"
#include "hooks/netlink/objects.h"
#include "hooks/netlink/refusal.h"
#include "hooks/netlink/watch.h"
#include "hooks/nftables/table_cache.h"
#include "hooks/nftables/text.h"
#include "hooks/nftables/write.h"

namespace nmanager::nftables {

namespace {

const std::string kWhere = "table inet nmanager";

/// A wanted part, and its rules in the form in which the kernel dumps them.
struct Rendered {
  std::shared_ptr<const TableSpec> of;
  std::shared_ptr<const Ruleset> ruleset;
  std::map<std::string, NativeRule> printed;
  std::size_t size = 0;
};

InvalidCounts invalid_counts(const Observed& observed, TableId part) {
  InvalidCounts counts;
  for (const auto& [name, chain] : observed.chains) {
    for (const ObservedRule& seen : chain.rules) {
      if (seen.part != part || !seen.rule) continue;
      if (const auto counter = counter_of(name, *seen.rule)) counts[*counter] += seen.packets;
    }
  }
  return counts;
}

class Nftables final : public Backend {
 public:
  explicit Nftables(std::shared_ptr<TableCache> cache) : cache_(std::move(cache)) {}

  [[nodiscard]] std::string_view name() const override { return "nftables"; }

  /// All goals in one transaction. If the kernel refuses it permanently, each goal by itself, so
  /// that an impossible one does not prevent the others.
  [[nodiscard]] std::vector<SyncReport> sync(std::span<const Goal> goals,
                                             const SyncOptions& options) override {
    std::vector<SyncReport> reports = sync_together(goals, options);
    const bool refused = std::ranges::any_of(reports, [](const SyncReport& report) {
      return report.error && report.error->kind == ErrorKind::kUnsupported;
    });
    if (!refused || goals.size() == 1) return reports;
    reports.clear();
    for (const Goal& goal : goals) {
      reports.push_back(sync_together(std::span(&goal, 1), options).front());
    }
    return reports;
  }

  [[nodiscard]] PlanText plan_text(std::span<const Goal> goals) override {
    const Wanted wanted = render(goals);
    const auto observed = read(wanted);
    if (!observed) return {"", {observed.error().message}};
    const std::string text = to_text(make_plan(wanted, observed->content));
    return {text.empty() ? text : "# for nft -f\n" + text, {}};
  }

  /// In kube-proxy's nftables mode its sync cannot change anything of ours: only the existence of
  /// its table matters. Otherwise, the content of iptables-nft's tables.
  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override {
    const auto native = kube_table(family);
    if (!native) return native.error();
    return *native ? KubeStamp{1} : netlink::read_kube_stamp(cache_->netlink(), family);
  }
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override {
    const auto native = kube_table(family);
    if (!native) return native.error();
    return *native ? KubeChecksum{true, false, 1}
                   : netlink::read_kube_checksum(cache_->netlink(), family);
  }

  void trim() override { rendered_.clear(); }

 private:
  Result<bool> kube_table(Family family) {
    return netlink::chain_exists(cache_->netlink(), family, "kube-proxy", "services");
  }

  using Reading = netlink::Reading<Observed>;

  Wanted render(std::span<const Goal> goals);
  std::vector<SyncReport> sync_together(std::span<const Goal> goals, const SyncOptions& options);
  Attempt once(const Wanted& wanted, const SyncOptions& options, Plan& plan, SyncReport& outcome,
               Observed& observed);
  Result<Reading> read(const Wanted& wanted);
  Result<Observed> observe(const Wanted& wanted);
  [[nodiscard]] ObservedRule known_rule(const DumpedRule& rule, const Wanted& wanted) const;
  [[nodiscard]] bool only_held(const Plan& plan) const;
  Result<std::vector<Step>> evict(std::vector<Step> evictions, netlink::Generation& generation);
  void note_held(const std::vector<Step>& held, SyncReport& outcome);
  Status commit(const std::vector<Step>& steps, netlink::Generation& generation);
  void learn(const Plan& plan, const Wanted& wanted);

  std::shared_ptr<TableCache> cache_;
  std::map<TableId, Rendered> rendered_;
  // The objects that could not be removed, as of this number of reads.
  std::set<std::string> held_;
  std::uint64_t held_as_of_ = 0;
};

Wanted Nftables::render(std::span<const Goal> goals) {
  Wanted wanted;
  for (const Goal& goal : goals) {
    Rendered& kept = rendered_[goal.id];
    if (kept.of != goal.spec) {
      auto ruleset = std::make_shared<const Ruleset>(nftables::render(goal.id, *goal.spec));
      kept = {goal.spec, ruleset, {}, size_of(*ruleset)};
      for (const auto& chain : ruleset->chains) {
        for (const NativeRule& rule : chain.second)
          kept.printed[print_expressions(*encode(rule))] = rule;
      }
    }
    wanted[goal.id] = kept.ruleset;
  }
  return wanted;
}

std::vector<SyncReport> Nftables::sync_together(std::span<const Goal> goals,
                                                const SyncOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Wanted wanted = render(goals);
  Plan plan;
  SyncReport outcome;
  Observed observed;
  attempt(options, outcome, [&] { return once(wanted, options, plan, outcome, observed); });
  outcome.duration = std::chrono::steady_clock::now() - start;
  std::vector<SyncReport> reports;
  for (const Goal& goal : goals) {
    SyncReport report = outcome;
    outcome.held.clear();  // reported once
    const auto findings = plan.findings.find(goal.id);
    report.committed = outcome.committed && findings != plan.findings.end();
    if (report.committed) report.findings = findings->second;
    if (!report.committed) report.plan_text.clear();
    report.invalid = invalid_counts(observed, goal.id);
    if (report.committed) report.udp = udp_change(goal.id, wanted, observed, plan);
    if (goal.id.table == Table::kFilter) {
      const auto kube = netlink::kube_drops_invalid(cache_->netlink(), goal.id.family);
      if (kube) report.kube_drops_invalid = *kube;
    }
    if (goal.id.table == Table::kNat) {
      const auto jumps = netlink::has_kube_jumps(cache_->netlink(), goal.id);
      if (jumps) report.kube_jumps = *jumps;
    }
    report.rules = rendered_[goal.id].size;
    reports.push_back(std::move(report));
  }
  return reports;
}

Attempt Nftables::once(const Wanted& wanted, const SyncOptions& options, Plan& plan,
                       SyncReport& outcome, Observed& observed) {
  auto reading = read(wanted);
  if (!reading) return unreadable(outcome, reading.error());
  observed = std::move(reading->content);
  Plan next = make_plan(wanted, observed);
  if (next.empty() || only_held(next)) {
    learn({}, wanted);
    return verified(outcome);
  }
  plan = std::move(next);
  if (options.keep_plan_text) outcome.plan_text = to_text(plan);
  outcome.committed = true;
  netlink::Generation generation = reading->generation;
  auto held = evict(plan.evictions, generation);
  if (!held) return refused(outcome, held.error());
  if (auto status = commit(plan.steps, generation); !status) {
    return refused(outcome, status.error());
  }
  // Rules that referred to them may be gone now.
  if (!plan.steps.empty()) held = evict(std::move(*held), generation);
  if (!held) return refused(outcome, held.error());
  note_held(*held, outcome);
  learn(plan, wanted);
  return verified(outcome);
}

Result<Nftables::Reading> Nftables::read(const Wanted& wanted) {
  auto reading = cache_->read_consistently(kWhere, [&](netlink::Generation now) {
    cache_->doubt_since_proven(now);
    return observe(wanted);
  });
  if (reading) cache_->proven(reading->generation);
  return reading;
}

Result<Observed> Nftables::observe(const Wanted& wanted) {
  const bool counters = std::ranges::any_of(
      wanted, [](const auto& part) { return part.first.table == Table::kFilter; });
  if (auto fresh = cache_->refresh(counters); !fresh) return fresh.error();
  const Structure& structure = cache_->structure();
  Observed observed;
  observed.exists = structure.exists;
  if (!structure.exists) return observed;
  if (!structure.comment.starts_with(kOwner)) {
    const bool wants_nothing = std::ranges::all_of(wanted, [](const auto& part) {
      return part.second->chains.empty() && part.second->sets.empty();
    });
    if (wants_nothing) return Observed{};  // and nothing of ours exists
    return Error{ErrorKind::kDenied,
                 "there is a table inet nmanager that is not nmanager's (its comment does not say "
                 "so): delete or rename it"};
  }
  observed.dormant = structure.dormant;
  observed.old_layout = structure.comment != kTableComment;
  for (const auto& [name, dumped] : structure.chains) {
    ObservedChain& chain = observed.chains[name];
    chain.base = dumped.base;
    chain.drops = dumped.drops;
    for (const DumpedRule& rule : dumped.rules) chain.rules.push_back(known_rule(rule, wanted));
  }
  observed.others = structure.others;
  for (const auto& [name, dumped] : structure.sets) {
    ObservedSet& set = observed.sets[name];
    set.as_made = dumped.as_made;
    set.is_map = dumped.is_map;
    const auto id = set_of(name);
    if (!id || !dumped.as_made || !wanted.contains(part_of(*id))) continue;
    auto elements = cache_->elements(*id);
    if (!elements) return elements.error();
    set.elements = elements->elements;
    set.strange = elements->strange;
  }
  return observed;
}

ObservedRule Nftables::known_rule(const DumpedRule& rule, const Wanted& wanted) const {
  ObservedRule result;
  result.part = rule.part;
  result.ref = rule.ref;
  result.packets = rule.packets;
  if (!rule.part || !wanted.contains(*rule.part)) return result;
  const auto& printed = rendered_.at(*rule.part).printed;
  const auto found = printed.find(rule.expressions);
  if (found != printed.end()) result.rule = found->second;
  return result;
}

bool Nftables::only_held(const Plan& plan) const {
  return plan.steps.empty() && held_as_of_ == cache_->structure_reads() &&
         std::ranges::all_of(plan.evictions,
                             [&](const Step& step) { return held_.contains(to_text(step)); });
}

/// Leaves out the steps that the kernel refuses; their number is finite.
Result<std::vector<Step>> Nftables::evict(std::vector<Step> evictions,
                                          netlink::Generation& generation) {
  std::vector<Step> held;
  while (!evictions.empty()) {
    netlink::Batch batch(generation);
    StepWriter writer(batch);
    std::vector<std::uint32_t> sequences;
    for (const Step& step : evictions) {
      writer.write(step);
      sequences.push_back(batch.last_sequence());
    }
    batch.finish();
    const auto errors = cache_->netlink().send(batch);
    cache_->forget();
    if (!errors) return errors.error();
    if (errors->empty()) {
      // The remaining steps may have no effect (flush an empty map); then there is no new
      // generation.
      const auto now = cache_->netlink().generation();
      if (!now) return now.error();
      if (*now == netlink::next_generation(generation)) cache_->committed(*now);
      generation = *now;
      break;
    }
    std::vector<Step> left;
    for (std::size_t i = 0; i < evictions.size(); ++i) {
      const auto error = std::ranges::find(*errors, sequences[i], &netlink::BatchError::sequence);
      (error == errors->end() ? left : held).push_back(std::move(evictions[i]));
    }
    if (left.size() == sequences.size() || errors->front().code == EPERM) {
      return netlink::refusal(cache_->netlink(), batch, errors->front(), kWhere);  // of the whole
    }
    evictions = std::move(left);
  }
  return held;
}

void Nftables::note_held(const std::vector<Step>& held, SyncReport& outcome) {
  std::set<std::string> names;
  for (const Step& step : held) names.insert(to_text(step));
  for (const std::string& name : names) {
    if (!held_.contains(name)) outcome.held.push_back(name);
  }
  held_ = std::move(names);
  held_as_of_ = cache_->structure_reads() + 1;  // as of the next read
}

Status Nftables::commit(const std::vector<Step>& steps, netlink::Generation& generation) {
  if (steps.empty()) return {};
  netlink::Batch batch(generation);
  StepWriter writer(batch);
  for (const Step& step : steps) writer.write(step);
  batch.finish();
  const auto errors = cache_->netlink().send(batch);
  if (errors && errors->empty()) {
    generation = netlink::next_generation(generation);
    cache_->committed(generation);
    cache_->proven(generation);
    return {};
  }
  cache_->forget();
  if (!errors) return errors.error();
  return netlink::refusal(cache_->netlink(), batch, errors->front(), kWhere);
}

/// After a commit, or if no change was needed.
void Nftables::learn(const Plan& plan, const Wanted& wanted) {
  if (!plan.empty()) cache_->doubt_structure();
  if (plan.table == TableFate::kDeleted || plan.table == TableFate::kReplaced) cache_->forget();
  for (const auto& entry : wanted) {
    for (const auto& [id, elements] : entry.second->sets) cache_->know(id, elements);
  }
}

}  // namespace

Result<NftablesBackend> make_nftables_backend(NftablesOptions options) {
  auto cache = std::make_shared<TableCache>(options);
  if (auto opened = cache->open(); !opened) return opened.error();
  NftablesBackend result;
  result.watch = netlink::make_watch(cache);
  result.backend = std::make_unique<Nftables>(std::move(cache));
  return result;
}

}  // namespace nmanager::nftables
