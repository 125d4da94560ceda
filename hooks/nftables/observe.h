// Reads `table inet nmanager`: its structure, and the elements of its sets.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hooks/netlink/socket.h"
#include "hooks/nftables/codec.h"
#include "hooks/nftables/plan.h"

namespace nmanager::nftables {

struct DumpedChain {
  std::optional<BaseChain> base;
  bool drops = false;
  std::vector<DumpedRule> rules;
};

struct DumpedSet {
  bool as_made = false;  // as expected
  bool is_map = false;
};

/// Everything except the elements. Chains and sets that belong to a rule (anonymous ones) are not
/// listed: they are deleted with it.
struct Structure {
  bool exists = false;
  bool dormant = false;
  std::string comment;  // the table's
  std::map<std::string, DumpedChain> chains;
  std::map<std::string, DumpedSet> sets;
  std::vector<OtherObject> others;
};

/// kRetry: interrupted by a commit. About 10 us for each chain and set.
[[nodiscard]] Result<Structure> read_structure(netlink::Netlink& netlink);

/// The rules of one chain; empty if the chain does not exist.
[[nodiscard]] Result<std::vector<DumpedRule>> read_chain(netlink::Netlink& netlink,
                                                         const std::string& chain);

/// All elements of one set, in any order. True: there are some that no Element can express.
using SeeElement = std::function<void(Element&&)>;
[[nodiscard]] Result<bool> read_elements(netlink::Netlink& netlink, const SetId& id,
                                         const SeeElement& see);

}  // namespace nmanager::nftables
