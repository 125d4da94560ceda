#include "hooks/chains/rule_text.h"

#include <array>
#include <cstdint>

#include "hooks/values/text.h"

namespace nmanager::chains {

namespace {

/// As xtables_save_string does: quoted unless plain, with backslash before quote and backslash.
std::string quoted(const std::string& text) {
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '\'') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string port_text(const PortRange& range) {
  if (range.first == range.last) return std::to_string(range.first);
  return std::to_string(range.first) + ':' + std::to_string(range.last);
}

std::string ports_text(const Rule& rule) {
  const std::string protocol(to_string(rule.protocol));
  if (rule.destination_ports.size() == 1 && rule.protocol != Protocol::kSctp) {
    return " -m " + protocol + " --dport " + port_text(rule.destination_ports.front());
  }
  std::string list;
  for (const PortRange& range : rule.destination_ports) {
    if (!list.empty()) list += ',';
    list += port_text(range);
  }
  return " -m multiport --dports " + list;
}

/// As in libxt_tcp: the names in the order of the bits, NONE for none.
std::string flags_text(std::uint8_t flags) {
  static constexpr std::array<std::string_view, 6> kNames{"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
  std::string text;
  for (std::size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((flags >> bit & 1) == 0) continue;
    if (!text.empty()) text += ',';
    text += kNames[bit];
  }
  return text.empty() ? "NONE" : text;
}

std::string target_text(const Target& target) {
  if (std::holds_alternative<Drop>(target)) return " -j DROP";
  if (std::holds_alternative<Return>(target)) return " -j RETURN";
  if (const auto* jump = std::get_if<Jump>(&target)) {
    return (jump->go_to ? " -g " : " -j ") + jump->chain.str();
  }
  if (const auto* dnat = std::get_if<Dnat>(&target)) {
    return " -j DNAT --to-destination " + to_string(dnat->to);
  }
  const auto& mark = std::get<SetMark>(target);
  return " -j MARK --set-xmark 0x" + hexadecimal(mark.value) + "/0x" + hexadecimal(mark.mask);
}

}  // namespace

std::string to_string(const Rule& rule) {
  std::string text;
  if (rule.source) text += " -s " + to_string(*rule.source);
  if (rule.destination) text += " -d " + to_string(*rule.destination);
  if (!rule.in_interface.empty()) text += " -i " + rule.in_interface;
  if (rule.protocol != Protocol::kAny) text += " -p " + std::string(to_string(rule.protocol));
  if (rule.source_is_local) text += " -m addrtype --src-type LOCAL";
  if (rule.state_invalid) text += " -m conntrack --ctstate INVALID";
  if (!rule.destination_ports.empty()) text += ports_text(rule);
  if (rule.tcp_flags.mask != 0) {
    text += " -m tcp --tcp-flags " + flags_text(rule.tcp_flags.mask) + ' ' +
            flags_text(rule.tcp_flags.value);
  }
  if (!rule.comment.empty()) text += " -m comment --comment " + quoted(rule.comment);
  return (text + target_text(rule.target)).substr(1);
}

std::string_view iptables_command(Family family) {
  return family == Family::kIpv4 ? "iptables" : "ip6tables";
}

}  // namespace nmanager::chains
