#include "plugin/settings/parse.h"

#include <net/if.h>
#include <charconv>
#include <optional>

namespace nmanager::settings {

namespace {

Error bad(std::string message) {
  return Error{ErrorKind::kBadInput, std::move(message)};
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (text.front() == '-') return std::nullopt;
  return value;
}

/// A block or a bare address of any family.
std::optional<Prefix> block_or_host(std::string_view text) {
  if (const auto address = Address::parse(text)) return Prefix::host(*address);
  return Prefix::parse(text);
}

/// By the kernel's rules (dev_valid_name in net/core/dev.c), with iptables' trailing '+'.
bool valid_interface(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == ".." || name == "+") {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c != '/' && c != ':' && std::isgraph(static_cast<unsigned char>(c)) != 0;
  });
}

Status add_exemption(std::string_view item, Exemptions& settings) {
  const auto colon = item.find(':');
  const std::string_view kind = item.substr(0, colon);
  const std::string_view value =
      colon == std::string_view::npos ? std::string_view() : item.substr(colon + 1);
  if (kind == "iface") {
    if (!valid_interface(value)) return bad(in_quotes(item) + " names no network device");
    settings.interfaces.emplace_back(value);
    return {};
  }
  if (kind != "src" && kind != "dst") {
    return bad(in_quotes(item) + " is none of iface:NAME, src:CIDR, dst:CIDR");
  }
  const auto block = block_or_host(value);
  if (!block) return bad(in_quotes(item) + " holds no address or CIDR");
  if (block->length() == 0) {
    return bad(in_quotes(item) + " exempts everything; turn the rule off instead");
  }
  (kind == "src" ? settings.sources : settings.destinations).push_back(*block);
  return {};
}

}  // namespace

Result<Endpoint> parse_loopback_endpoint(std::string_view text) {
  auto endpoint = parse_endpoint(text);
  if (endpoint && !endpoint->address.is_loopback()) {
    return bad(in_quotes(text) +
               " is not a loopback address: the endpoint has no authentication and the process may "
               "change netfilter, so it is served on this node only (127.0.0.1 or [::1])");
  }
  return endpoint;
}

Result<Prefix> parse_pod_cidr(Family family, std::string_view text) {
  const bool v4 = family == Family::kIpv4;
  const auto prefix = Prefix::parse(text);
  if (!prefix) {
    return bad(in_quotes(text) + " is not a CIDR such as " +
               (v4 ? "10.244.0.0/16" : "fd00:10::/56"));
  }
  if (prefix->family() != family) {
    return bad(in_quotes(text) + " is an " + std::string(to_string(prefix->family())) +
               " block, not " + std::string(to_string(family)));
  }
  if (prefix->length() == 0) return bad(in_quotes(text) + " would take everybody for a pod");
  return *prefix;
}

bool has_host_bits(std::string_view text, const Prefix& prefix) {
  const auto address = Address::parse(text.substr(0, text.find('/')));
  return address && *address != prefix.address();
}

Result<Exemptions> parse_exemptions(std::string_view text) {
  Exemptions settings;
  std::string problems;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view item = trimmed(text.substr(at, comma - at));
    at = comma + 1;
    if (item.empty()) continue;
    if (const Status added = add_exemption(item, settings); !added) {
      problems += (problems.empty() ? "" : ", ") + added.error().message;
    }
  }
  if (!problems.empty()) return bad(std::move(problems));
  return settings;
}

std::string to_string(const Exemptions& settings) {
  std::string text;
  const auto add = [&](std::string_view kind, const std::string& value) {
    if (!text.empty()) text += ',';
    text.append(kind).append(value);
  };
  for (const auto& name : settings.interfaces) add("iface:", name);
  for (const auto& block : settings.sources) add("src:", to_string(block));
  for (const auto& block : settings.destinations) add("dst:", to_string(block));
  return text;
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr int kMaxMs = 3'600'000;
  struct Unit {
    std::string_view suffix;
    int ms;
  };
  for (const Unit unit : {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}}) {
    if (!text.ends_with(unit.suffix)) continue;
    const auto count = number(text.substr(0, text.size() - unit.suffix.size()));
    if (!count) continue;
    if (*count < 1 || *count > kMaxMs / unit.ms) break;
    return std::chrono::milliseconds(*count * unit.ms);
  }
  return bad(in_quotes(text) + " is not a duration such as 500ms, 5s or 1m (at most 60m)");
}

Result<std::chrono::milliseconds> parse_lock_wait(std::string_view text) {
  constexpr std::chrono::seconds kMost{15};
  auto duration = parse_duration(text);
  if (duration && *duration > kMost) {
    return bad(in_quotes(text) + " is longer than " + to_string(std::chrono::milliseconds(kMost)) +
               ": the process would count as dead meanwhile");
  }
  return duration;
}

std::string to_string(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + "s" : std::to_string(ms) + "ms";
}

Result<int> parse_number(std::string_view text, int low, int high) {
  const auto value = number(text);
  if (value && *value >= low && *value <= high) return *value;
  return bad(in_quotes(text) + " is not a number " + std::to_string(low) + ".." +
             std::to_string(high));
}

}  // namespace nmanager::settings
