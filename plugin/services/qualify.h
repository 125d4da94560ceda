// Selects the Services and addresses that need the fix for problem 2, with reasons for those that
// do not. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/intent/table_spec.h"
#include "plugin/model/endpoint.h"
#include "plugin/model/service.h"
#include "plugin/model/skip_reason.h"

namespace nmanager::services {

struct Skip {
  SkipReason reason = SkipReason::kMalformed;
  std::string address;  // empty: the whole Service; a field's name when malformed
  bool operator==(const Skip&) const = default;
};

/// One Service may have at most so many of addresses x loadBalancerSourceRanges x ports: whoever
/// may make Services could stall every node else. Above it, it gets no rules at all.
inline constexpr std::size_t kMostPortMatches = 8192;

struct QualifySettings {
  bool any_external_policy = false;  // EXTERNAL_CLUSTER_POLICY=all
  MatchBy match = MatchBy::kPort;
  /// The endpoints at which this node reaches its API server (api::server_endpoints()). They are
  /// never translated, because such a rule could cut the node off from the API server that is
  /// needed to remove it.
  std::vector<Endpoint> api_servers;
  bool operator==(const QualifySettings&) const = default;
};

struct Qualification {
  std::vector<ExternalAddress> addresses;
  std::vector<Skip> skipped;
};

[[nodiscard]] Qualification qualify(const Service& service, const QualifySettings& settings);

}  // namespace nmanager::services
