#include "hooks/nftables/ruleset.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>

#include "hooks/intent/sources.h"
#include "hooks/nftables/text.h"
#include "hooks/values/hash.h"

namespace nmanager::nftables {

namespace {

/// Just before kube-proxy's nat, of either variant and of its nftables mode (-100,
/// NF_IP_PRI_NAT_DST).
constexpr int kBeforeKubeProxy = -101;

constexpr std::array kKinds{SetKind::kExternal, SetKind::kRestricted, SetKind::kCluster};

std::string_view word_of(SetKind kind) {
  switch (kind) {
    case SetKind::kExternal:
      return "external";
    case SetKind::kRestricted:
      return "restricted";
    case SetKind::kCluster:
      return "cluster";
  }
  return "";
}

ChainName chain_of(std::string_view name) {
  return ChainName(name);
}

/// The jump from a base chain to the chain with the part's rules.
NativeRule jump_from_base(TableId part, const ChainName& to) {
  NativeRule rule;
  rule.part = part;
  rule.verdict = Jump{to};
  return rule;
}

/// Calls `add` for each element of one set that `address` needs.
template <class Add>
void each_element(SetKind kind, const ExternalAddress& address, MatchBy by, Add&& add) {
  const std::vector<Prefix> sources = outermost(address.allowed_sources, address.external.family());
  if (!address.allowed_sources.empty() && sources.empty()) return;  // nobody may come this way
  const bool everybody = sources.empty() || sources.front().length() == 0;
  Element element;
  element.external = address.external;
  const auto add_port = [&] {
    if (kind == SetKind::kCluster || (kind == SetKind::kExternal && everybody)) add(element);
    if (kind != SetKind::kRestricted || everybody) return;
    for (const Prefix& source : sources) {
      element.source = source;
      add(element);
    }
  };
  if (kind == SetKind::kCluster) {
    element.to = address.cluster;
    element.owner = address.owner;
  }
  if (by == MatchBy::kAddress) return add_port();
  for (const auto& [protocol, port] : address.ports) {
    element.protocol = protocol;
    element.port = port;
    add_port();
  }
}

void add_elements(Elements& elements, const SetId& id, std::span<const ExternalAddress> entries) {
  for (const ExternalAddress& entry : entries) {
    each_element(id.kind, entry, id.by, [&](const Element& one) { elements.push_back(one); });
  }
}

/// As each_element(), without making them where every source is allowed.
std::size_t count_of(SetKind kind, std::span<const ExternalAddress> entries, MatchBy by) {
  std::size_t count = 0;
  for (const ExternalAddress& entry : entries) {
    if (!entry.allowed_sources.empty()) {
      each_element(kind, entry, by, [&](const Element&) { ++count; });
    } else if (kind != SetKind::kRestricted) {
      count += by == MatchBy::kAddress ? 1 : entry.ports.size();
    }
  }
  return count;
}

/// The ExternalCluster that has the set; else nullptr.
const ExternalCluster* cluster_of(const SetId& id, const TableSpec& spec) {
  const ExternalCluster* external = external_of(spec);
  return external != nullptr && external->settings.match == id.by ? external : nullptr;
}

class Renderer {
 public:
  explicit Renderer(TableId part) : part_(part) {}

  void operator()(const DropInvalid& drop) {
    const ChainName outer = *hook_chain(part_.table, drop.hook);
    const ChainName inner = drop_chain(drop.hook);
    if (drop.action == InvalidAction::kLeave) {
      ruleset_.left_chains.insert({outer, inner});
      return;
    }
    // The source first: this costs less than a conntrack lookup.
    NativeRule jump = jump_from_base(part_, inner);
    jump.source = drop.source;
    jump.state_invalid = true;
    ruleset_.chains[outer] = {jump};
    for (const InvalidRule& one : rules_of(part_.family, drop)) {
      NativeRule rule;
      rule.part = part_;
      rule.in_interface = one.in_interface;
      rule.source = one.counts ? std::nullopt : one.source;  // otherwise the jump matches it
      rule.destination = one.destination;
      rule.tcp_flags = one.tcp_flags;
      rule.counts = one.counts;
      std::visit([&](const auto& verdict) { rule.verdict = verdict; }, one.verdict);
      ruleset_.chains[inner].push_back(std::move(rule));
    }
  }

  void operator()(const ExternalCluster& external) {
    const ExternalClusterSettings& settings = external.settings;
    for (const SetKind kind : kKinds) {
      ruleset_.sets[{part_.family, kind, settings.match}] = std::make_shared<const Elements>();
    }
    if (settings.pod_cidr) {
      NativeRule pods;
      if (settings.pod_cidr->length() > 0) pods.source = settings.pod_cidr;
      add_half(Hook::kPrerouting, "NMANAGER_EX_CLUS_PREROUTING", pods, settings);
    }
    NativeRule node;
    node.source_is_local = true;
    add_half(Hook::kOutput, "NMANAGER_EX_CLUS_OUTPUT", node, settings);
  }

  Ruleset take() { return std::move(ruleset_); }

 private:
  void add_half(Hook hook, std::string_view inner, NativeRule rule,
                const ExternalClusterSettings& settings) {
    const ChainName chain = chain_of(inner);
    ruleset_.chains[*hook_chain(part_.table, hook)] = {jump_from_base(part_, chain)};
    const std::uint32_t bit = std::uint32_t{1} << static_cast<unsigned>(settings.masquerade_bit);
    rule.part = part_;
    rule.mark = SetMark{bit, bit};
    rule.verdict = Translate{{part_.family, SetKind::kCluster, settings.match}};
    for (const SetKind kind : {SetKind::kExternal, SetKind::kRestricted}) {
      rule.among = SetId{part_.family, kind, settings.match};
      ruleset_.chains[chain].push_back(rule);
    }
  }

  TableId part_;
  Ruleset ruleset_;
};

}  // namespace

std::string name_of(const SetId& id) {
  std::string name(word_of(id.kind));
  if (id.by == MatchBy::kAddress) name += "_address";
  return name + (id.family == Family::kIpv4 ? "_ipv4" : "_ipv6");
}

std::optional<SetId> set_of(std::string_view name) {
  for (const Family family : kFamilies) {
    for (const SetKind kind : kKinds) {
      for (const MatchBy by : {MatchBy::kPort, MatchBy::kAddress}) {
        if (const SetId id{family, kind, by}; name_of(id) == name) return id;
      }
    }
  }
  return std::nullopt;
}

TableId part_of(const SetId& id) {
  return {id.family, Table::kNat};
}

std::uint64_t hash_of(const NativeRule& rule) {
  return hash_bytes(to_text(rule));
}

std::optional<BaseChain> base_of(std::string_view chain) {
  for (const Table table : {Table::kFilter, Table::kNat}) {
    for (const Hook hook : hooks_of(table)) {
      if (hook_chain(table, hook)->str() != chain) continue;
      return BaseChain{hook, table, table == Table::kFilter ? 0 : kBeforeKubeProxy};
    }
  }
  return std::nullopt;
}

std::optional<InvalidCounter> counter_of(std::string_view chain, const NativeRule& rule) {
  if (!rule.counts) return std::nullopt;
  return nmanager::counter_of(chain, std::holds_alternative<Drop>(rule.verdict), rule.tcp_flags);
}

Ruleset render_frame(TableId part, const TableSpec& spec) {
  Renderer renderer(part);
  for (const RuleFamily& family : spec.families) std::visit(std::ref(renderer), family);
  return renderer.take();
}

Ruleset render(TableId part, const TableSpec& spec) {
  Ruleset ruleset = render_frame(part, spec);
  for (auto& [id, elements] : ruleset.sets) {
    elements = std::make_shared<const Elements>(elements_of(id, spec));
  }
  return ruleset;
}

Elements elements_of(const SetId& id, const TableSpec& spec) {
  Elements elements;
  const ExternalCluster* external = cluster_of(id, spec);
  if (external == nullptr) return elements;
  std::size_t count = 0;
  for (const auto& place : external->addresses.map())
    count += count_of(id.kind, *place.second, id.by);
  elements.reserve(count);
  for (const auto& place : external->addresses.map()) add_elements(elements, id, *place.second);
  std::ranges::sort(elements);
  return elements;
}

Elements elements_of(const SetId& id, const TableSpec& spec, std::span<const Address> addresses) {
  Elements elements;
  const ExternalCluster* external = cluster_of(id, spec);
  if (external == nullptr) return elements;
  for (const Address& address : addresses) {
    add_elements(elements, id, external->addresses.at(address));
  }
  std::ranges::sort(elements);
  return elements;
}

std::uint64_t hash_of(const Element& element) {
  // The numbers in one go: this is done for each element of a set that is read.
  std::array<std::uint8_t, 3 * 16 + 4> numbers{};
  std::size_t size = 0;
  const auto add = [&](std::span<const std::uint8_t> bytes) {
    std::ranges::copy(bytes, numbers.begin() + static_cast<std::ptrdiff_t>(size));
    size += bytes.size();
  };
  add(element.external.bytes());
  add(element.source.address().bytes());
  add(element.to.bytes());
  add(std::array{static_cast<std::uint8_t>(element.source.length()),
                 static_cast<std::uint8_t>(element.protocol),
                 static_cast<std::uint8_t>(element.port >> 8),
                 static_cast<std::uint8_t>(element.port & 0xff)});
  return hash_bytes(element.owner, hash_bytes(std::span(numbers.data(), size)));
}

std::uint64_t sum_of(const SetId& id, std::span<const ExternalAddress> entries) {
  std::uint64_t sum = 0;
  for (const ExternalAddress& entry : entries) {
    each_element(id.kind, entry, id.by, [&](const Element& one) { sum += hash_of(one); });
  }
  return sum;
}

std::size_t count_elements(std::span<const ExternalAddress> entries, MatchBy match) {
  std::size_t count = 0;
  for (const SetKind kind : kKinds) count += count_of(kind, entries, match);
  return count;
}

std::size_t size_of(const Ruleset& ruleset) {
  std::size_t size = 0;
  for (const auto& chain : ruleset.chains) size += chain.second.size();
  for (const auto& set : ruleset.sets) size += set.second->size();
  return size;
}

}  // namespace nmanager::nftables
