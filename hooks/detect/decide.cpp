#include "hooks/detect/decide.h"

#include <cstdint>

#include "hooks/values/kube_chain.h"

namespace nmanager::detect {

namespace {

bool holds(std::optional<bool> trace) {
  return trace.value_or(false);
}

bool populated(const VariantTraces& traces) {
  return holds(traces.hint) || holds(traces.services);
}

bool known(const VariantTraces& traces) {
  return traces.hint.has_value() && traces.services.has_value();
}

Variant other(Variant variant) {
  return variant == Variant::kNft ? Variant::kLegacy : Variant::kNft;
}

std::string found_in(const VariantTraces& traces, Variant variant) {
  std::string what = holds(traces.services) ? std::string(kKubeServices) : "";
  if (holds(traces.hint)) what += what.empty() ? "hint chains" : " and hint chains";
  return what + " in " + std::string(to_string(variant));
}

/// Only one variant has traces. nft takes precedence, so a hint in nft is certain without a check
/// of legacy.
VariantDecision decide_one(const VariantEvidence& evidence, Variant variant) {
  const bool nft = variant == Variant::kNft;
  const VariantTraces& here = nft ? evidence.nft : evidence.legacy;
  const VariantTraces& there = nft ? evidence.legacy : evidence.nft;
  VariantDecision decision;
  decision.variant = variant;
  decision.certain = known(there) || (nft ? holds(here.hint) : !evidence.nft_possible);
  decision.reason = found_in(here, variant);
  return decision;
}

/// The only one that kube-proxy has written in since the last look; else what was seen before.
std::optional<Variant> writer_of(const VariantEvidence& evidence, const VariantDecision& previous) {
  const auto moved = [](std::uint64_t before, std::uint64_t now) {
    return before != 0 && now != 0 && before != now;
  };
  const bool nft = moved(previous.nft_stamp, evidence.nft.stamp);
  const bool legacy = moved(previous.legacy_stamp, evidence.legacy.stamp);
  if (nft != legacy) return nft ? Variant::kNft : Variant::kLegacy;
  return previous.writer;
}

std::string both_populated(const VariantEvidence& evidence) {
  return "both variants of iptables are populated: " + found_in(evidence.nft, Variant::kNft) +
         ", " + found_in(evidence.legacy, Variant::kLegacy) + "; ";
}

/// The variant that alone holds hint chains.
std::optional<Variant> only_hint(const VariantEvidence& evidence) {
  if (holds(evidence.nft.hint) == holds(evidence.legacy.hint)) return std::nullopt;
  return holds(evidence.nft.hint) ? Variant::kNft : Variant::kLegacy;
}

/// kube-proxy's chains are in both: only one of them is written.
VariantDecision decide_by_writer(const VariantEvidence& evidence, const VariantDecision& previous) {
  VariantDecision decision;
  decision.writer = writer_of(evidence, previous);
  if (decision.writer) {
    decision.variant = decision.writer;
    decision.certain = true;
    const std::string variant(to_string(*decision.variant));
    decision.reason = "kube-proxy writes its chains in " + variant;
    decision.warning = both_populated(evidence) + "kube-proxy writes in " + variant +
                       ", which is followed; remove what is left in " +
                       std::string(to_string(other(*decision.variant)));
    return decision;
  }
  if (const auto hinted = only_hint(evidence)) {
    decision.variant = hinted;
    decision.certain = true;
    decision.reason = "hint chains in " + std::string(to_string(*hinted)) + " only";
  } else {
    decision.variant = previous.variant.value_or(Variant::kNft);
    decision.reason = "the same chains in both variants";
  }
  decision.warning = both_populated(evidence) + std::string(to_string(*decision.variant)) +
                     " is followed; which one kube-proxy writes in is not known before it changes "
                     "something, so remove nothing yet";
  return decision;
}

VariantDecision decide_between(const VariantEvidence& evidence, const VariantDecision& previous) {
  const bool nft_services = holds(evidence.nft.services);
  const bool legacy_services = holds(evidence.legacy.services);
  if (nft_services && legacy_services) return decide_by_writer(evidence, previous);
  VariantDecision decision;
  if (nft_services != legacy_services) {
    decision.variant = nft_services ? Variant::kNft : Variant::kLegacy;
    decision.certain = true;
    decision.reason = "KUBE-SERVICES in " + std::string(to_string(*decision.variant)) + " only";
  } else {
    decision.variant = previous.variant.value_or(Variant::kNft);
    decision.reason = "the same chains in both variants";
  }
  // Hint chains are kubelet's, which may still keep them there.
  decision.warning =
      both_populated(evidence) + std::string(to_string(*decision.variant)) + " is followed";
  return decision;
}

VariantDecision decide_nothing(const VariantEvidence& evidence, const VariantDecision& previous) {
  VariantDecision decision;
  decision.variant = previous.variant;
  const bool unread = !known(evidence.legacy) || (!known(evidence.nft) && evidence.nft_possible);
  if (unread && !evidence.problem.empty()) {
    decision.reason = "cannot be determined: " + evidence.problem;
    return decision;
  }
  decision.reason = "no chain of kubelet or kube-proxy yet";
  if (!decision.variant) {
    decision.variant = evidence.nft_possible ? Variant::kNft : Variant::kLegacy;
    if (!evidence.nft_possible) decision.reason += ", and the kernel has no nf_tables";
  }
  return decision;
}

}  // namespace

std::string_view to_string(Variant variant) {
  return variant == Variant::kNft ? "iptables-nft" : "iptables-legacy";
}

VariantDecision decide_variant(const VariantEvidence& evidence, const VariantDecision& previous) {
  const bool nft = populated(evidence.nft);
  const bool legacy = populated(evidence.legacy);
  if (!nft && !legacy) return decide_nothing(evidence, previous);
  VariantDecision decision = nft && legacy ? decide_between(evidence, previous)
                             : nft         ? decide_one(evidence, Variant::kNft)
                                           : decide_one(evidence, Variant::kLegacy);
  if (!decision.certain && previous.variant && decision.variant != previous.variant) {
    decision.variant = previous.variant;
  }
  decision.nft_stamp = evidence.nft.stamp;
  decision.legacy_stamp = evidence.legacy.stamp;
  return decision;
}

}  // namespace nmanager::detect
