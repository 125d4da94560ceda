#include "hooks/intent/drop_invalid.h"

#include <array>
#include <utility>

namespace nmanager {

namespace {

constexpr TcpFlags kSynAck{kTcpSyn | kTcpAck, kTcpSyn | kTcpAck};
constexpr TcpFlags kNoReset{kTcpRst, 0};

constexpr std::array kDropHooks{Hook::kInput, Hook::kForward};

/// INPUT's chains are those of network-node-manager, which restores its rules if they differ
/// (deploy/README.md): every packet reaches the inner chain and would pay for another rule.
bool tells_kinds(Hook hook) {
  return hook != Hook::kInput;
}

std::vector<InvalidRule> exemptions(Family family, const DropInvalid& drop) {
  std::vector<InvalidRule> rules;
  const auto exempt = [&]() -> InvalidRule& {
    rules.emplace_back();
    rules.back().verdict = Return{};
    return rules.back();
  };
  for (const std::string& name : drop.exempt.interfaces) exempt().in_interface = name;
  for (const Prefix& source : drop.exempt.sources) {
    if (source.family() != family) continue;
    // No packet of this source has such an address: nothing to exempt.
    if (!drop.source || intersect(source, *drop.source)) exempt().source = source;
  }
  for (const Prefix& destination : drop.exempt.destinations) {
    if (destination.family() == family) exempt().destination = destination;
  }
  if (drop.spares_syn_ack) exempt().tcp_flags = kSynAck;
  return rules;
}

}  // namespace

DropInvalid drop_invalid_input(InvalidAction action, Exemptions exempt) {
  return {Hook::kInput, action, std::nullopt, false, std::move(exempt)};
}

DropInvalid drop_invalid_forward(InvalidAction action, const Prefix& pods, Exemptions exempt) {
  return {Hook::kForward, action, pods, true, std::move(exempt)};
}

ChainName drop_chain(Hook hook) {
  return ChainName(hook == Hook::kForward ? "NMANAGER_DROP_INVALID_FWD"
                                          : "NMANAGER_DROP_INVALID_INPUT");
}

std::vector<InvalidRule> rules_of(Family family, const DropInvalid& drop) {
  std::vector<InvalidRule> rules = exemptions(family, drop);
  for (const TcpFlags& flags : {kNoReset, TcpFlags{}}) {
    if (flags == kNoReset && !tells_kinds(drop.hook)) continue;
    InvalidRule rule;
    rule.source = drop.source;
    rule.tcp_flags = flags;
    rule.counts = true;
    if (drop.action == InvalidAction::kCount) rule.verdict = Return{};
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::optional<InvalidCounter> counter_of(std::string_view chain, bool drops,
                                         const TcpFlags& flags) {
  for (const Hook hook : kDropHooks) {
    if (drop_chain(hook).view() != chain) continue;
    if (flags != kNoReset && flags != TcpFlags{}) return std::nullopt;
    return InvalidCounter{hook, drops, flags == kNoReset || !tells_kinds(hook)};
  }
  return std::nullopt;
}

std::uint64_t packets_of(const InvalidCounts& counts, const InvalidCounter& counter) {
  const auto found = counts.find(counter);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace nmanager
