// An index of a whole table as IPT_SO_GET_ENTRIES returns it. One bounds-checked pass over the
// untrusted bytes finds the chains; only requested chains are parsed. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "hooks/iptables_legacy/entry.h"
#include "hooks/iptables_legacy/shape.h"
#include "hooks/values/result.h"

namespace nmanager::iptables_legacy {

/// The rules of one chain: bytes [begin, end) of the blob. The policy entry after them is not a
/// rule.
struct BlobChain {
  std::string_view name;  // points into the blob; empty for a built-in chain
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

/// F is Ipv4 or Ipv6. The bytes from which it was built must outlive it.
template <class F>
class BlobIndex {
 public:
  /// kUnsupported if `blob` is not a well-formed table of that shape; never reads outside of it.
  [[nodiscard]] static Result<BlobIndex> build(Span blob, const TableShape& shape);

  [[nodiscard]] const std::vector<BlobChain>& user_chains() const { return chains_; }
  /// `hook` is a number of enum nf_inet_hooks; nullopt if the table has no such chain.
  [[nodiscard]] std::optional<BlobChain> hook_chain(std::size_t hook) const;

  /// Calls visit(entry, jump_to) for each rule; `jump_to` is empty unless the rule jumps to a
  /// chain.
  template <class Visit>
  void for_each_rule(const BlobChain& chain, Visit&& visit) const {
    for (std::uint32_t at = chain.begin; at < chain.end;) {
      const EntryFrame frame = *frame_of<F>(blob_.subspan(at));
      const Span entry = blob_.subspan(at, frame.next_offset);
      visit(entry, jump_target(entry, frame));
      at += frame.next_offset;
    }
  }

 private:
  BlobIndex(Span blob, const TableShape& shape) : blob_(blob), shape_(shape) {}

  [[nodiscard]] bool index();
  [[nodiscard]] bool add_header(std::uint32_t at, const EntryFrame& frame, std::uint32_t before);
  [[nodiscard]] std::string_view jump_target(Span entry, const EntryFrame& frame) const;

  Span blob_;
  TableShape shape_;
  std::vector<BlobChain> chains_;  // in the order of the blob, so sorted by `begin`
};

}  // namespace nmanager::iptables_legacy
