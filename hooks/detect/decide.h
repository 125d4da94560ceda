// Decides which variant of iptables is in use, from the tables in the kernel. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nmanager::detect {

enum class Variant : std::uint8_t { kNft, kLegacy };

[[nodiscard]] std::string_view to_string(Variant variant);  // "iptables-nft", "iptables-legacy"

/// Traces of kubelet and kube-proxy in one variant's tables, of either family. nullopt: could not
/// be read.
struct VariantTraces {
  std::optional<bool> hint;      // mangle holds one of kKubeHintChains
  std::optional<bool> services;  // nat holds KUBE-SERVICES
  bool operator==(const VariantTraces&) const = default;
};

struct VariantEvidence {
  VariantTraces nft;
  VariantTraces legacy;
  bool nft_possible = true;  // false: the kernel has no nf_tables
  std::string problem;       // why a trace could not be read; one line
};

struct VariantDecision {
  std::optional<Variant> variant;  // nullopt: undecided
  bool certain = false;            // no need to check again soon
  std::string reason;              // one line
  std::string warning;             // one line for the operator; empty: no problem
  bool operator==(const VariantDecision&) const = default;
};

/// Like iptables-wrappers v3: the variant with traces, nft before legacy; nft if there are none.
/// When both have traces: the one with KUBE-SERVICES, with a warning. The previous decision is kept
/// unless the new one is certain: an emptied table is not a change of variant.
[[nodiscard]] VariantDecision decide_variant(const VariantEvidence& evidence,
                                             const VariantDecision& previous);

}  // namespace nmanager::detect
