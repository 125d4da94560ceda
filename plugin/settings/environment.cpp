#include "plugin/settings/environment.h"

#include <algorithm>
#include <optional>

#include "hooks/values/text.h"
#include "plugin/settings/definitions.h"

namespace nmanager::settings {

namespace {

/// A word with a larger distance is a different one.
constexpr std::size_t kMostEdits = 2;
/// Used by the program, but not settings.
constexpr std::string_view kNodeName = "NODE_NAME";

bool ends_like_service_variable(std::string_view name) {
  // NAME_PORT_80_TCP, NAME_PORT_80_TCP_ADDR and so on.
  for (const std::string_view suffix : {"_PROTO", "_PORT", "_ADDR"}) {
    if (name.ends_with(suffix)) {
      name.remove_suffix(suffix.size());
      break;
    }
  }
  for (const std::string_view protocol : {"_TCP", "_UDP", "_SCTP"}) {
    if (!name.ends_with(protocol)) continue;
    name.remove_suffix(protocol.size());
    const auto digits = name.find_last_not_of("0123456789");
    return digits != std::string_view::npos && digits + 1 < name.size() &&
           name.substr(0, digits + 1).ends_with("_PORT_");
  }
  return false;
}

/// The kubelet describes each Service of the pod's namespace in the environment (Kubernetes
/// documentation, "Service / Discovering services / Environment variables").
bool made_by_kubernetes(const std::string& name, const std::string& value) {
  if (name.ends_with("_SERVICE_HOST") || name.find("_SERVICE_PORT") != std::string::npos)
    return true;
  if (name.ends_with("_PORT")) {
    for (const std::string_view scheme : {"tcp://", "udp://", "sctp://"}) {
      if (value.starts_with(scheme)) return true;
    }
  }
  return ends_like_service_variable(name);
}

bool is_setting(std::string_view name) {
  return name == kNodeName ||
         std::ranges::any_of(setting_definitions(),
                             [&](const auto& definition) { return definition.env == name; });
}

/// The most similar setting.
std::optional<std::string_view> nearest(std::string_view name) {
  std::optional<std::string_view> found;
  std::size_t least = kMostEdits + 1;
  for (const SettingDefinition& definition : setting_definitions()) {
    const std::size_t edits = edit_distance(name, definition.env);
    if (edits >= least) continue;
    least = edits;
    found = definition.env;
  }
  return found;
}

}  // namespace

Environment environment_from(const char* const* environ_array) {
  Environment environment;
  for (; environ_array != nullptr && *environ_array != nullptr; ++environ_array) {
    const std::string_view entry = *environ_array;
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  if (a.size() > b.size() + kMostEdits || b.size() > a.size() + kMostEdits) {
    return std::max(a.size(), b.size());  // an upper bound is sufficient
  }
  std::vector<std::size_t> before;
  std::vector<std::size_t> last(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::move(last);
    last = std::move(row);
  }
  return last[b.size()];
}

std::vector<Warning> unknown_variables(const Environment& environment) {
  std::vector<Warning> warnings;
  for (const auto& [name, value] : environment) {
    if (is_setting(name)) continue;
    const bool ours = name.starts_with("NMANAGER_") && !made_by_kubernetes(name, value);
    const auto meant = nearest(name);
    if (!ours && !meant) continue;
    warnings.push_back({WarningCode::kUnknownVariable,
                        "the variable " + in_quotes(name) + " names no setting and is ignored" +
                            (meant ? "; " + std::string(*meant) + " may be meant"
                                   : "; this version does not know it")});
  }
  return warnings;
}

}  // namespace nmanager::settings
