// A separate network namespace, the native backend in it, and goals for it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hooks/nftables/nftables_backend.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {

using Sandbox = NetNamespace;

nftables::NftablesBackend native_backend(nftables::NftablesOptions options = {});

/// External addresses of one Service: both families, TCP 80 and UDP 53, on EXT -> CLUSTER.
ExternalAddress external(const std::string& external, const std::string& cluster,
                         const std::string& owner = "default/web");

/// All four parts: INVALID dropped in both hooks, and these addresses.
struct Wishes {
  bool drop = true;
  InvalidAction action = InvalidAction::kDrop;
  Exemptions exemptions;
  std::vector<ExternalAddress> addresses;
  bool external = true;
  ExternalClusterSettings settings;  // without pod CIDR: 10.244.0.0/16 and fd44::/48
};
std::vector<Goal> goals(const Wishes& wishes);

/// Every part. Combines the reports: any committed; the test fails if one has an error.
struct Outcome {
  bool committed = false;
  std::vector<Finding> findings;
};
Outcome sync(Backend& backend, const std::vector<Goal>& goals);

/// `nft list table inet nmanager`, without counters, elements sorted.
std::string listed();
/// The same, each line with its chain: without the order of rules and chains.
std::string content();

}  // namespace nmanager::test
