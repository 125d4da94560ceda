// Observes a table, for both sources of its entries: raw, or a libiptc handle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/entry_hash.h"
#include "hooks/iptables_legacy/expectation.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/observe.h"
#include "hooks/values/hook_number.h"
#include "hooks/values/kube_chain.h"

namespace nmanager::iptables_legacy {

/// The rules of a raw table. F is Ipv4 or Ipv6, here and below.
template <class F>
class BlobSource {
 public:
  explicit BlobSource(const BlobIndex<F>& blob) : blob_(blob) {}

  /// Calls visit(entry, jump_to) for each rule of the built-in chain.
  template <class Visit>
  void hook_rules(Hook hook, Visit&& visit) const {
    const auto chain = blob_.hook_chain(hook_number(hook));
    if (chain) blob_.for_each_rule(*chain, visit);
  }

  /// Calls visit(each_rule) if the chain exists.
  template <class Visit>
  void chain_rules(std::string_view name, Visit&& visit) const {
    const auto& chains = blob_.user_chains();
    const auto chain = std::ranges::find(chains, name, &BlobChain::name);
    if (chain == chains.end()) return;
    visit([&](auto&& rule) { blob_.for_each_rule(*chain, rule); });
  }

  /// Calls visit(name, each_rule) for each own chain; each_rule(visit) may be called repeatedly.
  template <class Visit>
  void own_chains(Visit&& visit) const {
    for (const BlobChain& chain : blob_.user_chains()) {
      if (!is_own_chain(chain.name)) continue;
      visit(chain.name, [&](auto&& rule) { blob_.for_each_rule(chain, rule); });
    }
  }

 private:
  const BlobIndex<F>& blob_;
};

/// The rules in a libiptc handle; as BlobSource.
template <class F>
class HandleSource {
 public:
  explicit HandleSource(xtc_handle* handle) : handle_(handle) {}

  template <class Visit>
  void hook_rules(Hook hook, Visit&& visit) const {
    const std::string chain(to_string(hook));
    if (F::is_chain(chain.c_str(), handle_) != 0) each_rule(chain, visit);
  }

  template <class Visit>
  void chain_rules(std::string_view name, Visit&& visit) const {
    const std::string chain(name);
    if (F::is_chain(chain.c_str(), handle_) == 0) return;
    visit([&](auto&& rule) { each_rule(chain, rule); });
  }

  template <class Visit>
  void own_chains(Visit&& visit) const {
    std::vector<std::string> own;  // all names first: reading rules moves libiptc's iterator
    for (const char* name = F::first_chain(handle_); name != nullptr;
         name = F::next_chain(handle_)) {
      if (is_own_chain(name)) own.emplace_back(name);
    }
    for (const std::string& name : own) {
      visit(name, [&](auto&& rule) { each_rule(name, rule); });
    }
  }

 private:
  template <class Visit>
  void each_rule(const std::string& chain, Visit&& visit) const {
    for (const auto* entry = F::first_rule(chain.c_str(), handle_); entry != nullptr;
         entry = F::next_rule(entry, handle_)) {
      const Span bytes(reinterpret_cast<const std::uint8_t*>(entry), entry->next_offset);
      const auto target = extension_at(bytes, entry->target_offset);
      const auto verdict =
          target && target->name == XT_STANDARD_TARGET ? load<int>(target->data) : std::nullopt;
      // A rule without -j is also a standard target; libiptc gives it an empty name.
      const bool jumps = verdict && *verdict >= 0;
      visit(bytes, jumps ? std::string_view(F::get_target(entry, handle_)) : std::string_view());
    }
  }

  xtc_handle* handle_;
};

/// A hash of the rules of the hooks in their order, without the targets of jumps. It can be
/// computed from the front of a table alone, where these targets are only offsets. It changes when
/// a rule is added or removed, or swapped with a different rule.
class HookSignature {
 public:
  void open_hook() { ++value_; }
  template <class F>
  void add(Span entry) {
    value_ = hash_entry<F>(entry, {}, value_);
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

template <class F, class Source>
[[nodiscard]] std::uint64_t signature_of(Table table, const Source& source) {
  HookSignature signature;
  for (const Hook hook : hooks_of(table)) {
    signature.open_hook();
    source.hook_rules(hook, [&](Span entry, std::string_view) { signature.add<F>(entry); });
  }
  return signature.value();
}

/// The same value as signature_of() of the whole table, computed from its first bytes, `front`;
/// nullopt if the hooks are not within them.
template <class F>
[[nodiscard]] std::optional<std::uint64_t> signature_of_front(Table table, Span front,
                                                              const TableShape& shape) {
  HookSignature signature;
  for (const Hook hook : hooks_of(table)) {
    signature.open_hook();
    const std::size_t number = hook_number(hook);
    std::size_t at = shape.hook_entry[number];
    while (at < shape.underflow[number]) {
      const auto frame = at < front.size() ? frame_of<F>(front.subspan(at)) : std::nullopt;
      if (!frame) return std::nullopt;
      signature.add<F>(front.subspan(at, frame->next_offset));
      at += frame->next_offset;
    }
  }
  return signature.value();
}

/// Of the rules of a chain, for ChainProof.
template <class F, class EachRule>
[[nodiscard]] std::uint64_t hash_of_rules(const EachRule& each_rule) {
  std::uint64_t hash = 0;
  each_rule(
      [&](Span entry, std::string_view jump_to) { hash = hash_entry<F>(entry, jump_to, hash); });
  return hash;
}

/// Our chains that `expectation` (may be null) knows to be correct are not in the result.
template <class F, class Source>
[[nodiscard]] chains::ObservedTable look(TableId id, const Source& source,
                                         Expectation* expectation) {
  ObservedBuilder builder(id);
  const auto add = [&](Span entry, std::string_view jump_to) { builder.add_rule(entry, jump_to); };
  for (const Hook hook : hooks_of(id.table)) {
    builder.open_hook(hook);
    source.hook_rules(hook, add);
  }
  if (id.table == Table::kFilter) {
    source.chain_rules(kKubeForward, [&](auto&& each_rule) {
      builder.open_kube_forward();
      each_rule([&](Span entry, std::string_view) { builder.add_kube_forward_rule(entry); });
    });
  }
  source.own_chains([&](std::string_view name, auto&& each_rule) {
    if (expectation != nullptr &&
        expectation->is_proven(name, [&] { return hash_of_rules<F>(each_rule); }))
      return;
    builder.open_chain(name);
    each_rule(add);
    if (expectation != nullptr && expectation->judge(builder.chain())) builder.drop_chain();
  });
  if (expectation != nullptr) builder.only_differences(expectation->finish());
  return builder.take();
}

}  // namespace nmanager::iptables_legacy
