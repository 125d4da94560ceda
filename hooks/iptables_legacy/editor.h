// Applies a TablePlan to a libiptc handle, which is only memory until it is committed.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "hooks/chains/chain_backend.h"
#include "hooks/chains/plan.h"
#include "hooks/iptables_legacy/codec.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/values/result.h"

namespace nmanager::iptables_legacy {

/// F is Ipv4 or Ipv6. Rules are identified by their index in the chain, as ObservedBuilder numbers
/// them.
template <class F>
class Editor {
 public:
  Editor(TableId id, xtc_handle* handle) : id_(id), handle_(handle) {}

  /// kRetry if one of our jumps is no longer where it was observed; kBug if the plan does not fit
  /// the table.
  [[nodiscard]] Result<chains::Commit> apply(const chains::TablePlan& plan) {
    keep_policy_counters();
    for (const chains::ChainEdit& edit : plan.edits) {
      if (!edit.create) continue;
      if (F::create_chain(edit.chain.str().c_str(), handle_) == 0) return misfit(edit.chain.str());
    }
    for (const chains::HookEdit& edit : plan.hooks) {
      if (const Status done = edit_hook(edit); !done) return done.error();
    }
    for (const chains::ChainEdit& edit : plan.edits) {
      if (const Status done = edit_chain(edit); !done) return done.error();
    }
    return remove_chains(plan.remove_chains);
  }

 private:
  [[nodiscard]] Error misfit(const std::string& chain) const {
    return {ErrorKind::kBug, "iptables-legacy, " + to_string(id_) +
                                 ": the plan does not fit chain " + chain + ": " +
                                 std::strerror(errno)};
  }

  /// libiptc resets the counters of policies in every commit (COUNTER_MAP_ZEROED), so that every
  /// iptables-legacy command loses them. Counters that are set explicitly are kept, except for the
  /// packets between read and commit.
  void keep_policy_counters() {
    // The built-in chains come first.
    for (const char* chain = F::first_chain(handle_);
         chain != nullptr && F::builtin(chain, handle_) != 0; chain = F::next_chain(handle_)) {
      xt_counters counters{};
      const char* policy = F::get_policy(chain, &counters, handle_);
      if (policy != nullptr) F::set_policy(chain, policy, &counters, handle_);
    }
  }

  /// `place` is 0-based and ignored with `append`.
  [[nodiscard]] Status insert(const std::string& chain, const Rule& rule, unsigned place,
                              bool append) {
    const auto encoded = encode_rule(F::kFamily, rule);
    if (!encoded) return encoded.error();
    const auto* entry = reinterpret_cast<const typename F::Entry*>(encoded->data.data());
    const int done = append ? F::append_entry(chain.c_str(), entry, handle_)
                            : F::insert_entry(chain.c_str(), entry, place, handle_);
    return done != 0 ? Status() : misfit(chain);
  }

  /// The hooks are not our chains: a rule there is removed only if it jumps to one of our chains.
  [[nodiscard]] Status check_jumps(const chains::HookEdit& edit, const std::string& chain) const {
    RuleRef place = 0;
    std::size_t found = 0;
    for (const auto* entry = F::first_rule(chain.c_str(), handle_); entry != nullptr;
         entry = F::next_rule(entry, handle_), ++place) {
      if (std::ranges::find(edit.remove, place) == edit.remove.end()) continue;
      if (is_own_chain(F::get_target(entry, handle_))) ++found;
    }
    if (found == edit.remove.size()) return {};
    return Error{ErrorKind::kRetry, "iptables-legacy, " + to_string(id_) + ": chain " + chain +
                                        " was changed by a program that does not take the lock"};
  }

  [[nodiscard]] Status edit_hook(const chains::HookEdit& edit) {
    const std::string chain(to_string(edit.hook));
    if (const Status ours = check_jumps(edit, chain); !ours) return ours;
    auto places = edit.remove;
    std::ranges::sort(places, std::greater<>());
    for (const RuleRef place : places) {
      if (F::delete_num_entry(chain.c_str(), static_cast<unsigned>(place), handle_) == 0) {
        return misfit(chain);
      }
    }
    if (!edit.insert) return {};
    Rule jump;
    jump.target = Jump{edit.jump_to};
    if (!edit.before) return insert(chain, jump, 0, true);
    const auto gone =
        std::ranges::count_if(places, [&](RuleRef ref) { return ref < *edit.before; });
    const auto place = static_cast<unsigned>(*edit.before) - static_cast<unsigned>(gone);
    return insert(chain, jump, place, false);
  }

  [[nodiscard]] Status edit_chain(const chains::ChainEdit& edit) {
    const std::string chain = edit.chain.str();
    std::size_t old_rules =
        edit.steps.size() - static_cast<std::size_t>(
                                std::ranges::count_if(edit.steps, [](const chains::EditStep& step) {
                                  return std::holds_alternative<chains::Insert>(step);
                                }));
    unsigned place = 0;
    for (const chains::EditStep& step : edit.steps) {
      if (const auto* added = std::get_if<chains::Insert>(&step)) {
        const Status done = insert(chain, added->rule, place++, old_rules == 0);
        if (!done) return done;
        continue;
      }
      --old_rules;
      if (std::holds_alternative<Keep>(step)) {
        ++place;
      } else if (F::delete_num_entry(chain.c_str(), place, handle_) == 0) {
        return misfit(chain);
      }
    }
    return {};
  }

  /// Empties all chains before deleting any, since they may jump to each other.
  [[nodiscard]] Result<chains::Commit> remove_chains(const std::vector<ChainName>& chains) {
    chains::Commit result;
    for (const ChainName& chain : chains) {
      if (F::flush_entries(chain.str().c_str(), handle_) == 0) return misfit(chain.str());
    }
    for (const ChainName& chain : chains) {
      unsigned references = 0;
      if (F::get_references(&references, chain.str().c_str(), handle_) == 0) {
        return misfit(chain.str());
      }
      if (references > 0) {
        result.still_referenced.insert(chain);
      } else if (F::delete_chain(chain.str().c_str(), handle_) == 0) {
        return misfit(chain.str());
      }
    }
    return result;
  }

  TableId id_;
  xtc_handle* handle_;
};

}  // namespace nmanager::iptables_legacy
