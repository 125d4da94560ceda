// The observations on a node, before any conclusion; values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/flow.h"
#include "plugin/model/proxy_mode.h"
#include "plugin/model/time.h"

namespace nmanager::diagnose {

/// A connection that was reset in the manner of one of the problems.
struct ResetHit {
  Flow flow;
  WallTime when;
};

/// A Service's external address that problem 2 may affect.
struct AtRisk {
  std::string service;
  Address external;
  Address cluster;
  std::optional<std::uint16_t> tcp_port;  // nullopt: none, so it cannot be probed
};

/// The result of a connect from this node: "connected", "timed out", "refused", ...
struct ProbeOutcome {
  AtRisk target;
  bool reached = false;
  std::string how;
  bool cluster_reached = false;  // the same port of the cluster address
};

struct ConntrackSeen {
  std::optional<bool> be_liberal;
  std::optional<bool> tcp_loose;
  std::optional<std::uint64_t> entries;
  std::optional<std::uint64_t> limit;
  std::optional<std::uint64_t> invalid;      // packets, during the observation
  std::optional<std::uint64_t> dropped;      // packets, since the table was full
  std::optional<std::uint64_t> early_drops;  // entries evicted to make room
};

struct Evidence {
  WallTime from;
  WallTime to;
  std::string no_capture;    // why RSTs could not be captured; empty: they were
  std::string no_conntrack;  // why conntrack could not be queried; empty: it was
  std::size_t resets_seen = 0;
  std::size_t resets_lost = 0;
  std::vector<ResetHit> by_node;       // problem 1
  std::vector<ResetHit> by_client;     // problem 3
  std::vector<ResetHit> untranslated;  // answers of pods that left with the pod's own address
  ConntrackSeen conntrack;
  std::optional<ProxyMode> mode;  // kube-proxy's; nullopt: could not be determined
  std::string mode_note;
  std::string proxy_version;             // empty: not reported
  std::optional<bool> input_drop;        // nmanager's rule drops INVALID in INPUT
  std::optional<bool> forward_drop;      // and in FORWARD, from pods
  std::optional<bool> external_cluster;  // nmanager's rules for problem 2 are in place
  std::string no_services;               // why Services could not be listed; empty: they could
  std::size_t services = 0;              // known
  std::vector<AtRisk> at_risk;
  bool probed = false;
  std::vector<ProbeOutcome> probes;
  std::vector<Prefix> pod_cidrs;
};

}  // namespace nmanager::diagnose
