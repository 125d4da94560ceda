// Foreign rules stay byte for byte the same during all our changes.
#include <doctest/doctest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

using iptables_legacy::BlobChain;
using iptables_legacy::Span;

/// Extensions that our code does not know, some of them with state.
std::vector<std::string> exotic_rules(Family family) {
  const bool v4 = family == Family::kIpv4;
  const std::string source = v4 ? "192.0.2.0/24" : "2001:db8::/32";
  return {
      "-m recent --name r --rcheck --seconds 60 -j RETURN",
      "-m hashlimit --hashlimit-upto 10/sec --hashlimit-name h --hashlimit-mode srcip -j RETURN",
      "-m set --match-set nm-" + std::string(v4 ? "v4" : "v6") + " src -j RETURN",
      "-m statistic --mode nth --every 3 --packet 1 -j RETURN",
      "-m statistic --mode random --probability 0.33332999982 -j RETURN",
      "-m nfacct --nfacct-name nm-acct -j RETURN",
      "-m string --string secret --algo bm -j RETURN",
      "-m string --hex-string \"|00ff|\" --algo kmp --from 1 --to 99 -j RETURN",
      "-m limit --limit 5/min --limit-burst 7 -j LOG --log-prefix \"a b \" --log-level 7",
      "-m quota --quota 1048576 -j RETURN",
      "-m time --timestart 08:00 --timestop 18:00 -j RETURN",
      "-m connlimit --connlimit-above 9 --connlimit-mask 24 -j RETURN",
      "-m connbytes --connbytes 10:20 --connbytes-dir both --connbytes-mode packets -j RETURN",
      "-m owner --uid-owner 0 -j RETURN",
      "-m iprange --src-range " +
          std::string(v4 ? "192.0.2.1-192.0.2.9" : "2001:db8::1-2001:db8::9"),
      "-m u32 --u32 \"0>>22&0x3C@12>>26&0x3C@0=1\" -j RETURN",
      "-m bpf --bytecode \"1,6 0 0 0\" -j RETURN",
      "! -s " + source + " ! -i eth+ -o eth1 -p tcp -m tcp ! --sport 1:2 --tcp-flags SYN,ACK SYN",
      "-p udp -m multiport --ports 1,2,3:4 -m comment --comment \"x y\" -g FOREIGN-B",
      "-p " +
          std::string(v4 ? "icmp -m icmp --icmp-type 8" : "ipv6-icmp -m icmp6 --icmpv6-type 128"),
      "-p esp -m esp --espspi 5:6 -j RETURN",
      "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir ORIGINAL -j RETURN",
      "-m addrtype --dst-type LOCAL ! --src-type MULTICAST -j RETURN",
      "-m connmark --mark 0x1/0xff -j CONNMARK --save-mark --mask 0xff",
      "-m mark ! --mark 0x4000/0x4000 -j MARK --or-mark 0x8",
      "-m dscp --dscp 0x2e -j NFLOG --nflog-group 3 --nflog-prefix p",
      "-m length --length 10:2000 -m pkttype --pkt-type unicast",
      "-p tcp -m tcpmss --mss 1:1460 -j RETURN",
      "-m helper --helper ftp -j RETURN",
  };
}

std::string table_of(TableId id, const std::vector<std::string>& exotic) {
  const bool filter = id.table == Table::kFilter;
  std::string text =
      ":FOREIGN-A - [0:0]\n:FOREIGN-B - [0:0]\n:KUBE-SVC-A - [0:0]\n:aaa - [0:0]\n:zzz - [0:0]\n";
  text += filter ? ":INPUT DROP [11:1111]\n:FORWARD DROP [12:1212]\n:OUTPUT ACCEPT [13:1313]\n"
                 : ":PREROUTING ACCEPT [21:2121]\n:OUTPUT ACCEPT [22:2222]\n";
  for (const std::string& rule : exotic) text += "[17:1717] -A FOREIGN-A " + rule + '\n';
  for (const std::string& hook : filter ? std::vector<std::string>{"INPUT", "FORWARD"}
                                        : std::vector<std::string>{"PREROUTING", "OUTPUT"}) {
    text += "[3:33] -A " + hook + " -m comment --comment first -j aaa\n";
    text += "[4:44] -A " + hook + " -j FOREIGN-B\n";
    text += "[5:55] -A " + hook + " -j KUBE-SVC-A\n";
    text += "[6:66] -A " + hook + " -p tcp -j zzz\n";
  }
  return text;
}

/// `text` without the lines that mention our chains.
std::string without_ours(const std::string& text) {
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("NMANAGER_") == std::string::npos) result += line + '\n';
  }
  return result;
}

/// The bytes of every foreign rule, including counters. Jump targets are replaced by their names,
/// since their offsets change (a rule without -j also has one).
template <class F>
std::map<std::string, std::vector<std::string>> foreign_bytes(TableId id) {
  const auto socket = iptables_legacy::TableSocket::open(id.family);
  REQUIRE(socket.ok());
  const auto copy = socket->read(to_string(id.table));
  REQUIRE(copy.ok());
  const auto blob = iptables_legacy::BlobIndex<F>::build(copy->entries(), copy->shape());
  REQUIRE(blob.ok());
  std::map<std::string, std::vector<std::string>> result;
  const auto add = [&](const BlobChain& chain, const std::string& name) {
    auto& rules = result[name];
    blob->for_each_rule(chain, [&](Span entry, std::string_view jump_to) {
      if (is_own_chain(jump_to)) return;
      std::vector<std::uint8_t> bytes(entry.begin(), entry.end());
      std::memset(bytes.data() + offsetof(typename F::Entry, comefrom), 0, 4);
      const std::size_t at = iptables_legacy::frame_of<F>(entry)->target_offset;
      const auto target = iptables_legacy::extension_at(entry, at);
      REQUIRE(target.has_value());
      const auto verdict = iptables_legacy::load<int>(target->data);
      if (target->name.empty() && *verdict >= 0) {
        std::memset(bytes.data() + at + sizeof(xt_entry_target), 0, sizeof(int));
      }
      rules.push_back(std::string(bytes.begin(), bytes.end()) + std::string(jump_to));
    });
  };
  for (const BlobChain& chain : blob->user_chains()) {
    if (!is_own_chain(chain.name)) add(chain, std::string(chain.name));
  }
  for (std::size_t hook = 0; hook < iptables_legacy::kHookCount; ++hook) {
    if (const auto chain = blob->hook_chain(hook)) add(*chain, "hook " + std::to_string(hook));
  }
  return result;
}

auto foreign_bytes(TableId id) {
  return iptables_legacy::with_family(id.family, [&]<class F>(F) { return foreign_bytes<F>(id); });
}

DesiredTable desired_of(TableId id, std::uint16_t rules) {
  DesiredTable desired;
  for (const Hook hook : kHooks) {
    const auto chain = hook_chain(id.table, hook);
    if (!chain) continue;
    desired.jumps.push_back(hook);
    for (std::uint16_t i = 1; i <= rules; ++i) {
      Rule rule;
      rule.protocol = Protocol::kUdp;
      rule.destination_ports = {{i, i}};
      rule.comment = "ours";
      rule.target = Return{};
      desired.chains[*chain].push_back(rule);
    }
  }
  return desired;
}

/// `nfacct add`, without the tool.
void make_accounting_object(std::string_view name) {
  struct {
    nlmsghdr head{};
    nfgenmsg family{};
    nlattr attribute{};
    std::array<char, 32> name{};
  } message;
  message.head.nlmsg_len = sizeof message;
  message.head.nlmsg_type = NFNL_SUBSYS_ACCT << 8 | NFNL_MSG_ACCT_NEW;
  message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
  message.attribute.nla_len = sizeof message.attribute + sizeof message.name;
  message.attribute.nla_type = NFACCT_NAME;
  std::ranges::copy(name, message.name.begin());
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  (void)send(fd, &message, sizeof message, 0);  // complete when send() returns
  close(fd);
}

/// The rules that this machine supports; the others are printed.
std::vector<std::string> possible(TableId id, const std::vector<std::string>& rules) {
  must(iptables(id) + " -N TRY; " + iptables(id) + " -N FOREIGN-B");
  std::vector<std::string> result;
  for (const std::string& rule : rules) {
    const auto tried = run(iptables(id) + " -A TRY " + rule);
    if (tried.exit_code == 0) {
      result.push_back(rule);
    } else {
      std::cout << "not supported here, " << to_string(id) << ' ' << rule << ": " << tried.output;
    }
  }
  must(iptables(id) + " -F TRY; " + iptables(id) + " -X TRY; " + iptables(id) + " -X FOREIGN-B");
  return result;
}

}  // namespace

TEST_CASE("foreign rules, counters and policies survive all our changes") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  run("ipset create nm-v4 hash:ip; ipset create nm-v6 hash:ip family inet6");
  make_accounting_object("nm-acct");
  const auto backend = make_legacy_backend(sandbox.options());
  for (const TableId id : kTables) {
    CAPTURE(to_string(id));
    const auto exotic = possible(id, exotic_rules(id.family));
    CHECK(exotic.size() > 20);
    restore(id, table_of(id, exotic));
    std::string before = save(id);
    const auto bytes_before = foreign_bytes(id);
    const auto unchanged = [&] {
      CHECK(without_ours(save(id)) == without_ours(before));
      CHECK(foreign_bytes(id) == bytes_before);
    };

    apply(*backend, id, desired_of(id, 3));
    unchanged();
    apply(*backend, id, desired_of(id, 40));
    unchanged();
    const std::string hook = id.table == Table::kFilter ? "INPUT" : "OUTPUT";
    must(iptables(id) + " -D " + hook + " -j NMANAGER_" + hook);
    must(iptables(id) + " -A " + hook + " -j NMANAGER_" + hook);
    must(iptables(id) + " -D NMANAGER_" + hook + " 7");
    before = save(id);  // each of these commands resets the counters of the policies
    apply(*backend, id, desired_of(id, 40));
    unchanged();
    apply(*backend, id, desired_of(id, 1));
    unchanged();
    apply(*backend, id, {});
    unchanged();
    CHECK(save(id) == without_ours(before));
  }
}

}  // namespace nmanager::test
