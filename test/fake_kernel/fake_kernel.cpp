#include "test/fake_kernel/fake_kernel.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "hooks/chains/rule_text.h"
#include "hooks/intent/kube_checksum.h"

namespace nmanager::test {
using namespace nmanager::chains;

namespace {

std::size_t entries(const FakeTable& table) {
  std::size_t count = 0;
  for (const auto& chain : table) count += 1 + chain.second.rules.size();
  return count;
}

std::size_t references(const FakeTable& table, const std::string& target) {
  std::size_t count = 0;
  for (const auto& chain : table) {
    count += static_cast<std::size_t>(std::ranges::count_if(
        chain.second.rules, [&](const FakeRule& r) { return r.jump_target() == target; }));
  }
  return count;
}

HookRule::Kind kind_of(const FakeRule& rule, const ChainName& own) {
  return kind_of_hook_rule(own, rule.jump_target(), [&] {
    const auto* typed = std::get_if<Rule>(&rule.body);
    return typed ? std::optional(*typed) : std::nullopt;
  });
}

ObservedTable observe(TableId id, const FakeTable& table) {
  ObservedTable observed;
  for (const Hook hook : kHooks) {
    const auto own = hook_chain(id.table, hook);
    if (!own) continue;
    auto& rules = observed.hooks[hook];
    for (const FakeRule& rule : table.at(std::string(to_string(hook))).rules) {
      rules.push_back({kind_of(rule, *own), rule.handle});
    }
  }
  if (const auto kube = table.find(std::string(kKubeForward)); kube != table.end()) {
    observed.kube_drops_invalid = std::ranges::any_of(kube->second.rules, [](const FakeRule& rule) {
      return rule.text().find("--ctstate INVALID") != std::string::npos &&
             rule.text().ends_with("-j DROP");
    });
  }
  for (const auto& [name, chain] : table) {
    if (!is_own_chain(name)) continue;
    ObservedChain& seen = observed.chains[ChainName(name)];
    for (const FakeRule& rule : chain.rules) {
      const auto* typed = std::get_if<Rule>(&rule.body);
      seen.push_back({typed ? std::optional(*typed) : std::nullopt, rule.handle, rule.packets});
    }
  }
  return observed;
}

std::vector<FakeRule>::iterator by_handle(FakeChain& chain, RuleRef ref) {
  return std::ranges::find(chain.rules, ref, &FakeRule::handle);
}

}  // namespace

std::string FakeRule::text() const {
  const auto* typed = std::get_if<Rule>(&body);
  return typed ? to_string(*typed) : std::get<std::string>(body);
}

std::string FakeRule::jump_target() const {
  const std::string all = text();
  const std::size_t at = std::max(all.rfind("-j ") + 1, all.rfind("-g ") + 1);
  if (at == 0) return {};
  const std::string word = all.substr(at + 2, all.find(' ', at + 2) - at - 2);
  return is_own_chain(word) || is_kube_chain(word) || word.starts_with("ADMIN") ? word : "";
}

class FakeTransaction : public Transaction {
 public:
  FakeTransaction(FakeKernel& kernel, TableId id)
      : kernel_(kernel),
        id_(id),
        read_(kernel.tables_.at(id)),
        generation_(kernel.generation_[id]),
        observed_(observe(id, read_)) {}

  [[nodiscard]] const ObservedTable& observed() const override { return observed_; }

  [[nodiscard]] Result<Commit> commit(const TablePlan& plan) override {
    if (kernel_.before_commit) kernel_.before_commit();
    FakeTable& live = kernel_.tables_.at(id_);
    const bool overtaken = kernel_.semantics_ == Semantics::kNft
                               ? kernel_.generation_[id_] != generation_
                               : entries(live) != entries(read_);
    if (overtaken) return Error{ErrorKind::kRetry, "another commit was faster"};
    const auto failure = std::exchange(kernel_.fail_next_commit, std::nullopt);
    if (failure && !kernel_.failed_commit_is_applied) return *failure;
    FakeTable next = read_;
    Commit done;
    if (Status status = kernel_.apply(next, plan, done); !status) return status.error();
    live = std::move(next);
    ++kernel_.generation_[id_];
    ++kernel_.commits_;
    if (failure) return *failure;
    return done;
  }

 private:
  FakeKernel& kernel_;
  TableId id_;
  FakeTable read_;
  std::uint64_t generation_;
  ObservedTable observed_;
};

FakeKernel::FakeKernel(Semantics semantics) : semantics_(semantics) {
  for (const TableId id : kTables) {
    const auto chains =
        id.table == Table::kFilter
            ? std::vector<std::string>{"INPUT", "FORWARD", "OUTPUT"}
            : std::vector<std::string>{"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"};
    for (const std::string& name : chains) tables_[id][name].built_in = true;
  }
}

Result<std::unique_ptr<Transaction>> FakeKernel::begin(TableId id) {
  ++reads_;
  if (fail_begin) return *fail_begin;
  if (interrupted_reads > 0) {
    --interrupted_reads;
    return Error{ErrorKind::kRetry, "it changes faster than it can be read"};
  }
  if (missing.contains(id)) return Error{ErrorKind::kAbsent, to_string(id) + " does not exist"};
  return std::unique_ptr<Transaction>(std::make_unique<FakeTransaction>(*this, id));
}

Result<KubeStamp> FakeKernel::kube_stamp(Family family) {
  if (fail_kube) return *fail_kube;
  const FakeTable& nat = tables_.at({family, Table::kNat});
  if (!nat.contains("KUBE-SERVICES")) return KubeStamp{0};
  const auto mark = nat.find("KUBE-MARK-MASQ");
  if (mark == nat.end()) return KubeStamp{1};
  return mark->second.rules.empty() ? KubeStamp{2} : 2 + mark->second.rules.front().handle;
}

Result<KubeChecksum> FakeKernel::kube_checksum(Family family) {
  if (fail_kube) return *fail_kube;
  KubeChecksum result;
  ChecksumSum sum;
  for (const auto& [name, chain] : tables_.at({family, Table::kNat})) {
    if (!is_kube_chain(name)) continue;
    if (name == "KUBE-SERVICES") {
      result.present = true;
      result.empty = chain.rules.empty();
    }
    sum.add_chain(name);
    for (const FakeRule& rule : chain.rules) {
      const std::string text = rule.text();
      sum.add_rule(name, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                   rule.jump_target());
    }
  }
  result.sum = sum.sum();
  return result;
}

FakeRule FakeKernel::make_rule(std::variant<Rule, std::string> body) {
  return {next_handle_++, std::move(body), 0};
}

void FakeKernel::add_chain(TableId id, const std::string& chain) {
  tables_.at(id)[chain];
  ++generation_[id];
}

void FakeKernel::append(TableId id, const std::string& name, std::variant<Rule, std::string> body) {
  insert(id, name, chain(id, name).rules.size(), std::move(body));
}

void FakeKernel::insert(TableId id, const std::string& name, std::size_t position,
                        std::variant<Rule, std::string> body) {
  auto& rules = chain(id, name).rules;
  rules.insert(rules.begin() + static_cast<std::ptrdiff_t>(std::min(position, rules.size())),
               make_rule(std::move(body)));
  ++generation_[id];
}

void FakeKernel::erase(TableId id, const std::string& name, std::size_t position) {
  auto& rules = chain(id, name).rules;
  rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(position));
  ++generation_[id];
}

void FakeKernel::flush(TableId id, const std::string& name) {
  chain(id, name).rules.clear();
  ++generation_[id];
}

void FakeKernel::delete_chain(TableId id, const std::string& name) {
  for (auto& chain : tables_.at(id)) {
    std::erase_if(chain.second.rules,
                  [&](const FakeRule& rule) { return rule.jump_target() == name; });
  }
  tables_.at(id).erase(name);
  ++generation_[id];
}

void FakeKernel::swap(TableId id, const std::string& name, std::size_t a, std::size_t b) {
  auto& rules = chain(id, name).rules;
  std::swap(rules.at(a), rules.at(b));
  ++generation_[id];
}

void FakeKernel::count_packet(TableId id, const std::string& name, std::size_t position) {
  ++chain(id, name).rules.at(position).packets;
}

Status FakeKernel::apply(FakeTable& table, const TablePlan& plan, Commit& done) {
  const auto bug = [](std::string what) { return Error{ErrorKind::kBug, std::move(what)}; };
  for (const ChainEdit& edit : plan.edits) {
    if (!edit.create) continue;
    if (!table.try_emplace(edit.chain.str()).second)
      return bug("chain exists: " + edit.chain.str());
  }
  for (const HookEdit& edit : plan.hooks) {
    FakeChain& chain = table.at(std::string(to_string(edit.hook)));
    for (const RuleRef ref : edit.remove) {
      const auto rule = by_handle(chain, ref);
      if (rule == chain.rules.end()) return bug("no such jump");
      chain.rules.erase(rule);
    }
    if (!edit.insert) continue;
    const auto before = edit.before ? by_handle(chain, *edit.before) : chain.rules.end();
    if (edit.before && before == chain.rules.end()) return bug("no such position");
    Rule jump;
    jump.target = Jump{edit.jump_to};
    chain.rules.insert(before, make_rule(jump));
  }
  for (const ChainEdit& edit : plan.edits) {
    FakeChain& chain = table.at(edit.chain.str());
    std::vector<FakeRule> next;
    std::size_t at = 0;
    for (const EditStep& step : edit.steps) {
      if (const auto* insert = std::get_if<Insert>(&step)) {
        next.push_back(make_rule(insert->rule));
        continue;
      }
      const bool keep = std::holds_alternative<Keep>(step);
      const RuleRef ref = keep ? std::get<Keep>(step).ref : std::get<Remove>(step).ref;
      if (at >= chain.rules.size() || chain.rules[at].handle != ref)
        return bug("steps out of order");
      if (keep) next.push_back(chain.rules[at]);
      ++at;
    }
    if (at != chain.rules.size()) return bug("steps omit rules");
    chain.rules = std::move(next);
  }
  for (const ChainName& name : plan.remove_chains) table.at(name.str()).rules.clear();
  for (const ChainName& name : plan.remove_chains) {
    if (references(table, name.str()) == 0) {
      table.erase(name.str());
    } else {
      done.still_referenced.insert(name);
    }
  }
  for (const auto& chain : table) {
    for (const FakeRule& rule : chain.second.rules) {
      const std::string target = rule.jump_target();
      if (!target.empty() && !table.contains(target)) return bug("jump to nowhere: " + target);
    }
  }
  return {};
}

std::string FakeKernel::text(TableId id) const {
  std::string text;
  for (const auto& [name, chain] : tables_.at(id)) {
    text += ':' + name + ' ' + (chain.built_in ? chain.policy : "-") + '\n';
    for (const FakeRule& rule : chain.rules) {
      text += '[' + std::to_string(rule.packets) + "] -A " + name + ' ' + rule.text() + '\n';
    }
  }
  return text;
}

std::string FakeKernel::foreign_text(TableId id) const {
  std::string text;
  for (const auto& [name, chain] : tables_.at(id)) {
    if (is_own_chain(name)) continue;
    text += ':' + name + ' ' + (chain.built_in ? chain.policy : "-") + '\n';
    const bool is_hook = std::ranges::any_of(
        hooks_of(id.table),
        [&chain_name = name](const Hook hook) { return to_string(hook) == chain_name; });
    for (const FakeRule& rule : chain.rules) {
      if (is_hook && is_own_chain(rule.jump_target())) continue;  // to any of our chains
      text += std::to_string(rule.handle) + " [" + std::to_string(rule.packets) + "] -A " + name +
              ' ' + rule.text() + '\n';
    }
  }
  return text;
}

}  // namespace nmanager::test
