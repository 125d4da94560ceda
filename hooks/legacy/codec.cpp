#include "hooks/legacy/codec.h"

#include <algorithm>
#include <cstring>

#include "hooks/legacy/entry.h"
#include "hooks/legacy/family.h"

// Behind family.h: <linux/if.h> goes along with <net/if.h> only in that order.
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>

namespace nmanager::legacy {

namespace {

// The revisions that iptables 1.8.9 chooses on every kernel since 4.18 (nf_nat_range2).
constexpr std::uint8_t kAddrtypeRevision = 1;
constexpr std::uint8_t kConntrackRevision = 3;
constexpr std::uint8_t kMultiportRevision = 1;
constexpr std::uint8_t kMarkRevision = 2;
constexpr std::uint8_t kDnatRevision = 2;

/// One port or range of tcp and udp has a match of its own name; the rest takes multiport.
bool uses_multiport(const Rule& rule) {
  return rule.destination_ports.size() > 1 ||
         (!rule.destination_ports.empty() && rule.protocol == Protocol::kSctp);
}

Status check_ports(const Rule& rule) {
  std::size_t slots = 0;
  for (const PortRange& range : rule.destination_ports) {
    if (range.first == 0 || range.first > range.last) return Error{ErrorKind::kBug, "port range"};
    slots += port_slots(range);
  }
  if (slots > kPortSlots) return Error{ErrorKind::kBug, "more ports than multiport takes"};
  if (slots > 0 && rule.protocol == Protocol::kAny) {
    return Error{ErrorKind::kBug, "ports without a protocol"};
  }
  return {};
}

Status check_rule(Family family, const Rule& rule) {
  const auto other_family = [&](const std::optional<Prefix>& prefix) {
    return prefix && (prefix->family() != family || prefix->length() == 0);
  };
  const auto* dnat = std::get_if<Dnat>(&rule.target);
  if (other_family(rule.source) || other_family(rule.destination) ||
      (dnat != nullptr && dnat->to.family() != family)) {
    return Error{ErrorKind::kBug, "address of another family, or a /0"};
  }
  if (rule.in_interface.size() >= IFNAMSIZ) return Error{ErrorKind::kBug, "interface name"};
  if (rule.comment.size() >= XT_MAX_COMMENT_LEN || rule.comment.find('\0') != std::string::npos) {
    return Error{ErrorKind::kBug, "comment"};
  }
  return check_ports(rule);
}

template <class F>
class Encoder {
 public:
  explicit Encoder(const Rule& rule) {
    entry_.size = sizeof(typename F::Entry);
    write_ip(rule);
    write_matches(rule);
    target_offset_ = static_cast<std::uint16_t>(entry_.size);
    std::visit([this](const auto& target) { write_target(target); }, rule.target);
    const EntryFrame frame{target_offset_, static_cast<std::uint16_t>(entry_.size)};
    put(offsetof(typename F::Entry, target_offset), frame.target_offset);
    put(offsetof(typename F::Entry, next_offset), frame.next_offset);
  }

  [[nodiscard]] const EntryBytes& entry() const { return entry_; }

 private:
  template <class T>
  void put(std::size_t at, const T& value) {
    std::memcpy(entry_.data.data() + at, &value, sizeof value);
  }

  void write_ip(const Rule& rule) {
    typename F::Ip ip{};
    if (rule.source) write_prefix(ip.src, ip.smsk, *rule.source);
    if (rule.destination) write_prefix(ip.dst, ip.dmsk, *rule.destination);
    if (!rule.in_interface.empty()) {
      std::ranges::copy(rule.in_interface, ip.iniface);
      const bool wildcard = rule.in_interface.back() == '+';
      const std::size_t compared = rule.in_interface.size() + (wildcard ? 0 : 2) - 1;
      std::memset(ip.iniface_mask, 0xff, compared);
    }
    ip.proto = static_cast<std::uint8_t>(rule.protocol);
    if (rule.protocol != Protocol::kAny) ip.flags |= F::kProtocolFlag;
    if (const auto* jump = std::get_if<Jump>(&rule.target); jump != nullptr && jump->go_to) {
      ip.flags |= F::kGoto;
    }
    put(F::kIpOffset, ip);
  }

  template <class Raw>
  static void write_prefix(Raw& address, Raw& mask, const Prefix& prefix) {
    std::memcpy(&address, prefix.address().bytes().data(), sizeof address);
    std::memcpy(&mask, prefix.mask().bytes().data(), sizeof mask);
  }

  /// A match and a target begin alike: size, name, revision.
  template <class T>
  void write_extension(std::string_view name, std::uint8_t revision, const T& data) {
    xt_entry_match head{};
    head.u.user.match_size =
        static_cast<std::uint16_t>(XT_ALIGN(sizeof head) + XT_ALIGN(sizeof data));
    std::ranges::copy(name, head.u.user.name);
    head.u.user.revision = revision;
    put(entry_.size, head);
    put(entry_.size + XT_ALIGN(sizeof head), data);
    entry_.size += head.u.user.match_size;
  }

  void write_matches(const Rule& rule) {
    if (rule.source_is_local) {
      xt_addrtype_info_v1 info{};
      info.source = XT_ADDRTYPE_LOCAL;
      write_extension("addrtype", kAddrtypeRevision, info);
    }
    if (rule.state_invalid) {
      xt_conntrack_mtinfo3 info{};
      info.match_flags = XT_CONNTRACK_STATE;
      info.state_mask = XT_CONNTRACK_STATE_INVALID;
      write_extension("conntrack", kConntrackRevision, info);
    }
    if (!rule.destination_ports.empty()) write_ports(rule);
    if (!rule.comment.empty()) {
      xt_comment_info info{};
      std::ranges::copy(rule.comment, info.comment);
      write_extension("comment", 0, info);
    }
  }

  void write_ports(const Rule& rule) {
    if (uses_multiport(rule)) {
      write_multiport(rule.destination_ports);
    } else if (rule.protocol == Protocol::kTcp) {
      write_extension("tcp", 0, single_range<xt_tcp>(rule.destination_ports.front()));
    } else {
      write_extension("udp", 0, single_range<xt_udp>(rule.destination_ports.front()));
    }
  }

  template <class Info>
  static Info single_range(const PortRange& range) {
    Info info{};
    info.spts[1] = 0xffff;
    info.dpts[0] = range.first;
    info.dpts[1] = range.last;
    return info;
  }

  void write_multiport(const PortSet& ports) {
    xt_multiport_v1 info{};
    info.flags = XT_MULTIPORT_DESTINATION;
    for (const PortRange& range : ports) {
      info.ports[info.count++] = range.first;
      if (range.first == range.last) continue;
      info.pflags[info.count - 1] = 1;
      info.ports[info.count++] = range.last;
    }
    write_extension("multiport", kMultiportRevision, info);
  }

  void write_standard(std::string_view name) { write_extension(name, 0, int{0}); }
  void write_target(const Drop&) { write_standard("DROP"); }
  void write_target(const Return&) { write_standard("RETURN"); }
  void write_target(const Jump& jump) { write_standard(jump.chain.str()); }
  void write_target(const SetMark& mark) {
    write_extension("MARK", kMarkRevision, xt_mark_tginfo2{mark.value, mark.mask});
  }
  void write_target(const Dnat& dnat) {
    nf_nat_range2 range{};
    range.flags = NF_NAT_RANGE_MAP_IPS;
    std::memcpy(&range.min_addr, dnat.to.bytes().data(), dnat.to.bytes().size());
    range.max_addr = range.min_addr;
    write_extension("DNAT", kDnatRevision, range);
  }

  EntryBytes entry_;
  std::uint16_t target_offset_ = 0;
};

template <class Raw>
bool read_prefix(Family family, const Raw& address, const Raw& mask,
                 std::optional<Prefix>& prefix) {
  std::array<std::uint8_t, sizeof(Raw)> bits;
  std::memcpy(bits.data(), &mask, sizeof mask);
  const Address ones(family, bits);
  int length = 0;
  while (length < address_bits(family) && ones.bit(length)) ++length;
  if (Prefix(ones, length).mask() != ones) return false;
  if (length == 0) return true;
  std::memcpy(bits.data(), &address, sizeof address);
  prefix = Prefix(Address(family, bits), length);
  return true;
}

template <class F>
bool read_ip(const typename F::Ip& ip, Rule& rule) {
  if (!read_prefix(F::kFamily, ip.src, ip.smsk, rule.source)) return false;
  if (!read_prefix(F::kFamily, ip.dst, ip.dmsk, rule.destination)) return false;
  rule.in_interface = fixed_string(ip.iniface, sizeof ip.iniface);
  rule.protocol = static_cast<Protocol>(ip.proto);
  return ip.proto == 0 || rule.protocol == Protocol::kTcp || rule.protocol == Protocol::kUdp ||
         rule.protocol == Protocol::kSctp;
}

template <class Info>
bool read_range(std::span<const std::uint8_t> data, Rule& rule) {
  const auto info = load<Info>(data);
  if (!info) return false;
  rule.destination_ports.push_back({info->dpts[0], info->dpts[1]});
  return true;
}

bool read_multiport(std::span<const std::uint8_t> data, Rule& rule) {
  const auto info = load<xt_multiport_v1>(data);
  if (!info || info->count > XT_MULTI_PORTS) return false;
  for (std::size_t i = 0; i < info->count; ++i) {
    const bool range = info->pflags[i] != 0;
    if (range && i + 1 == info->count) return false;
    rule.destination_ports.push_back({info->ports[i], info->ports[range ? i + 1 : i]});
    if (range) ++i;
  }
  return true;
}

/// Reads what encode_rule could have written; whether it is exactly that, the comparison tells.
bool read_match(const ExtensionView& match, Rule& rule) {
  if (!rule.destination_ports.empty() && match.name != "comment") return false;
  if (match.name == "tcp") return read_range<xt_tcp>(match.data, rule);
  if (match.name == "udp") return read_range<xt_udp>(match.data, rule);
  if (match.name == "multiport") return read_multiport(match.data, rule);
  if (match.name == "comment") {
    rule.comment =
        fixed_string(reinterpret_cast<const char*>(match.data.data()), match.data.size());
    return true;
  }
  if (match.name == "addrtype") return rule.source_is_local = true;
  if (match.name == "conntrack") return rule.state_invalid = true;
  return false;
}

std::optional<Target> read_standard(int verdict, bool go_to, std::string_view jump_to) {
  if (verdict == -NF_DROP - 1) return Drop{};
  if (verdict == XT_RETURN) return Return{};
  if (verdict < 0 || jump_to.empty() || jump_to.size() > ChainName::kMaxLength) return std::nullopt;
  return Jump{ChainName(jump_to), go_to};
}

std::optional<Target> read_target(Family family, const ExtensionView& target, bool go_to,
                                  std::string_view jump_to) {
  if (target.name == XT_STANDARD_TARGET) {
    const auto verdict = load<int>(target.data);
    return verdict ? read_standard(*verdict, go_to, jump_to) : std::nullopt;
  }
  if (target.name == "MARK") {
    const auto info = load<xt_mark_tginfo2>(target.data);
    return info ? std::optional<Target>(SetMark{info->mark, info->mask}) : std::nullopt;
  }
  if (target.name == "DNAT") {
    const auto range = load<nf_nat_range2>(target.data);
    if (!range) return std::nullopt;
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &range->min_addr, bytes.size());
    return Dnat{Address(family, bytes)};
  }
  return std::nullopt;
}

template <class F>
std::optional<Rule> read_rule(std::span<const std::uint8_t> entry, const EntryFrame& frame,
                              std::string_view jump_to) {
  Rule rule;
  const auto ip = *load<typename F::Ip>(entry.subspan(F::kIpOffset));
  if (!read_ip<F>(ip, rule)) return std::nullopt;
  std::size_t at = sizeof(typename F::Entry);
  while (at < frame.target_offset) {
    const auto match = extension_at(entry.first(frame.target_offset), at);
    if (!match || !read_match(*match, rule)) return std::nullopt;
    at += match->size;
  }
  const auto target = extension_at(entry, frame.target_offset);
  if (!target) return std::nullopt;
  auto value = read_target(F::kFamily, *target, (ip.flags & F::kGoto) != 0, jump_to);
  if (!value) return std::nullopt;
  rule.target = std::move(*value);
  return rule;
}

bool equal_extension(const ExtensionView& seen, const ExtensionView& ours) {
  return seen.size == ours.size && seen.name == ours.name && seen.revision == ours.revision &&
         std::ranges::equal(seen.data, ours.data);
}

/// The kernel has an empty name and a place where libiptc takes a name and 0.
bool equal_target(const ExtensionView& seen, const ExtensionView& ours) {
  if (seen.name != XT_STANDARD_TARGET) return equal_extension(seen, ours);
  return seen.size == ours.size && seen.revision == ours.revision &&
         std::ranges::equal(seen.data.subspan(sizeof(int)), ours.data.subspan(sizeof(int)));
}

/// Both frames are valid. Names are compared as strings, since the kernel writes no further than
/// their end (xt_obj_to_user).
template <class F>
bool equal_entries(std::span<const std::uint8_t> seen, std::span<const std::uint8_t> ours,
                   const EntryFrame& frame) {
  constexpr std::size_t kHead = offsetof(typename F::Entry, comefrom);
  if (seen.size() != ours.size()) return false;
  if (!std::ranges::equal(seen.first(kHead), ours.first(kHead))) return false;
  std::size_t at = sizeof(typename F::Entry);
  while (at < frame.target_offset) {
    const auto a = extension_at(seen, at);
    const auto b = extension_at(ours, at);
    if (!a || !b || !equal_extension(*a, *b)) return false;
    at += a->size;
  }
  const auto a = extension_at(seen, at);
  const auto b = extension_at(ours, at);
  return a && b && equal_target(*a, *b);
}

template <class F>
std::optional<Rule> decode(std::span<const std::uint8_t> entry, std::string_view jump_to) {
  const auto frame = frame_of<F>(entry);
  if (!frame || frame->next_offset != entry.size()) return std::nullopt;
  auto rule = read_rule<F>(entry, *frame, jump_to);
  if (!rule || !check_rule(F::kFamily, *rule)) return std::nullopt;
  const Encoder<F> again(*rule);
  if (!equal_entries<F>(entry, again.entry().bytes(), *frame)) return std::nullopt;
  return rule;
}

}  // namespace

Result<EntryBytes> encode_rule(Family family, const Rule& rule) {
  if (const Status status = check_rule(family, rule); !status) {
    return Error{ErrorKind::kBug, "a rule that cannot be written: " + status.error().message};
  }
  return with_family(family, [&]<class F>(F) { return Encoder<F>(rule).entry(); });
}

std::optional<Rule> decode_rule(Family family, std::span<const std::uint8_t> entry,
                                std::string_view jump_to) {
  return with_family(family, [&]<class F>(F) { return decode<F>(entry, jump_to); });
}

std::vector<Extension> extensions_of(const Rule& rule) {
  std::vector<Extension> result;
  if (rule.source_is_local) result.push_back({"addrtype", kAddrtypeRevision, false});
  if (rule.state_invalid) result.push_back({"conntrack", kConntrackRevision, false});
  if (uses_multiport(rule)) {
    result.push_back({"multiport", kMultiportRevision, false});
  } else if (!rule.destination_ports.empty()) {
    result.push_back({std::string(to_string(rule.protocol)), 0, false});
  }
  if (!rule.comment.empty()) result.push_back({"comment", 0, false});
  if (std::holds_alternative<SetMark>(rule.target)) result.push_back({"MARK", kMarkRevision, true});
  if (std::holds_alternative<Dnat>(rule.target)) result.push_back({"DNAT", kDnatRevision, true});
  return result;
}

}  // namespace nmanager::legacy
