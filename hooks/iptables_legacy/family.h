// Traits of the two families of ip_tables, so that all other code is written once.
#pragma once

// <climits> and <netinet/in.h> come first: the libiptc headers use INT_MAX and struct in_addr
// without including them, and libip6tc.h has no extern "C".
#include <netinet/in.h>

#include <climits>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
}

#include "hooks/values/address.h"

namespace nmanager::iptables_legacy {

struct Ipv4 {
  static constexpr Family kFamily = Family::kIpv4;
  using Entry = ipt_entry;
  using Ip = ipt_ip;
  using Info = ipt_getinfo;
  using GetEntries = ipt_get_entries;

  static constexpr int kDomain = AF_INET;
  static constexpr int kLevel = IPPROTO_IP;
  static constexpr int kGetInfo = IPT_SO_GET_INFO;
  static constexpr int kGetEntries = IPT_SO_GET_ENTRIES;
  static constexpr int kMatchRevision = IPT_SO_GET_REVISION_MATCH;
  static constexpr int kTargetRevision = IPT_SO_GET_REVISION_TARGET;
  static constexpr const char* kNamesFile = "/proc/thread-self/net/ip_tables_names";

  static constexpr std::uint8_t kGoto = IPT_F_GOTO;
  static constexpr std::uint8_t kProtocolFlag = 0;  // only ip6_tables requires a flag with -p
  static constexpr std::size_t kIpOffset = offsetof(Entry, ip);

  static constexpr auto init = iptc_init;
  static constexpr auto free = iptc_free;
  static constexpr auto first_chain = iptc_first_chain;
  static constexpr auto next_chain = iptc_next_chain;
  static constexpr auto first_rule = iptc_first_rule;
  static constexpr auto next_rule = iptc_next_rule;
  static constexpr auto get_target = iptc_get_target;
  static constexpr auto is_chain = iptc_is_chain;
  static constexpr auto create_chain = iptc_create_chain;
  static constexpr auto delete_chain = iptc_delete_chain;
  static constexpr auto flush_entries = iptc_flush_entries;
  static constexpr auto insert_entry = iptc_insert_entry;
  static constexpr auto append_entry = iptc_append_entry;
  static constexpr auto delete_num_entry = iptc_delete_num_entry;
  static constexpr auto get_references = iptc_get_references;
  static constexpr auto builtin = iptc_builtin;
  static constexpr auto get_policy = iptc_get_policy;
  static constexpr auto set_policy = iptc_set_policy;
  static constexpr auto commit = iptc_commit;
};

struct Ipv6 {
  static constexpr Family kFamily = Family::kIpv6;
  using Entry = ip6t_entry;
  using Ip = ip6t_ip6;
  using Info = ip6t_getinfo;
  using GetEntries = ip6t_get_entries;

  static constexpr int kDomain = AF_INET6;
  static constexpr int kLevel = IPPROTO_IPV6;
  static constexpr int kGetInfo = IP6T_SO_GET_INFO;
  static constexpr int kGetEntries = IP6T_SO_GET_ENTRIES;
  static constexpr int kMatchRevision = IP6T_SO_GET_REVISION_MATCH;
  static constexpr int kTargetRevision = IP6T_SO_GET_REVISION_TARGET;
  static constexpr const char* kNamesFile = "/proc/thread-self/net/ip6_tables_names";

  static constexpr std::uint8_t kGoto = IP6T_F_GOTO;
  static constexpr std::uint8_t kProtocolFlag = IP6T_F_PROTO;
  static constexpr std::size_t kIpOffset = offsetof(Entry, ipv6);

  static constexpr auto init = ip6tc_init;
  static constexpr auto free = ip6tc_free;
  static constexpr auto first_chain = ip6tc_first_chain;
  static constexpr auto next_chain = ip6tc_next_chain;
  static constexpr auto first_rule = ip6tc_first_rule;
  static constexpr auto next_rule = ip6tc_next_rule;
  static constexpr auto get_target = ip6tc_get_target;
  static constexpr auto is_chain = ip6tc_is_chain;
  static constexpr auto create_chain = ip6tc_create_chain;
  static constexpr auto delete_chain = ip6tc_delete_chain;
  static constexpr auto flush_entries = ip6tc_flush_entries;
  static constexpr auto insert_entry = ip6tc_insert_entry;
  static constexpr auto append_entry = ip6tc_append_entry;
  static constexpr auto delete_num_entry = ip6tc_delete_num_entry;
  static constexpr auto get_references = ip6tc_get_references;
  static constexpr auto builtin = ip6tc_builtin;
  static constexpr auto get_policy = ip6tc_get_policy;
  static constexpr auto set_policy = ip6tc_set_policy;
  static constexpr auto commit = ip6tc_commit;
};

/// Calls `use` with the traits of `family`.
template <class Use>
decltype(auto) with_family(Family family, Use&& use) {
  return family == Family::kIpv4 ? use(Ipv4{}) : use(Ipv6{});
}

}  // namespace nmanager::iptables_legacy
