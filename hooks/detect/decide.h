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
  /// Moves when kube-proxy writes its chains in nat; 0: there are none, or could not be told.
  std::uint64_t stamp = 0;
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
  std::string warning;             // one line for an operator, empty: nothing is wrong
  /// The variant in which kube-proxy was last seen to write, while both hold its chains.
  std::optional<Variant> writer;
  std::uint64_t nft_stamp = 0;  // of the evidence
  std::uint64_t legacy_stamp = 0;
  bool operator==(const VariantDecision&) const = default;
};

/// As iptables-wrappers v3: traces in nft, then in legacy, else nft. When both are populated, the
/// one that holds KUBE-SERVICES, with a warning; when both hold it, the one in which kube-proxy was
/// seen to write. Only what is known to be left over is called so. While nothing certain speaks for
/// another variant the previous decision's stands: an emptied table is no change of variant.
[[nodiscard]] VariantDecision decide_variant(const VariantEvidence& evidence,
                                             const VariantDecision& previous);

}  // namespace nmanager::detect
