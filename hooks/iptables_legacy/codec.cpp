#include "hooks/iptables_legacy/codec.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "hooks/iptables_legacy/entry.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/xt/payload.h"

// After family.h: <linux/if.h> is compatible with <net/if.h> only in that order.
#include <linux/netfilter/x_tables.h>

namespace nmanager::iptables_legacy {

namespace {

constexpr std::size_t kMaxComment = 255;  // XT_MAX_COMMENT_LEN without its NUL

Status check_ports(const Rule& rule) {
  std::size_t slots = 0;
  for (const PortRange& range : rule.destination_ports) {
    if (range.first == 0 || range.first > range.last) return Error{ErrorKind::kBug, "port range"};
    slots += port_slots(range);
  }
  if (slots > kPortSlots) return Error{ErrorKind::kBug, "too many ports for multiport"};
  if (slots > 0 && rule.protocol == Protocol::kAny) {
    return Error{ErrorKind::kBug, "ports without a protocol"};
  }
  if (rule.tcp_flags.mask != 0 && (rule.protocol != Protocol::kTcp || slots > 0)) {
    return Error{ErrorKind::kBug, "TCP flags beside ports or without TCP"};
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
  if (rule.comment.size() > kMaxComment || rule.comment.find('\0') != std::string::npos) {
    return Error{ErrorKind::kBug, "comment"};
  }
  return check_ports(rule);
}

template <class F>
class Encoder {
 public:
  explicit Encoder(const Rule& rule) {
    entry_.size = sizeof(typename F::Entry);
    std::memset(entry_.data.data(), 0, entry_.size);
    write_ip(rule);
    write_matches(rule);
    target_offset_ = static_cast<std::uint16_t>(entry_.size);
    std::visit([this](const auto& target) { this->write_target(target); }, rule.target);
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

  /// A match and a target have the same head: size, name, revision.
  void write_extension(const xt::Extension& extension, const xt::Bytes& data) {
    xt_entry_match head{};
    head.u.user.match_size = static_cast<std::uint16_t>(xt::aligned(sizeof head) + data.size());
    std::ranges::copy(extension.name, head.u.user.name);
    head.u.user.revision = extension.revision;
    put(entry_.size, head);
    std::ranges::copy(data, entry_.data.data() + entry_.size + xt::aligned(sizeof head));
    entry_.size += head.u.user.match_size;
  }

  void write_matches(const Rule& rule) {
    if (rule.source_is_local) {
      write_extension(xt::kAddrtype, xt::source_is_local());
    }
    if (rule.state_invalid) {
      write_extension(xt::kConntrack, xt::state_invalid());
    }
    if (!rule.destination_ports.empty()) write_ports(rule);
    if (rule.tcp_flags.mask != 0) write_extension(xt::kTcp, xt::tcp_flags(rule.tcp_flags));
    if (!rule.comment.empty()) write_extension(xt::kComment, xt::comment(rule.comment));
  }

  void write_ports(const Rule& rule) {
    const PortSet& ports = rule.destination_ports;
    if (xt::uses_multiport(rule)) {
      write_extension(xt::kMultiport, xt::destination_ports(ports));
    } else if (rule.protocol == Protocol::kTcp) {
      write_extension(xt::kTcp, xt::tcp_port(ports.front()));
    } else {
      write_extension(xt::kUdp, xt::udp_port(ports.front()));
    }
  }

  void write_standard(std::string_view name) {
    write_extension({name, 0, true}, xt::Bytes(xt::aligned(sizeof(int)), 0));
  }
  void write_target(const Drop&) { write_standard("DROP"); }
  void write_target(const Return&) { write_standard("RETURN"); }
  void write_target(const Jump& jump) { write_standard(jump.chain.str()); }
  void write_target(const SetMark& mark) { write_extension(xt::kMark, xt::set_mark(mark)); }
  void write_target(const Dnat& dnat) { write_extension(xt::kDnat, xt::dnat(dnat.to)); }

  EntryBytes entry_;
  std::uint16_t target_offset_ = 0;
};

template <class Raw>
bool read_prefix(Family family, const Raw& address, const Raw& mask,
                 std::optional<Prefix>& prefix) {
  std::array<std::uint8_t, sizeof(Raw)> bits;
  std::memcpy(bits.data(), &mask, sizeof mask);
  const auto length = Prefix::length_of(Address(family, bits));
  if (!length) return false;
  if (*length == 0) return true;
  std::memcpy(bits.data(), &address, sizeof address);
  prefix = Prefix(Address(family, bits), *length);
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

bool read_ports(const ExtensionView& match, PortSet& ports) {
  if (match.name == xt::kMultiport.name) {
    auto several = xt::read_destination_ports(match.data);
    if (several) ports = std::move(*several);
    return several.has_value();
  }
  const auto one =
      match.name == xt::kTcp.name ? xt::read_tcp_port(match.data) : xt::read_udp_port(match.data);
  if (one) ports.push_back(*one);
  return one.has_value();
}

/// Reads a match that encode_rule could have written; decode() verifies by comparison that it did.
bool read_match(const ExtensionView& match, Rule& rule) {
  if (match.name == xt::kComment.name) {
    auto text = xt::read_comment(match.data);
    if (text) rule.comment = std::move(*text);
    return text.has_value();
  }
  if (!rule.destination_ports.empty() || rule.tcp_flags.mask != 0) return false;
  if (const auto flags = match.name == xt::kTcp.name ? xt::read_tcp_flags(match.data)
                                                     : std::optional<TcpFlags>()) {
    rule.tcp_flags = *flags;
    return true;
  }
  if (match.name == xt::kTcp.name || match.name == xt::kUdp.name ||
      match.name == xt::kMultiport.name) {
    return read_ports(match, rule.destination_ports);
  }
  if (match.name == xt::kAddrtype.name) return rule.source_is_local = true;
  if (match.name == xt::kConntrack.name) return rule.state_invalid = true;
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
  if (target.name == xt::kMark.name) return xt::read_set_mark(target.data);
  if (target.name == xt::kDnat.name) {
    const auto to = xt::read_dnat(family, target.data);
    return to ? std::optional<Target>(Dnat{*to}) : std::nullopt;
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

/// In a standard target, the kernel has an empty name and an offset where libiptc has a name and 0.
bool equal_target(const ExtensionView& seen, const ExtensionView& ours) {
  if (seen.name != XT_STANDARD_TARGET) return equal_extension(seen, ours);
  return seen.size == ours.size && seen.revision == ours.revision &&
         std::ranges::equal(seen.data.subspan(sizeof(int)), ours.data.subspan(sizeof(int)));
}

/// Precondition: both frames are valid. Names are compared as strings, because the kernel does not
/// write the bytes after their end (xt_obj_to_user).
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
    return Error{ErrorKind::kBug, "invalid rule: " + status.error().message};
  }
  return with_family(family, [&]<class F>(F) { return Encoder<F>(rule).entry(); });
}

std::optional<Rule> decode_rule(Family family, std::span<const std::uint8_t> entry,
                                std::string_view jump_to) {
  return with_family(family, [&]<class F>(F) { return decode<F>(entry, jump_to); });
}

}  // namespace nmanager::iptables_legacy
