// A cache of our chains in one table: a digest of each chain, kept valid by the events that name
// our chains or, when only the generation is polled, by reading the chains again at a bounded cost.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
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

  /// Marks every chain as doubtful; there may also be unknown chains (start, lost events).
  void forget();
  /// Marks every known chain as doubtful.
  void doubt_all();
  /// Another process changed this chain: its content and its existence are doubtful.
  void doubt(std::string_view name);

  /// Lists the chains if the list is out of date.
  Status list(netlink::Netlink& netlink);
  /// Without events, new chains are found only by listing. Requests a new list when the last one is
  /// old enough, so that listing takes at most 0.1 % of a core. True: a list is due.
  bool list_again_in_time(std::chrono::steady_clock::time_point now);
  /// Lists the chains and reads the doubtful ones, those in `first` before the others, until about
  /// `most` chains and rules were read. After an error (kRetry: interrupted) the chains read so far
  /// stay known.
  Status refresh(netlink::Netlink& netlink, std::span<const ChainName> first, std::size_t most);
  /// Those that are still doubtful.
  [[nodiscard]] std::size_t unread() const { return doubtful_.size(); }
  [[nodiscard]] bool knows(std::string_view name) const {
    return digests_.contains(ChainName(name));
  }
  [[nodiscard]] std::size_t size() const { return digests_.size(); }
  /// The chains that exist or may exist, sorted.
  [[nodiscard]] std::vector<ChainName> names() const;

  /// Stores the result of a read of a chain; nullopt: the chain does not exist.
  void learn(const ChainName& name, const std::optional<chains::ObservedChain>& content);
  /// Our commit was applied; `observed` is the table that it was planned on.
  void committed(const chains::TablePlan& plan, const chains::ObservedTable& observed,
                 const std::set<ChainName>& still_referenced);

  /// Call it when nothing is unread(). The cost depends on the changes since the last call with
  /// equal `expected`. The reference is valid until the next call.
  const chains::Differences& compare(const chains::ChainDigests& expected);
  /// It exists and has no rules; call it when nothing is unread().
  [[nodiscard]] bool is_empty(const ChainName& name) const;

  /// Another process committed: sweep every chain once from now on; with `list_too` (no events)
  /// also list the chains.
  void sweep_all(bool list_too) {
    left_to_sweep_ = digests_.size();
    list_due_ = list_due_ || list_too;
  }
  /// Reads the next `count` chains, in a cycle, even if they are not doubtful. Finds changes
  /// without an event (a renamed chain: its event has only the new name). True: a chain differed
  /// from the cache.
  bool sweep(netlink::Netlink& netlink, std::size_t count);

 private:
  void set(const ChainName& name, std::uint64_t digest);
  void erase(const ChainName& name);
  /// After a first fill: a comparison of everything costs less than memory for what changed.
  void compare_all_next();
  void judge(const ChainName& name, const chains::ChainDigests& expected);
  void judge_all(const chains::ChainDigests& expected);
  /// Returns the number of rules.
  Result<std::size_t> read(netlink::Netlink& netlink, const ChainName& name);

  TableId id_;
  bool listed_ = false;
  std::chrono::steady_clock::time_point listed_at_;
  std::chrono::steady_clock::duration list_cost_{};
  std::map<ChainName, std::uint64_t> digests_;
  std::set<ChainName> doubtful_;  // may name chains that do not exist
  bool all_doubtful_ = false;     // each that is known
  std::string last_doubtful_;     // the last one that was added, while it is

  std::optional<std::uint64_t> compared_to_;  // the sum of the last `expected`
  std::set<ChainName> changed_;               // since then
  chains::Differences differences_;

  std::size_t left_to_sweep_ = 0;
  bool list_due_ = false;
  ChainName swept_;  // the last chain that was swept
};

/// The digest of a chain that was read. It never equals that of a desired chain if a rule is not
/// ours.
[[nodiscard]] std::uint64_t digest_of(const chains::ObservedChain& chain);

/// The present content of a chain; nullopt: it does not exist. kRetry: a commit interrupted the
/// read.
[[nodiscard]] Result<std::optional<chains::ObservedChain>> read_if_exists(netlink::Netlink& netlink,
                                                                          TableId id,
                                                                          const ChainName& chain);

}  // namespace nmanager::iptables_nft
