#include "hooks/intent/table_spec.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <tuple>
#include <utility>

#include "hooks/values/hash.h"

namespace nmanager {

namespace {

/// The values of a TableSpec, lists with their length.
class Digest {
 public:
  void add(std::string_view text) { hasher_.add(text); }
  void add(std::uint64_t number) { hasher_.add(number); }
  void add(const Address& address) {
    add(static_cast<std::uint64_t>(address.family()));
    hasher_.add(address.bytes());
  }
  void add(const Prefix& prefix) {
    add(prefix.address());
    add(static_cast<std::uint64_t>(prefix.length()));
  }
  template <class T>
  void add(const std::vector<T>& list) {
    add(static_cast<std::uint64_t>(list.size()));
    for (const T& one : list) add(one);
  }
  void add(std::uint16_t port) { add(std::uint64_t{port}); }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const ExternalAddress::Ports& ports) {
    add(static_cast<std::uint64_t>(ports.protocol));
    add(ports.ports);
  }
  void add(const ExternalAddress& address) {
    add(address.external);
    add(address.cluster);
    add(address.owner);
    add(address.ports);
    add(address.allowed_sources);
  }

  void operator()(const DropInvalid& drop) {
    add(static_cast<std::uint64_t>(drop.hook));
    add(static_cast<std::uint64_t>(drop.action));
    add(std::uint64_t{drop.source.has_value()});
    if (drop.source) add(*drop.source);
    add(std::uint64_t{drop.spares_syn_ack});
    add(drop.exempt.interfaces);
    add(drop.exempt.sources);
    add(drop.exempt.destinations);
  }
  void operator()(const ExternalCluster& external) {
    add(std::uint64_t{external.settings.pod_cidr.has_value()});
    if (external.settings.pod_cidr) add(*external.settings.pod_cidr);
    add(static_cast<std::uint64_t>(external.settings.match));
    add(static_cast<std::uint64_t>(external.settings.masquerade_bit));
    add(external.addresses);
  }

  [[nodiscard]] std::uint64_t value() const { return hasher_.value(); }

 private:
  Hasher hasher_;
};

struct HooksOf {
  std::set<Hook>& hooks;

  void operator()(const DropInvalid& drop) const {
    if (drop.action != InvalidAction::kLeave) hooks.insert(drop.hook);
  }
  void operator()(const ExternalCluster& external) const {
    if (external.settings.pod_cidr) hooks.insert(Hook::kPrerouting);
    hooks.insert(Hook::kOutput);
  }
};

}  // namespace

ExternalCluster external_cluster(Family family, std::vector<ExternalAddress> addresses,
                                 const ExternalClusterSettings& settings) {
  std::erase_if(addresses, [&](const ExternalAddress& a) { return a.external.family() != family; });
  std::ranges::sort(addresses, [](const ExternalAddress& a, const ExternalAddress& b) {
    return std::tie(a.external, a.owner, a) < std::tie(b.external, b.owner, b);
  });
  std::set<std::pair<Protocol, std::uint16_t>> taken;
  const Address* current = nullptr;
  std::vector<ExternalAddress> result;
  result.reserve(addresses.size());
  for (ExternalAddress& entry : addresses) {
    const bool first = current == nullptr || *current != entry.external;
    if (first) taken.clear();
    if (!first && settings.match == MatchBy::kAddress) continue;
    for (ExternalAddress::Ports& ports : entry.ports) {
      std::erase_if(ports.ports, [&](std::uint16_t port) {
        return !taken.emplace(ports.protocol, port).second;
      });
    }
    std::erase_if(entry.ports, [](const auto& ports) { return ports.ports.empty(); });
    if (entry.ports.empty()) continue;
    result.push_back(std::move(entry));
    current = &result.back().external;  // capacity is reserved: no reallocation
  }
  return {std::move(result), settings};
}

std::vector<Hook> hooks_of(const TableSpec& spec) {
  std::set<Hook> hooks;
  for (const RuleFamily& family : spec.families) std::visit(HooksOf{hooks}, family);
  return {hooks.begin(), hooks.end()};
}

std::uint64_t digest_of(const TableSpec& spec) {
  Digest digest;
  for (const RuleFamily& family : spec.families) {
    digest.add(static_cast<std::uint64_t>(family.index()));
    std::visit(std::ref(digest), family);
  }
  return digest.value();
}

}  // namespace nmanager
