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
#include "hooks/nftables/comparison.h"
#include "hooks/nftables/evictions.h"
#include "hooks/nftables/table_cache.h"
#include "hooks/nftables/text.h"
#include "hooks/nftables/udp_change.h"
#include "hooks/nftables/write.h"

namespace nmanager::nftables {

namespace {

/// Of one transaction; about 15 to 30 ms of our time.
constexpr std::size_t kAddressesAtOnce = 4'096;
/// After so many, other sets are read in another look.
constexpr std::size_t kElementsReadAtOnce = 16'384;

/// A part as wanted, without elements, and how its rules look when the kernel dumps them.
struct Rendered {
  std::shared_ptr<const TableSpec> of;
  std::shared_ptr<const Ruleset> frame;
  std::map<std::string, NativeRule> printed;
  std::size_t elements = 0;
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

/// Nothing but elements is not as it was read.
bool only_elements(const Plan& plan) {
  return plan.evictions.empty() && std::ranges::all_of(plan.steps, [](const Step& step) {
           return std::holds_alternative<ElementsObject>(step.object);
         });
}

class Nftables final : public Backend {
 public:
  explicit Nftables(std::shared_ptr<TableCache> cache)
      : cache_(std::move(cache)), evictions_(*cache_) {}

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
    const Wanted frames = render(goals);
    const auto reading = read(frames, true);
    if (!reading) return {"", {reading.error().message}};
    const Comparison compared = compare(goals, frames, reading->content, standing_, true);
    const std::string text = to_text(make_plan(compared.wanted, compared.observed));
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

 private:
  Result<bool> kube_table(Family family) {
    return netlink::chain_exists(cache_->netlink(), family, "kube-proxy", "services");
  }

  using Reading = netlink::Reading<Observed>;

  Wanted render(std::span<const Goal> goals);
  static void render_rules(Rendered& kept, const Goal& goal);
  std::vector<SyncReport> sync_together(std::span<const Goal> goals, const SyncOptions& options);
  /// What the attempts of one sync() have come to.
  struct Outcome {
    SyncReport report;  // for all goals
    Plan plan;
    Observed observed;
    std::map<TableId, UdpChange> udp;
    Parts parts;
  };
  Attempt once(std::span<const Goal> goals, const SyncOptions& options, const Wanted& frames,
               Outcome& outcome);
  /// Not `whole`: some sets may be left for the next look, see `unread_`.
  Result<Reading> read(const Wanted& frames, bool whole);
  Result<Observed> observe(const Wanted& frames, bool whole);
  [[nodiscard]] ObservedRule known_rule(const DumpedRule& rule, const Wanted& wanted) const;
  Status commit(const Plan& plan, std::span<const Goal> goals, netlink::Generation& generation);
  void learn(const Plan& plan, std::span<const Goal> goals);

  std::shared_ptr<TableCache> cache_;
  std::map<TableId, Rendered> rendered_;
  // As of the last read.
  Standing standing_;
  std::size_t unread_ = 0;  // sets
  Evictions evictions_;
};

void Nftables::render_rules(Rendered& kept, const Goal& goal) {
  kept.frame = std::make_shared<const Ruleset>(render_frame(goal.id, *goal.spec));
  kept.printed.clear();
  for (const auto& chain : kept.frame->chains) {
    for (const NativeRule& rule : chain.second) {
      kept.printed[print_expressions(*encode(rule))] = rule;
    }
  }
}

/// Frames only; see compare().
Wanted Nftables::render(std::span<const Goal> goals) {
  Wanted frames;
  for (const Goal& goal : goals) {
    Rendered& kept = rendered_[goal.id];
    if (kept.of != goal.spec) {
      kept.elements = elements_after(kept.elements, kept.of.get(), *goal.spec);
      if (!kept.of || !same_frame(*kept.of, *goal.spec)) render_rules(kept, goal);
      kept.of = goal.spec;
    }
    frames[goal.id] = kept.frame;
  }
  return frames;
}

std::vector<SyncReport> Nftables::sync_together(std::span<const Goal> goals,
                                                const SyncOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Wanted frames = render(goals);
  Outcome outcome;
  const auto& [all, plan, observed, udp, parts] = outcome;
  attempt(options, outcome.report, [&] { return once(goals, options, frames, outcome); });
  outcome.report.duration = std::chrono::steady_clock::now() - start;
  std::vector<SyncReport> reports;
  for (const Goal& goal : goals) {
    SyncReport report = all;
    outcome.report.held.clear();  // reported once
    const auto rest = parts.left.find(goal.id);
    if (report.verified && rest != parts.left.end()) {
      report.verified = false;
      report.left = rest->second;
    }
    const auto findings = plan.findings.find(goal.id);
    report.committed = all.committed && findings != plan.findings.end();
    if (report.committed) report.findings = findings->second;
    if (!report.committed) report.plan_text.clear();
    report.invalid = invalid_counts(observed, goal.id);
    if (report.committed) report.udp = udp.at(goal.id);
    if (goal.id.table == Table::kFilter) {
      const auto kube = netlink::kube_drops_invalid(cache_->netlink(), goal.id.family);
      if (kube) report.kube_drops_invalid = *kube;
    }
    if (goal.id.table == Table::kNat) {
      const auto jumps = netlink::has_kube_jumps(cache_->netlink(), goal.id);
      if (jumps) report.kube_jumps = *jumps;
    }
    const Rendered& rendered = rendered_[goal.id];
    report.check_ended = options.check;  // what is kept of elements is only their number
    report.rules = size_of(*rendered.frame) + rendered.elements;
    reports.push_back(std::move(report));
  }
  return reports;
}

Attempt Nftables::once(std::span<const Goal> all_goals, const SyncOptions& options,
                       const Wanted& frames, Outcome& outcome) {
  auto& [report, plan, observed, udp, parts] = outcome;
  auto reading = read(frames, false);
  if (!reading) return unreadable(report, reading.error());
  if (unread_ > 0) {  // a plan without some of what stands could remove what leads to it
    plan = {};
    report.committed = false;
    parts = {};
    for (const Goal& goal : all_goals) parts.left[goal.id] = unread_;
    observed = std::move(reading->content);
    return verified(report);
  }
  parts = first_parts(all_goals, frames, reading->content, standing_, kAddressesAtOnce);
  const std::span<const Goal> goals = parts.goals;
  const Comparison compared = compare(goals, frames, reading->content, standing_, false);
  Plan next = make_plan(compared.wanted, compared.observed);
  observed = compared.observed;
  if (next.steps.empty()) learn({}, goals);
  if (next.empty() || evictions_.only_held(next)) return verified(report);
  plan = std::move(next);
  for (const Goal& goal : goals) udp[goal.id] = udp_change(goal, compared, standing_, plan);
  if (options.keep_plan_text) report.plan_text = to_text(plan);
  report.committed = true;
  netlink::Generation generation = reading->generation;
  auto held = evictions_.evict(plan.evictions, generation);
  if (!held) return refused(report, held.error());
  if (auto status = commit(plan, goals, generation); !status) {
    return refused(report, status.error());
  }
  // Rules that referred to them may be gone now.
  if (!plan.steps.empty()) held = evictions_.evict(std::move(*held), generation);
  if (!held) return refused(report, held.error());
  evictions_.note_held(*held, report);
  return verified(report);
}

Result<Nftables::Reading> Nftables::read(const Wanted& frames, bool whole) {
  auto reading = cache_->read_consistently(kWhere, [&](netlink::Generation now) {
    cache_->begin_read(now);
    return observe(frames, whole);
  });
  if (reading) cache_->proven(reading->generation);
  return reading;
}

/// Elements that stand as some spec has them are left out; see standing_.
Result<Observed> Nftables::observe(const Wanted& frames, bool whole) {
  standing_.clear();
  unread_ = 0;
  const std::size_t read_before = cache_->elements_read();
  const bool counters = std::ranges::any_of(
      frames, [](const auto& part) { return part.first.table == Table::kFilter; });
  if (auto fresh = cache_->refresh(counters); !fresh) return fresh.error();
  const Structure& structure = cache_->structure();
  Observed observed;
  observed.exists = structure.exists;
  if (!structure.exists) return observed;
  if (!structure.comment.starts_with(kOwner)) {
    const bool wants_nothing = std::ranges::all_of(frames, [](const auto& part) {
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
    for (const DumpedRule& rule : dumped.rules) chain.rules.push_back(known_rule(rule, frames));
  }
  observed.others = structure.others;
  for (const auto& [name, dumped] : structure.sets) {
    ObservedSet& set = observed.sets[name];
    set.as_made = dumped.as_made;
    set.is_map = dumped.is_map;
    const auto id = set_of(name);
    if (!id || !dumped.as_made || !frames.contains(part_of(*id))) continue;
    const bool enough = !whole && cache_->elements_read() - read_before > kElementsReadAtOnce;
    if (enough && !cache_->knows(*id)) {
      ++unread_;
      continue;
    }
    const auto elements = cache_->elements(*id, rendered_.at(part_of(*id)).of);
    if (!elements) return elements.error();
    set.strange = elements->strange;
    set.elements = elements->besides;
    if (elements->as_in) standing_[*id] = elements->as_in;
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

Status Nftables::commit(const Plan& plan, std::span<const Goal> goals,
                        netlink::Generation& generation) {
  if (plan.steps.empty()) return {};
  netlink::Batch batch(generation);
  StepWriter writer(batch);
  for (const Step& step : plan.steps) writer.write(step);
  batch.finish();
  const auto errors = cache_->netlink().send(batch);
  if (errors && errors->empty()) {
    generation = netlink::next_generation(generation);
    cache_->committed(generation, [&] { learn(plan, goals); });
    cache_->proven(generation);
    return {};
  }
  cache_->forget();
  if (!errors) return errors.error();
  return netlink::refusal(cache_->netlink(), batch, errors->front(), kWhere);
}

/// After a commit, or after nothing had to be done.
void Nftables::learn(const Plan& plan, std::span<const Goal> goals) {
  if (!only_elements(plan)) cache_->doubt_structure();
  if (plan.table == TableFate::kDeleted || plan.table == TableFate::kReplaced) cache_->forget();
  for (const Goal& goal : goals) {
    for (const auto& set : rendered_.at(goal.id).frame->sets) cache_->know(set.first, goal.spec);
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
