// What is known of our chains in one table without reading them again: a digest of each, proven by
// the events that name chains of ours, or, when only the generation is polled, by re-reading at a
// bounded cost.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "hooks/chains/digests.h"
#include "hooks/chains/observed.h"
#include "hooks/chains/plan.h"
#include "hooks/netlink/socket.h"

namespace nmanager::iptables_nft {

class OwnChains {
 public:
  explicit OwnChains(TableId id) : id_(id) {}

  /// Everything is doubtful, and there may be chains that are not known (start, lost events).
  void forget();
  /// Everything that is known is doubtful.
  void doubt_all();
  /// Somebody touched this chain: its content, or whether it exists, is doubtful.
  void doubt(std::string_view name);

  /// Lists the chains, if that is needed.
  Status list(netlink::Netlink& netlink);
  /// Without events nobody tells of new chains: lists again when the last list is old enough for
  /// its cost, at most 0.1 % of a core. True: it is to be listed now.
  bool list_again_in_time(std::chrono::steady_clock::time_point now);
  /// Lists, and reads the doubtful ones. On an error (kRetry: interrupted) what was read so far
  /// stays known.
  Status refresh(netlink::Netlink& netlink);
  [[nodiscard]] bool knows(std::string_view name) const {
    return digests_.contains(ChainName(name));
  }
  [[nodiscard]] std::size_t size() const { return digests_.size(); }
  /// The chains that exist or may exist, sorted.
  [[nodiscard]] std::vector<ChainName> names() const;

  /// What a fresh read of a chain says; nothing: it does not exist.
  void learn(const ChainName& name, const std::optional<chains::ObservedChain>& content);
  /// Our own commit came through; `observed` is what it was planned on.
  void committed(const chains::TablePlan& plan, const chains::ObservedTable& observed,
                 const std::set<ChainName>& still_referenced);

  struct Differences {
    std::set<ChainName> differing;  // they exist, but not as expected, or are not expected
    std::set<ChainName> missing;
  };
  /// To be called after refresh(). Costs what changed since the last call with equal `expected`.
  const Differences& compare(const chains::ChainDigests& expected);

  /// Somebody committed something: every chain is to be swept once from now on; and listed, where
  /// no event tells of new ones.
  void sweep_all(bool list_too) {
    left_to_sweep_ = digests_.size();
    list_due_ = list_due_ || list_too;
  }
  /// Reads the next few chains, round and round, whatever is known of them: finds what no event
  /// tells (a chain renamed: its event has only the new name). True: something was not as known.
  bool sweep(netlink::Netlink& netlink, std::size_t count);

 private:
  void set(const ChainName& name, std::uint64_t digest);
  void erase(const ChainName& name);
  void judge(const ChainName& name, const chains::ChainDigests& expected);
  void judge_all(const chains::ChainDigests& expected);
  Status read(netlink::Netlink& netlink, const ChainName& name);

  TableId id_;
  bool listed_ = false;
  std::chrono::steady_clock::time_point listed_at_;
  std::chrono::steady_clock::duration list_cost_{};
  std::map<ChainName, std::uint64_t> digests_;
  std::set<ChainName> doubtful_;  // may name chains that do not exist

  std::optional<std::uint64_t> compared_to_;  // the sum of the last `expected`
  std::set<ChainName> changed_;               // since then
  Differences differences_;

  std::size_t left_to_sweep_ = 0;
  bool list_due_ = false;
  ChainName swept_;  // the last one
};

/// The digest of what was read; never that of a desired chain when a rule is not one of ours.
[[nodiscard]] std::uint64_t digest_of(const chains::ObservedChain& chain);

/// One chain as it stands; nothing: there is none. kRetry: interrupted.
[[nodiscard]] Result<std::optional<chains::ObservedChain>> read_if_exists(netlink::Netlink& netlink,
                                                                          TableId id,
                                                                          const ChainName& chain);

}  // namespace nmanager::iptables_nft
