// What one table of chains shall hold, said as far as it is asked for: thousands of rules are not
// made to write one. Pure.
#pragma once

#include <cstddef>
#include <functional>
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
  /// What a commit of about `rules` rules should write before the others, so that each way to a
  /// rule is whole at any time. What is wished comes first, nothing that is left of it is below it;
  /// then chains that are not wished are emptied. `is_empty`: a chain that exists has no rules.
  using IsEmpty = std::function<bool(const ChainName&)>;
  [[nodiscard]] Part part(const Differences& differences, const IsEmpty& is_empty,
                          std::size_t rules) const;
  /// What all of it does to UDP.
  [[nodiscard]] virtual UdpSide udp() const = 0;

 private:
  [[nodiscard]] virtual bool has(const ChainName& chain) const = 0;
  /// Of what is wished; empty: all of it fits.
  [[nodiscard]] virtual std::set<ChainName> first_of(const Differences& /*differences*/,
                                                     std::size_t /*rules*/) const {
    return {};
  }
};

/// Of a table that is at hand as a whole.
class WholeWish final : public Wish {
 public:
  /// `table` must live longer.
  explicit WholeWish(const DesiredTable& table) : table_(table) {}
  [[nodiscard]] DesiredTable for_plan(const ObservedTable& observed) const override;
  [[nodiscard]] UdpSide udp() const override;

 private:
  [[nodiscard]] bool has(const ChainName& chain) const override {
    return table_.chains.contains(chain);
  }

  const DesiredTable& table_;
};

class ExternalWish final : public Wish {
 public:
  /// `chains` must live longer.
  explicit ExternalWish(const ExternalChains& chains) : chains_(chains) {}
  [[nodiscard]] DesiredTable for_plan(const ObservedTable& observed) const override;
  [[nodiscard]] UdpSide udp() const override;

 private:
  [[nodiscard]] bool has(const ChainName& chain) const override {
    return chains_.digests().chains.contains(chain);
  }
  [[nodiscard]] std::set<ChainName> first_of(const Differences& differences,
                                             std::size_t rules) const override;

  const ExternalChains& chains_;
};

}  // namespace nmanager::chains
