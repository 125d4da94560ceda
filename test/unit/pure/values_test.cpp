#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "hooks/chains/rule_text.h"
#include "hooks/values/hash.h"
#include "hooks/values/kube_chain.h"
#include "hooks/values/table.h"

using namespace nmanager;
using namespace nmanager::chains;

TEST_CASE("addresses and blocks of Services are read as Kubernetes reads them") {
  struct Case {
    const char* text;
    const char* printed;  // "": refused
  };
  for (const Case& c : {Case{"203.0.113.063", "203.0.113.63"},
                        {"010.000.000.0001", "10.0.0.1"},
                        {"10.0.0.0256", ""},
                        {"::ffff:203.0.113.62", "203.0.113.62"},
                        {"::ffff:cb00:713e", "203.0.113.62"},
                        {"::ffff:203.0.113.062", "203.0.113.62"},
                        {"::203.0.113.62", "::203.0.113.62"},
                        {"fd00::1", "fd00::1"},
                        {"10.0.0.-0", ""},
                        {"10.0.0.", ""}}) {
    CAPTURE(c.text);
    const auto address = Address::parse_sloppy(c.text);
    CHECK((address ? to_string(*address) : "") == c.printed);
  }
  for (const Case& c : {Case{"010.0.0.0/08", "10.0.0.0/8"},
                        {"10.1.2.3/16", "10.1.0.0/16"},
                        {"10.0.0.0/-0", ""},
                        {"10.0.0.0/33", ""},
                        {"::ffff:10.0.0.0/104", ""}}) {
    CAPTURE(c.text);
    const auto prefix = Prefix::parse_sloppy(c.text);
    CHECK((prefix ? to_string(*prefix) : "") == c.printed);
  }
  for (const char* text : {"10.0.0.-0", "-0.0.0.0", "::-0", "::ffff:10.0.0.-0"}) {
    CHECK_FALSE(Address::parse(text).has_value());
  }
  CHECK_FALSE(Prefix::parse("10.0.0.0/-0").has_value());
}

TEST_CASE("an address is read strictly and printed canonically") {
  struct Case {
    const char* text;
    const char* printed;  // nullptr: refused
  };
  const Case cases[] = {
      {"10.0.0.1", "10.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"0.0.0.0", "0.0.0.0"},
      {"10.0.0", nullptr},
      {"10.0.0.1.2", nullptr},
      {"10.0.0.256", nullptr},
      {"10.0.0.01", nullptr},
      {"10.0.0.", nullptr},
      {".10.0.0", nullptr},
      {"10.0.0.1 ", nullptr},
      {"+1.0.0.1", nullptr},
      {"", nullptr},
      {"a.b.c.d", nullptr},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"fd00:10:96::e8d1", "fd00:10:96::e8d1"},
      {"FD00:0:0:0:0:0:0:1", "fd00::1"},
      {"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},
      {"2001:0:0:1:0:0:1:1", "2001::1:0:0:1:1"},
      {"1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
      {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"1:2:3:4:5:6:7", nullptr},
      {"1:2:3:4:5:6:7:8:9", nullptr},
      {"1::2::3", nullptr},
      {"12345::", nullptr},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"1:2:3:4:5:6:7:8::", nullptr},
      {":1::", nullptr},
      {"1:", nullptr},
      {"::1%eth0", nullptr},
      {"g::", nullptr},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto address = Address::parse(c.text);
    REQUIRE(address.has_value() == (c.printed != nullptr));
    if (address) CHECK(to_string(*address) == c.printed);
  }
}

TEST_CASE("a prefix is canonical") {
  struct Case {
    const char* text;
    const char* printed;
    const char* mask;
  };
  const Case cases[] = {
      {"10.1.2.3/8", "10.0.0.0/8", "255.0.0.0"},
      {"10.1.2.3/32", "10.1.2.3/32", "255.255.255.255"},
      {"10.1.2.3/0", "0.0.0.0/0", "0.0.0.0"},
      {"10.1.2.3/31", "10.1.2.2/31", "255.255.255.254"},
      {"10.255.0.0/7", "10.0.0.0/7", "254.0.0.0"},
      {"10.1.2.3/33", nullptr, nullptr},
      {"10.1.2.3/-1", nullptr, nullptr},
      {"10.1.2.3/08", nullptr, nullptr},
      {"10.1.2.3", nullptr, nullptr},
      {"10.1.2.3/", nullptr, nullptr},
      {"fd00::ffff/64", "fd00::/64", "ffff:ffff:ffff:ffff::"},
      {"fd00::1/128", "fd00::1/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"ffff::/1", "8000::/1", "8000::"},
      {"fd00::/129", nullptr, nullptr},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto prefix = Prefix::parse(c.text);
    REQUIRE(prefix.has_value() == (c.printed != nullptr));
    if (!prefix) continue;
    CHECK(to_string(*prefix) == c.printed);
    CHECK(to_string(prefix->mask()) == c.mask);
    CHECK(Prefix::length_of(prefix->mask()) == prefix->length());
  }
}

TEST_CASE("an address with a hole in its ones is no mask") {
  for (const char* text : {"255.0.255.0", "0.255.255.255", "255.255.253.0", "1.0.0.0"}) {
    CHECK_FALSE(Prefix::length_of(*Address::parse(text)).has_value());
  }
  CHECK_FALSE(Prefix::length_of(*Address::parse("ffff::1")).has_value());
  CHECK(Prefix::length_of(*Address::parse("0.0.0.0")) == 0);
  CHECK(Prefix::length_of(*Address::parse("ffff:8000::")) == 17);
}

TEST_CASE("prefixes contain and intersect") {
  const auto p = [](const char* text) { return *Prefix::parse(text); };
  CHECK(p("10.0.0.0/8").contains(*Address::parse("10.255.0.1")));
  CHECK_FALSE(p("10.0.0.0/8").contains(*Address::parse("11.0.0.1")));
  CHECK_FALSE(p("10.0.0.0/8").contains(*Address::parse("::a00:1")));
  CHECK(intersect(p("10.0.0.0/8"), p("10.1.0.0/16")) == p("10.1.0.0/16"));
  CHECK(intersect(p("10.1.0.0/16"), p("10.0.0.0/8")) == p("10.1.0.0/16"));
  CHECK_FALSE(intersect(p("10.0.0.0/8"), p("11.0.0.0/8")).has_value());
  CHECK_FALSE(intersect(p("0.0.0.0/0"), p("::/0")).has_value());
}

TEST_CASE("special kinds of addresses are recognized") {
  const auto a = [](const char* text) { return *Address::parse(text); };
  CHECK(a("0.0.0.0").is_unspecified());
  CHECK(a("::").is_unspecified());
  CHECK(a("127.8.0.1").is_loopback());
  CHECK(a("::1").is_loopback());
  CHECK_FALSE(a("::2").is_loopback());
  CHECK(a("224.0.0.1").is_multicast());
  CHECK(a("ff02::1").is_multicast());
  CHECK(a("169.254.1.1").is_link_local());
  CHECK(a("fe80::1").is_link_local());
  CHECK_FALSE(a("fec0::1").is_link_local());
}

TEST_CASE("a rule prints as iptables-save does") {
  Rule rule;
  rule.target = Jump{ChainName("NMANAGER_INPUT")};
  CHECK(to_string(rule) == "-j NMANAGER_INPUT");
  CHECK(is_plain(rule));
  rule.target = Jump{ChainName("NMANAGER_INPUT"), true};
  CHECK(to_string(rule) == "-g NMANAGER_INPUT");
  rule.source = Prefix::parse("10.244.0.0/16");
  rule.destination = Prefix::parse("10.0.0.1/32");
  rule.in_interface = "eth+";
  rule.protocol = Protocol::kTcp;
  rule.source_is_local = true;
  rule.destination_ports.push_back({80, 80});
  rule.comment = R"(a "b" \c)";
  rule.target = Dnat{*Address::parse("10.96.0.1")};
  CHECK_FALSE(is_plain(rule));
  CHECK(
      to_string(rule) ==
      "-s 10.244.0.0/16 -d 10.0.0.1/32 -i eth+ -p tcp -m addrtype --src-type LOCAL -m tcp --dport "
      R"(80 -m comment --comment "a \"b\" \\c" -j DNAT --to-destination 10.96.0.1)");
  rule = {};
  rule.protocol = Protocol::kUdp;
  rule.destination_ports = {{53, 53}, {100, 110}};
  rule.target = Return{};
  CHECK(to_string(rule) == "-p udp -m multiport --dports 53,100:110 -j RETURN");
  rule.protocol = Protocol::kSctp;
  rule.destination_ports = {{132, 132}};
  rule.target = SetMark{0x4000, 0x4000};
  CHECK(to_string(rule) == "-p sctp -m multiport --dports 132 -j MARK --set-xmark 0x4000/0x4000");
  rule = {};
  rule.state_invalid = true;
  rule.target = Drop{};
  CHECK(to_string(rule) == "-m conntrack --ctstate INVALID -j DROP");
}

TEST_CASE("every field of a rule is part of its hash") {
  const Rule base;
  std::vector<Rule> variants(12, base);
  variants[0].source = Prefix::parse("10.0.0.0/8");
  variants[1].destination = Prefix::parse("10.0.0.0/8");
  variants[2].in_interface = "eth0";
  variants[3].protocol = Protocol::kTcp;
  variants[4].source_is_local = true;
  variants[5].state_invalid = true;
  variants[6].destination_ports.push_back({1, 1});
  variants[7].comment = "x";
  variants[8].target = Return{};
  variants[9].target = Jump{ChainName("A")};
  variants[10].target = Jump{ChainName("A"), true};
  variants[11].target = SetMark{1, 1};
  variants.push_back(base);
  for (std::size_t i = 0; i < variants.size(); ++i) {
    CHECK(hash_of(variants[i]) == hash_of(Rule(variants[i])));
    for (std::size_t j = 0; j < i; ++j) {
      CAPTURE(i);
      CAPTURE(j);
      CHECK(hash_of(variants[i]) != hash_of(variants[j]));
    }
  }
}

TEST_CASE("the hash depends on every byte, the length and the seed") {
  std::string text(67, 'a');
  const std::uint64_t whole = hash_bytes(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = 'b';
    CHECK(hash_bytes(other) != whole);
  }
  CHECK(hash_bytes(text.substr(1)) != whole);
  CHECK(hash_bytes(text, 1) != whole);
  CHECK(hash_bytes(std::string_view("")) != hash_bytes(std::string_view("\0", 1)));
}

TEST_CASE("only the hooks that we need have one of our chains") {
  CHECK(hook_chain(Table::kFilter, Hook::kInput)->str() == "NMANAGER_INPUT");
  CHECK_FALSE(hook_chain(Table::kFilter, Hook::kOutput));
  CHECK(hook_chain(Table::kNat, Hook::kPrerouting)->str() == "NMANAGER_PREROUTING");
  CHECK(hook_chain(Table::kNat, Hook::kOutput)->str() == "NMANAGER_OUTPUT");
  CHECK_FALSE(hook_chain(Table::kNat, Hook::kInput));
  CHECK(hook_chain(Table::kFilter, Hook::kForward)->str() == "NMANAGER_FORWARD");
  for (const Table table : {Table::kFilter, Table::kNat}) {
    for (const Hook hook : hooks_of(table)) {
      CHECK(hook_chain(table, hook)->str() == "NMANAGER_" + std::string(to_string(hook)));
    }
  }
}

TEST_CASE("chains of kube-proxy and kubelet, and foreign chains with similar names") {
  for (const std::string_view name : {"KUBE-SERVICES",
                                      "KUBE-NODEPORTS",
                                      "KUBE-POSTROUTING",
                                      "KUBE-FORWARD",
                                      "KUBE-FIREWALL",
                                      "KUBE-PROXY-FIREWALL",
                                      "KUBE-EXTERNAL-SERVICES",
                                      "KUBE-MARK-MASQ",
                                      "KUBE-MARK-DROP",
                                      "KUBE-NODE-PORT",
                                      "KUBE-LOAD-BALANCER",
                                      "KUBE-SOURCE-RANGES-FIREWALL",
                                      "KUBE-IPVS-FILTER",
                                      "KUBE-IPVS-OUT-FILTER",
                                      "KUBE-PROXY-CANARY",
                                      "KUBE-KUBELET-CANARY",
                                      "KUBE-IPTABLES-HINT",
                                      "KUBE-SVC-TCOU7JCQXEZGVUNU",
                                      "KUBE-SVL-TCOU7JCQXEZGVUNU",
                                      "KUBE-SEP-IT2ZTR26TO4XFPTO",
                                      "KUBE-FW-TCOU7JCQXEZGVUNU",
                                      "KUBE-EXT-TCOU7JCQXEZGVUNU",
                                      "KUBE-XLB-TCOU7JCQXEZGVUNU"}) {
    CAPTURE(std::string(name));
    CHECK(is_kube_chain(name));
    CHECK_FALSE(is_own_chain(name));
  }
  for (const std::string_view name :
       {"KUBE-ROUTER-INPUT", "KUBE-ROUTER-FORWARD", "KUBE-ROUTER-OUTPUT", "KUBE-ROUTER-SERVICES",
        "KUBE-POD-FW-2GFVFWJFUPXSBE5C", "KUBE-NWPLCY-DEFAULT", "KUBE-NWPLCY-YHM4QK5ZLQ7PWCJ2",
        "KUBE-SVC-", "KUBE-SVC-a", "KUBE-SERVICES-X", "KUBE-", "KUBE", "", "kube-services",
        "KUBE-IPVS-IPS", "NMANAGER_INPUT", "X-KUBE-SERVICES"}) {
    CAPTURE(std::string(name));
    CHECK_FALSE(is_kube_chain(name));
  }
}
