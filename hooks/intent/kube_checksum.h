// The content checksum of KUBE-* chains: sum mod 2^64 over the rules of H(chain, rule without
// counters, jump target by name). Order-free, since kube-proxy writes KUBE-SERVICES in random
// order.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nmanager {

/// A cheap stamp of kube-proxy's chains in one family's nat table: it changes at every kube-proxy
/// sync (and possibly more often), and is stable at idle. 0 if KUBE-SERVICES does not exist.
using KubeStamp = std::uint64_t;

/// Equal across variants for equal KUBE-* rules is a goal of each
/// backend.
struct KubeChecksum {
  bool present = false;  // the nat table holds KUBE-SERVICES
  bool empty = false;    // ... without a rule: no sync wrote it, or it was flushed
  std::uint64_t sum = 0;
  bool operator==(const KubeChecksum&) const = default;
};

/// Collects rules in any order. The bytes of a rule are whatever the backend reads, made
/// comparable: counters zeroed, jump targets given by name instead of by offset or handle.
class ChecksumSum {
 public:
  void add_chain(std::string_view chain);  // an empty chain counts too
  void add_rule(std::string_view chain, std::span<const std::uint8_t> rule_without_counters,
                std::string_view jump_target);
  [[nodiscard]] std::uint64_t sum() const { return sum_; }

 private:
  std::uint64_t sum_ = 0;
};

}  // namespace nmanager
