// Any bytes as the kernel's answer to GET_INFO and GET_ENTRIES, of either family: a byte (6: IPv6),
// the shape, the entries. They are refused or read within their bounds.
#include <cstdint>
#include <cstring>
#include <vector>

#include "hooks/chains/rule_text.h"
#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/codec.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/observe.h"
#include "hooks/values/hook_number.h"
#include "test/fuzz/require.h"

using nmanager::Table;
using nmanager::chains::ObservedRule;
using nmanager::test::require;
namespace iptables_legacy = nmanager::iptables_legacy;

namespace {

/// A rule that is decoded as ours must be one that we could have written.
template <class F>
void decode(iptables_legacy::Span entry, std::string_view jump_to) {
  const auto rule = iptables_legacy::decode_rule(F::kFamily, entry, jump_to);
  if (!rule) return;
  const auto again = iptables_legacy::encode_rule(F::kFamily, *rule);
  require(again.ok() && again->size == entry.size());
}

template <class F>
void observe(const iptables_legacy::BlobIndex<F>& blob, Table table) {
  iptables_legacy::ObservedBuilder builder({F::kFamily, table});
  const auto add = [&](iptables_legacy::Span entry, std::string_view jump_to) {
    builder.add_rule(entry, jump_to);
    decode<F>(entry, jump_to);
  };
  for (const nmanager::Hook hook : nmanager::hooks_of(table)) {
    builder.open_hook(hook);
    const auto chain = blob.hook_chain(nmanager::hook_number(hook));
    if (chain) blob.for_each_rule(*chain, add);
  }
  for (const iptables_legacy::BlobChain& chain : blob.user_chains()) {
    if (nmanager::is_own_chain(chain.name)) {
      builder.open_chain(chain.name);
      blob.for_each_rule(chain, add);
    } else {
      blob.for_each_rule(chain, decode<F>);
    }
  }
  (void)builder.take();
}

template <class F>
void read(iptables_legacy::Span entries, const iptables_legacy::TableShape& shape) {
  // A block of exact size, so that a sanitizer detects an access outside of it.
  const std::vector<std::uint8_t> exact(entries.begin(), entries.end());
  const auto blob = iptables_legacy::BlobIndex<F>::build(exact, shape);
  if (!blob) return;
  for (const Table table : {Table::kFilter, Table::kNat}) observe<F>(*blob, table);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  iptables_legacy::Span input(data, size);
  if (input.size() <= sizeof(iptables_legacy::TableShape)) return 0;
  const bool ipv6 = input.front() == 6;
  auto shape = *iptables_legacy::load<iptables_legacy::TableShape>(input.subspan(1));
  input = input.subspan(1 + sizeof shape);
  // The kernel's answers are consistent in this; without it every input would be refused at once.
  shape.size = static_cast<std::uint32_t>(input.size());
  if (ipv6) {
    read<iptables_legacy::Ipv6>(input, shape);
  } else {
    read<iptables_legacy::Ipv4>(input, shape);
  }
  return 0;
}
