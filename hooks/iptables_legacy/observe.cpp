#include "hooks/iptables_legacy/observe.h"

#include <algorithm>
#include <cstdint>

#include "hooks/iptables_legacy/codec.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/xt/payload.h"

namespace nmanager::iptables_legacy {

namespace {

std::uint64_t packets_of(Family family, Span entry) {
  return with_family(family, [&]<class F>(F) -> std::uint64_t {
    const std::size_t at = offsetof(typename F::Entry, counters);
    const auto counters = load<xt_counters>(entry.subspan(std::min(at, entry.size())));
    return counters ? counters->pcnt : 0;
  });
}

/// Whatever else it matches or counts (nfacct).
template <class F>
bool drops_invalid(Span entry) {
  const auto frame = frame_of<F>(entry);
  if (!frame) return false;
  bool invalid = false;
  for (std::size_t at = sizeof(typename F::Entry); at < frame->target_offset;) {
    const auto match = extension_at(entry.first(frame->target_offset), at);
    if (!match) return false;
    invalid = invalid || (match->name == xt::kConntrack.name &&
                          xt::matches_invalid(match->revision, match->data));
    at += match->size;
  }
  const auto target = extension_at(entry, frame->target_offset);
  if (!invalid || !target || target->name != XT_STANDARD_TARGET) return false;
  return load<int>(target->data) == -NF_DROP - 1;
}

}  // namespace

ObservedBuilder::ObservedBuilder(TableId id) : id_(id) {
  for (const Hook hook : hooks_of(id.table)) table_.hooks[hook];
}

void ObservedBuilder::open_hook(Hook hook) {
  hook_rules_ = &table_.hooks[hook];
  own_chain_ = *hook_chain(id_.table, hook);
}

void ObservedBuilder::open_chain(std::string_view name) {
  hook_rules_ = nullptr;
  chain_ = table_.chains.try_emplace(ChainName(name)).first;
}

void ObservedBuilder::only_differences(std::set<ChainName> missing) {
  table_.only_differences = true;
  table_.missing = std::move(missing);
}

void ObservedBuilder::add_kube_forward_rule(Span entry) {
  const bool drops = with_family(id_.family, [&]<class F>(F) { return drops_invalid<F>(entry); });
  if (drops) table_.kube_drops_invalid = true;
}

void ObservedBuilder::add_rule(Span entry, std::string_view jump_to) {
  if (hook_rules_ != nullptr) {
    const auto kind = chains::kind_of_hook_rule(
        own_chain_, jump_to, [&] { return decode_rule(id_.family, entry, jump_to); });
    hook_rules_->push_back({kind, hook_rules_->size()});
    return;
  }
  chains::ObservedChain& rules = chain_->second;
  rules.push_back(
      {decode_rule(id_.family, entry, jump_to), rules.size(), packets_of(id_.family, entry)});
}

}  // namespace nmanager::iptables_legacy
