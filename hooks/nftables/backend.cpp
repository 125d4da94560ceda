#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string>
#include <utility>

#include "hooks/iptables_nft/observe.h"
#include "hooks/netlink/batch.h"
#include "hooks/netlink/kube_chains.h"
#include "hooks/netlink/objects.h"
#include "hooks/nftables/nftables_backend.h"
#include "hooks/nftables/session.h"
#include "hooks/nftables/text.h"
#include "hooks/nftables/write.h"

namespace nmanager::nftables {

namespace {

/// Reads overtaken by commits of others before the caller is told.
constexpr int kReads = 10;

/// A part as wanted, and how its rules look when the kernel dumps them.
struct Rendered {
  std::shared_ptr<const TableSpec> of;
  std::shared_ptr<const Ruleset> ruleset;
  std::map<std::string, Rule> printed;
  std::size_t size = 0;
};

/// Packets that the DROP rules of one part have seen.
std::uint64_t count_drops(const Observed& observed, TableId part) {
  std::uint64_t packets = 0;
  for (const auto& entry : observed.chains) {
    for (const ObservedRule& rule : entry.second.rules) {
      if (rule.part == part) packets += rule.packets;
    }
  }
  return packets;
}

class Nftables final : public Backend {
 public:
  explicit Nftables(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  [[nodiscard]] std::string_view name() const override { return "nftables"; }

  /// All goals in one transaction. When the kernel refuses that for good, each by itself, so that
  /// one that cannot be had does not cost the others.
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
    const auto observed = read_until_consistent(wanted);
    if (!observed) return {"", {observed.error().message}};
    const std::string text = to_text(make_plan(wanted, observed->table));
    return {text.empty() ? text : "# for nft -f\n" + text, {}};
  }

  /// In kube-proxy's nftables mode there is nothing of ours that a sync of it could touch: that its
  /// table stands is all there is to know. Else what iptables-nft's tables hold.
  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override {
    const auto native = kube_table(family);
    if (!native) return native.error();
    return *native ? KubeStamp{1} : netlink::read_kube_stamp(session_->netlink(), family);
  }
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override {
    const auto native = kube_table(family);
    if (!native) return native.error();
    return *native ? KubeChecksum{true, 1}
                   : netlink::read_kube_checksum(session_->netlink(), family);
  }

  void trim() override { rendered_.clear(); }

 private:
  struct Reading {
    netlink::Generation generation = 0;
    Observed table;
  };
  enum class Attempt { kDone, kAgain };

  Result<bool> kube_table(Family family) {
    return netlink::chain_exists(session_->netlink(), family, "kube-proxy", "services");
  }

  /// As seen in iptables-nft's tables; nothing where kube-proxy has none there.
  std::optional<bool> kube_jumps(TableId nat);
  Wanted render(std::span<const Goal> goals);
  std::vector<SyncReport> sync_together(std::span<const Goal> goals, const SyncOptions& options);
  Attempt attempt(const Wanted& wanted, const SyncOptions& options, Plan& plan, SyncReport& outcome,
                  Observed& observed);
  Result<Reading> read_until_consistent(const Wanted& wanted);
  Result<Observed> observe(const Wanted& wanted);
  [[nodiscard]] ObservedRule known_rule(const DumpedRule& rule, const Wanted& wanted) const;
  Status commit(const Plan& plan, const Wanted& wanted, netlink::Generation generation);
  void learn(const Plan& plan, const Wanted& wanted);

  std::shared_ptr<Session> session_;
  std::map<TableId, Rendered> rendered_;
};

std::optional<bool> Nftables::kube_jumps(TableId nat) {
  const auto kube =
      netlink::chain_exists(session_->netlink(), nat.family, to_string(nat.table), "KUBE-SERVICES");
  if (!kube || !*kube) return std::nullopt;
  for (const Hook hook : {Hook::kPrerouting, Hook::kOutput}) {
    const auto rules = iptables_nft::read_hook(session_->netlink(), nat, hook);
    if (!rules) return std::nullopt;
    const auto jump =
        std::ranges::find(*rules, chains::HookRule::Kind::kKubeJump, &chains::HookRule::kind);
    if (jump == rules->end()) return false;
  }
  return true;
}

Wanted Nftables::render(std::span<const Goal> goals) {
  Wanted wanted;
  for (const Goal& goal : goals) {
    Rendered& kept = rendered_[goal.id];
    if (kept.of != goal.spec) {
      auto ruleset = std::make_shared<const Ruleset>(nftables::render(goal.id, *goal.spec));
      kept = {goal.spec, ruleset, {}, size_of(*ruleset)};
      for (const auto& chain : ruleset->chains) {
        for (const Rule& rule : chain.second) kept.printed[print_expressions(*encode(rule))] = rule;
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
  Attempt next = Attempt::kAgain;
  while (next == Attempt::kAgain && outcome.attempts < options.max_attempts) {
    ++outcome.attempts;
    next = attempt(wanted, options, plan, outcome, observed);
  }
  outcome.duration = std::chrono::steady_clock::now() - start;
  std::vector<SyncReport> reports;
  for (const Goal& goal : goals) {
    SyncReport report = outcome;
    const auto findings = plan.findings.find(goal.id);
    report.committed = outcome.committed && findings != plan.findings.end();
    if (report.committed) report.findings = findings->second;
    if (!report.committed) report.plan_text.clear();
    report.invalid_drops = count_drops(observed, goal.id);
    if (report.committed) report.udp = udp_change(goal.id, wanted, observed, plan);
    if (goal.id.table == Table::kNat) report.kube_jumps = kube_jumps(goal.id);
    report.rules = rendered_[goal.id].size;
    reports.push_back(std::move(report));
  }
  return reports;
}

/// As sync_table() does it for tables of chains.
Nftables::Attempt Nftables::attempt(const Wanted& wanted, const SyncOptions& options, Plan& plan,
                                    SyncReport& outcome, Observed& observed) {
  auto reading = read_until_consistent(wanted);
  if (!reading) {
    outcome.error = reading.error();
    return Attempt::kDone;
  }
  observed = std::move(reading->table);
  Plan next = make_plan(wanted, observed);
  if (next.empty()) {
    // After a failed commit this is the proof that it had come through all the same.
    learn(next, wanted);
    outcome.verified = true;
    outcome.error.reset();
    return Attempt::kDone;
  }
  plan = std::move(next);
  if (options.keep_plan_text) outcome.plan_text = to_text(plan);
  outcome.committed = true;
  if (auto status = commit(plan, wanted, reading->generation); !status) {
    outcome.error = status.error();
    const ErrorKind kind = status.error().kind;
    const bool final = kind == ErrorKind::kUnsupported || kind == ErrorKind::kDenied;
    return final ? Attempt::kDone : Attempt::kAgain;
  }
  outcome.verified = true;
  outcome.error.reset();
  return Attempt::kDone;
}

Result<Nftables::Reading> Nftables::read_until_consistent(const Wanted& wanted) {
  Error last{ErrorKind::kRetry, {}};
  for (int read = 0; read < kReads; ++read) {
    const auto before = session_->netlink().generation();
    if (!before) {
      if (before.error().kind != ErrorKind::kRetry) return before.error();
      last = before.error();
      continue;
    }
    session_->catch_up(*before);
    auto observed = observe(wanted);
    if (!observed && observed.error().kind != ErrorKind::kRetry) return observed.error();
    const auto after = session_->netlink().generation();
    if (observed && after && *before == *after) {
      session_->proven(*before);
      return Reading{*before, std::move(*observed)};
    }
    session_->forget();  // it may be of two generations
    last = observed ? Error{ErrorKind::kRetry, "it changes faster than it can be read"}
                    : observed.error();
  }
  return Error{last.kind, "table inet nmanager: " + last.message};
}

Result<Observed> Nftables::observe(const Wanted& wanted) {
  const bool counters = std::ranges::any_of(
      wanted, [](const auto& part) { return part.first.table == Table::kFilter; });
  if (auto fresh = session_->refresh(counters); !fresh) return fresh.error();
  const Structure& structure = session_->structure();
  Observed observed;
  observed.exists = structure.exists;
  if (!structure.exists) return observed;
  if (!structure.comment.starts_with(kOwner)) {
    const bool wants_nothing = std::ranges::all_of(wanted, [](const auto& part) {
      return part.second->chains.empty() && part.second->sets.empty();
    });
    if (wants_nothing) return Observed{};  // nor is anything of ours there
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
  for (const auto& [name, as_made] : structure.sets) {
    ObservedSet& set = observed.sets[name];
    set.as_made = as_made;
    const auto id = set_of(name);
    if (!id || !as_made || !wanted.contains(part_of(*id))) continue;
    auto elements = session_->elements(*id);
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

Status Nftables::commit(const Plan& plan, const Wanted& wanted, netlink::Generation generation) {
  netlink::Batch batch(generation);
  write(batch, plan);
  batch.finish();
  const auto errors = session_->netlink().send(batch);
  if (errors && errors->empty()) {
    session_->committed(netlink::next_generation(generation));
    learn(plan, wanted);
    return {};
  }
  if (!errors) {
    session_->forget();
    return errors.error();
  }
  const netlink::BatchError& first = errors->front();
  const std::string what = "table inet nmanager, " + netlink::describe(batch.find(first.sequence));
  if (first.code == ERESTART) {
    return Error{ErrorKind::kRetry, what + ": somebody else committed in between"};
  }
  session_->forget();
  Error error = netlink::netlink_error(what, first.code);
  // Nothing that was observed can be gone while the generation stood: the kernel lacks something.
  if (error.kind == ErrorKind::kAbsent) error.kind = ErrorKind::kUnsupported;
  if (error.kind == ErrorKind::kUnsupported) {
    error.message += "; the kernel lacks a part of it (" + ingredients(batch.find(first.sequence)) +
                     "; nftables of Linux 5.13 has all)";
  }
  return error;
}

/// After a commit, or after nothing had to be done.
void Nftables::learn(const Plan& plan, const Wanted& wanted) {
  if (!plan.empty()) session_->doubt_structure();
  for (const SetPlan& set : plan.sets) {
    if (set.id) session_->doubt(*set.id);
  }
  if (plan.delete_table || plan.replace_table) session_->forget();
  for (const auto& entry : wanted) {
    for (const auto& [id, elements] : entry.second->sets) session_->know(id, elements);
  }
}

}  // namespace

Result<NftablesBackend> make_nftables_backend(NftablesOptions options) {
  auto session = std::make_shared<nftables::Session>(options);
  if (auto opened = session->open(); !opened) return opened.error();
  NftablesBackend result;
  result.watch = netlink::make_watch(session);
  result.backend = std::make_unique<nftables::Nftables>(std::move(session));
  return result;
}

}  // namespace nmanager::nftables
