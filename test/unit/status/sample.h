// A snapshot with a value in every field.
#pragma once

#include "plugin/model/snapshot.h"

namespace nmanager::test {

inline Snapshot sample_snapshot() {
  using std::chrono::milliseconds;
  Snapshot snapshot;
  snapshot.started_at = WallTime(std::chrono::seconds(1'790'000'000));
  snapshot.made_at = snapshot.started_at + std::chrono::minutes(5);
  snapshot.version = "1.2.3";
  snapshot.backend = "iptables-nft";
  snapshot.proxy_mode = "ipvs";
  snapshot.proxy_mode_origin = "kube-proxy";
  snapshot.proxy_last_sync = snapshot.made_at - std::chrono::seconds(9);
  snapshot.proxy_health = ProxyHealth::kMetricsUnreadable;
  snapshot.proxy_health_text = "it answers, but when it synced last cannot be read";
  snapshot.be_liberal = true;
  TableStatus nat;
  nat.id = {Family::kIpv4, Table::kNat};
  nat.wanted = nat.in_sync = true;
  nat.verified_at = snapshot.made_at;
  nat.rules = 12;
  nat.syncs = 3;
  nat.repairs = 2;
  nat.repairs_by_cause[Cause{}] = 2;
  nat.repair_latency.observe(milliseconds(1));
  nat.repair_latency.observe(milliseconds(3));
  nat.commit_duration.observe(milliseconds(30'000));
  nat.lock_wait.observe(milliseconds(20));
  TableStatus filter;
  filter.id = {Family::kIpv6, Table::kFilter};
  filter.wanted = true;
  filter.error = Error{ErrorKind::kUnsupported, "the kernel lacks the match \"conntrack\""};
  filter.invalid = {{{Hook::kInput, true, true}, 77},
                    {{Hook::kForward, false, true}, 5},
                    {{Hook::kForward, false, false}, 2}};
  snapshot.tables = {nat, filter};
  snapshot.drops = {{Family::kIpv6, Hook::kInput, "on", "by setting"},
                    {Family::kIpv6, Hook::kForward, "counting", "by setting"}};
  KubeStatus kube;
  kube.present = true;
  kube.resyncs = 4;
  kube.last_resync = snapshot.made_at;
  kube.told_sync = snapshot.proxy_last_sync;
  kube.told_is_verified = true;
  kube.told_verified = milliseconds(7);
  snapshot.kube = {kube};
  snapshot.api.server = "https://10.96.0.1:443";
  snapshot.api.last_error = "HTTP 403: forbidden";
  snapshot.services_wanted = true;
  snapshot.services_listed = true;
  snapshot.services = 10;
  snapshot.services_with_rules = 4;
  snapshot.skipped = {{"policy-cluster", 3}};
  snapshot.skipped_examples = {"default/web 192.0.2.1: externalTrafficPolicy is Cluster"};
  snapshot.checks = {{"services-listed", true, false, "10 Services"},
                     {"table-ipv6-filter", false, false, "the kernel lacks"},
                     {"api-server", false, true, "HTTP 403"}};
  snapshot.cures = {{1, "resets", CureState::kFailing, "the kernel lacks", "77 dropped"},
                    {2, "external IPs", CureState::kOn, {}, "4 of 10 Services have rules"},
                    {3, "more resets", CureState::kNotNeeded, "IPVS mode", {}}};
  snapshot.warnings = {{WarningCode::kPodCidrMissing, "something to know"}};
  snapshot.settings = {{"backend", "auto", "default"}};
  return snapshot;
}

}  // namespace nmanager::test
