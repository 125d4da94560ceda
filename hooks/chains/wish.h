// What one table of chains shall hold, said as far as it is asked for: thousands of rules are not
// made to write one. Pure.
#pragma once

#include <cstddef>
#include <set>

#include "hooks/chains/desired.h"
#include "hooks/chains/external_chains.h"
#include "hooks/chains/observed.h"
#include "hooks/intent/udp_change.h"

namespace nmanager::chains {

class Wish {
 public:
  virtual ~Wish() = default;
  /// Every jump, and the rules that make_plan() compares with what was observed.
  [[nodiscard]] virtual DesiredTable for_plan(const ObservedTable& observed) const = 0;
  /// Which of these chains a commit of about `rules` rules should write before the others, so that
  /// each way to a rule is whole at any time: nothing that is left is below them. Empty: all.
  [[nodiscard]] virtual std::set<ChainName> part(const std::set<ChainName>& /*missing*/,
                                                 const std::set<ChainName>& /*differing*/,
                                                 std::size_t /*rules*/) const {
    return {};
  }
  /// What all of it does to UDP.
  [[nodiscard]] virtual UdpRules udp_rules() const = 0;
};

/// Of a table that is at hand as a whole.
class WholeWish final : public Wish {
 public:
  /// `table` must live longer.
  explicit WholeWish(const DesiredTable& table) : table_(table) {}
  [[nodiscard]] DesiredTable for_plan(const ObservedTable& observed) const override;
  [[nodiscard]] UdpRules udp_rules() const override;

 private:
  const DesiredTable& table_;
};

class ExternalWish final : public Wish {
 public:
  /// `chains` must live longer.
  explicit ExternalWish(const ExternalChains& chains) : chains_(chains) {}
  [[nodiscard]] DesiredTable for_plan(const ObservedTable& observed) const override;
  [[nodiscard]] std::set<ChainName> part(const std::set<ChainName>& missing,
                                         const std::set<ChainName>& differing,
                                         std::size_t rules) const override;
  [[nodiscard]] UdpRules udp_rules() const override { return chains_.udp_rules(); }

 private:
  const ExternalChains& chains_;
};

}  // namespace nmanager::chains
