// A question about Services and its answer: why one has rules, or has none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/model/skip_reason.h"

namespace nmanager {

/// Either one Service, or all skipped ones, for one reason or any.
struct ServiceQuestion {
  std::string service;  // "namespace/name"; empty: the skipped ones
  std::optional<SkipReason> reason;
};

/// Valid Kubernetes names (RFC 1123 labels) on both sides of the slash.
[[nodiscard]] bool is_service_key(std::string_view text);

struct RulesShown {
  std::string external;  // address
  std::string cluster;   // the address after translation
  std::string ports;     // "tcp 80,443 udp 53", "any"
  std::string allowed;   // sources, "everybody"
  std::string for_whom;  // "pods in 10.244.0.0/16 and this node"
  std::string held_up;   // why the rules are not in place; empty: they are
};

struct SkippedShown {
  std::string service;
  std::string address;  // or the field that is malformed; empty: the whole Service
  SkipReason reason = SkipReason::kMalformed;
  std::string other;  // with kConflict: the Service that has the address
};

struct Explanation {
  ServiceQuestion question;
  std::string nobody;  // why no Service has rules on this node; empty: some may
  bool found = true;   // the Service is known
  std::vector<RulesShown> rules;
  std::vector<SkippedShown> skipped;
  [[nodiscard]] bool has_rules() const { return !rules.empty(); }
};

}  // namespace nmanager
