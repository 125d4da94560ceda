#include "hooks/detect/decide.h"

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

VariantDecision decide_between(const VariantEvidence& evidence, const VariantDecision& previous) {
  const bool nft_services = holds(evidence.nft.services);
  const bool legacy_services = holds(evidence.legacy.services);
  const bool nft_hint = holds(evidence.nft.hint);
  const bool legacy_hint = holds(evidence.legacy.hint);
  VariantDecision decision;
  if (nft_services != legacy_services) {
    decision.variant = nft_services ? Variant::kNft : Variant::kLegacy;
    decision.certain = true;
    decision.reason = "KUBE-SERVICES in " + std::string(to_string(*decision.variant)) + " only";
  } else if (nft_hint != legacy_hint) {
    decision.variant = nft_hint ? Variant::kNft : Variant::kLegacy;
    decision.certain = true;
    decision.reason = "hint chains in " + std::string(to_string(*decision.variant)) + " only";
  } else {
    decision.variant = previous.variant.value_or(Variant::kNft);
    decision.reason = "the same chains in both variants";
  }
  decision.warning =
      "both variants of iptables are populated: " + found_in(evidence.nft, Variant::kNft) + ", " +
      found_in(evidence.legacy, Variant::kLegacy) + "; " +
      std::string(to_string(*decision.variant)) +
      " is used; remove the remaining KUBE-* chains from " +
      std::string(to_string(other(*decision.variant)));
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
  return decision;
}

}  // namespace nmanager::detect
