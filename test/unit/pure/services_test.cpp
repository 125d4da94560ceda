#include <doctest/doctest.h>

#include <functional>

#include "plugin/services/store.h"

using namespace nmanager;
using namespace nmanager::services;

namespace {

Address ip(const char* text) {
  return *Address::parse(text);
}

/// A Service that qualifies; each case changes one field.
Service good() {
  Service service;
  service.key = "ns/svc";
  service.type = ServiceType::kLoadBalancer;
  service.external_policy_local = true;
  service.cluster_ips = {ip("10.96.0.1"), ip("fd96::1")};
  service.ingress = {{ip("20.0.0.1"), true}};
  service.ports = {{Protocol::kTcp, 80}, {Protocol::kTcp, 443}, {Protocol::kUdp, 53}};
  return service;
}

/// "20.0.0.1->10.96.0.1 | reason address | ..."
std::string result_of(const Service& service, const QualifySettings& settings = {}) {
  const Qualification result = qualify(service, settings);
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : " | ") + part; };
  for (const ExternalAddress& entry : result.addresses) {
    std::string one = to_string(entry.external) + "->" + to_string(entry.cluster);
    for (const Prefix& source : entry.allowed_sources) one += " from " + to_string(source);
    add(one);
  }
  for (const Skip& skip : result.skipped) {
    add(std::string(to_string(skip.reason)) + (skip.address.empty() ? "" : " " + skip.address));
  }
  return text;
}

}  // namespace

TEST_CASE("a Service that would cost a node more than its share has no rules at all") {
  Service service = good();
  service.ports = {{Protocol::kTcp, 80}};
  service.ingress = {{ip("20.0.0.1"), true}, {ip("20.0.0.2"), true}};
  const auto with_ranges = [&](std::size_t count) {
    service.source_ranges.clear();
    for (std::size_t i = 0; i < count; ++i) {
      const std::string text = std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) +
                               "." + std::to_string(i % 256) + ".0/24";
      service.source_ranges.push_back(*Prefix::parse(text));
    }
    return qualify(service, {});
  };
  CHECK(with_ranges(kMostPortMatches / 2).addresses.size() == 2);
  const Qualification over = with_ranges(kMostPortMatches / 2 + 1);
  CHECK(over.addresses.empty());
  REQUIRE(over.skipped.size() == 1);
  CHECK(over.skipped.front() == Skip{SkipReason::kTooLarge, ""});
  ServiceStore store;
  store.upsert(service);
  const Qualified all = qualify_all(store, {});
  CHECK(all.skipped == std::map<std::string, std::size_t>{{"too_large", 1}});
  REQUIRE(all.examples.size() == 1);
  CHECK(all.examples.front().starts_with("ns/svc: "));
}

TEST_CASE("which Services qualify, and why the others do not") {
  struct Case {
    const char* name;
    std::function<void(Service&)> change;
    const char* result;
  };
  const Case cases[] = {
      {"as it is", [](Service&) {}, "20.0.0.1->10.96.0.1"},
      {"ExternalName", [](Service& s) { s.type = ServiceType::kExternalName; }, "external_name"},
      {"headless", [](Service& s) { s.headless = true; }, "headless"},
      {"ClusterIP without addresses", [](Service& s) { s.type = ServiceType::kClusterIp; },
       "no_external_address"},
      {"pending", [](Service& s) { s.ingress.clear(); }, "pending"},
      {"host name only",
       [](Service& s) {
         s.ingress.clear();
         s.ingress_without_ip = 1;
       },
       "hostname_only"},
      {"host name and ip", [](Service& s) { s.ingress_without_ip = 1; },
       "20.0.0.1->10.96.0.1 | hostname_only"},
      {"ipMode Proxy", [](Service& s) { s.ingress[0].vip = false; }, "ip_mode_proxy 20.0.0.1"},
      {"policy Cluster", [](Service& s) { s.external_policy_local = false; },
       "external_policy_cluster"},
      {"internal policy Local", [](Service& s) { s.internal_policy_local = true; },
       "internal_policy_local"},
      {"two addresses",
       [](Service& s) {
         s.ingress.push_back({ip("20.0.0.2"), true});
       },
       "20.0.0.1->10.96.0.1 | 20.0.0.2->10.96.0.1"},
      {"dual stack",
       [](Service& s) {
         s.ingress.push_back({ip("fd20::1"), true});
       },
       "20.0.0.1->10.96.0.1 | fd20::1->fd96::1"},
      {"address of a family without ClusterIP",
       [](Service& s) {
         s.cluster_ips = {ip("10.96.0.1")};
         s.ingress.push_back({ip("fd20::1"), true});
       },
       "20.0.0.1->10.96.0.1 | no_cluster_ip_of_family fd20::1"},
      {"no ports", [](Service& s) { s.ports.clear(); }, "no_ports"},
      {"ports that could not be read",
       [](Service& s) {
         s.ports.clear();
         s.malformed = {"spec.ports[0].port"};
       },
       "malformed"},
      {"loopback",
       [](Service& s) {
         s.ingress = {{ip("127.0.0.1"), true}};
       },
       "unusable_address 127.0.0.1"},
      {"link-local",
       [](Service& s) {
         s.ingress = {{ip("fe80::1"), true}};
       },
       "unusable_address fe80::1"},
      {"multicast",
       [](Service& s) {
         s.ingress = {{ip("239.0.0.1"), true}};
       },
       "unusable_address 239.0.0.1"},
      {"unspecified",
       [](Service& s) {
         s.ingress = {{ip("0.0.0.0"), true}};
       },
       "unusable_address 0.0.0.0"},
      {"the ClusterIP itself",
       [](Service& s) {
         s.ingress = {{ip("10.96.0.1"), true}};
       },
       "unusable_address 10.96.0.1"},
      {"externalIPs of a ClusterIP Service",
       [](Service& s) {
         s.type = ServiceType::kClusterIp;
         s.external_ips = {ip("192.168.100.1")};
       },
       "192.168.100.1->10.96.0.1"},
      {"ingress of a former load balancer",
       [](Service& s) {
         s.type = ServiceType::kNodePort;
         s.external_ips = {ip("192.168.100.1")};
       },
       "192.168.100.1->10.96.0.1"},
      {"source ranges", [](Service& s) { s.source_ranges = {*Prefix::parse("203.0.113.0/24")}; },
       "20.0.0.1->10.96.0.1 from 203.0.113.0/24"},
      {"source ranges of the other family only",
       [](Service& s) { s.source_ranges = {*Prefix::parse("fd00::/8")}; },
       "source_ranges 20.0.0.1"},
      {"source ranges that could not be read",
       [](Service& s) { s.malformed = {"spec.loadBalancerSourceRanges[0]"}; },
       "malformed spec.loadBalancerSourceRanges[0] | source_ranges 20.0.0.1"},
      {"source ranges do not bind externalIPs",
       [](Service& s) {
         s.source_ranges = {*Prefix::parse("203.0.113.0/24")};
         s.external_ips = {ip("20.0.0.1"), ip("20.0.0.9")};
       },
       "20.0.0.1->10.96.0.1 | 20.0.0.9->10.96.0.1"},
      {"one address that could not be read",
       [](Service& s) { s.malformed = {"status.loadBalancer.ingress[1].ip"}; },
       "20.0.0.1->10.96.0.1 | malformed status.loadBalancer.ingress[1].ip"},
      {"the same address twice",
       [](Service& s) {
         s.ingress.push_back({ip("20.0.0.1"), true});
         s.external_ips = {ip("20.0.0.9"), ip("20.0.0.9")};
       },
       "20.0.0.9->10.96.0.1 | 20.0.0.1->10.96.0.1"},
      {"the same address with ipMode Proxy and without",
       [](Service& s) {
         s.ingress = {{ip("20.0.0.1"), false}, {ip("20.0.0.1"), true}};
       },
       "20.0.0.1->10.96.0.1"},
      {"the only address could not be read",
       [](Service& s) {
         s.ingress.clear();
         s.malformed = {"status.loadBalancer.ingress[0].ip"};
       },
       "malformed"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Service service = good();
    c.change(service);
    CHECK(result_of(service) == c.result);
  }
}

TEST_CASE("EXTERNAL_CLUSTER_POLICY=all widens it") {
  Service service = good();
  service.external_policy_local = false;
  QualifySettings settings;
  settings.any_external_policy = true;
  CHECK(result_of(service, settings) == "20.0.0.1->10.96.0.1");
  service.internal_policy_local = true;
  CHECK(result_of(service, settings) == "internal_policy_local");
}

TEST_CASE("the API server's own address and port get no rule") {
  Service service = good();
  QualifySettings settings;
  settings.api_servers = {{ip("20.0.0.1"), 443}};
  const auto result = qualify(service, settings);
  REQUIRE(result.addresses.size() == 1);
  CHECK(result.addresses[0].ports ==
        std::vector<ServicePort>{{Protocol::kTcp, 80}, {Protocol::kUdp, 53}});
  CHECK(result.skipped == std::vector<Skip>{{SkipReason::kApiServer, "20.0.0.1"}});

  settings.api_servers = {{ip("20.0.0.1"), 53}, {ip("20.0.0.2"), 443}};  // UDP; another address
  CHECK(result_of(service, settings) == "20.0.0.1->10.96.0.1");

  service.ports = {{Protocol::kTcp, 443}};
  settings.api_servers = {{ip("20.0.0.1"), 443}};
  CHECK(result_of(service, settings) == "api_server 20.0.0.1");

  settings.match = MatchBy::kAddress;  // one port of the address would affect all
  CHECK(result_of(good(), settings) == "api_server 20.0.0.1");
}

TEST_CASE("ports are given by protocol") {
  const auto result = qualify(good(), {});
  REQUIRE(result.addresses.size() == 1);
  CHECK(result.addresses[0].ports == std::vector<ServicePort>{{Protocol::kTcp, 80},
                                                              {Protocol::kTcp, 443},
                                                              {Protocol::kUdp, 53}});
}

TEST_CASE("all Services: counts, examples, conflicts") {
  ServiceStore store;
  Service first = good();
  Service second = good();
  second.key = "ns/zweiter";
  Service third = good();
  third.key = "ns/third";
  third.ingress.clear();
  const ListChanges list = store.changes_to({second, first, third}, {});
  CHECK(list.changed == std::vector<Service>{first, third, second});
  for (const Service& service : list.changed) CHECK(store.upsert(service));
  CHECK(store.changes_to({first, second, third}, {}).changed.empty());
  const Qualified all = qualify_all(store, {});
  CHECK(all.services_with_rules == 2);
  CHECK(all.skipped == std::map<std::string, std::size_t>{{"conflict", 1}, {"pending", 1}});
  REQUIRE(all.examples.size() == 1);
  CHECK(all.examples[0].starts_with("ns/zweiter 20.0.0.1: another Service"));
  second.ports = {{Protocol::kTcp, 8080}};
  CHECK(store.upsert(second));
  CHECK_FALSE(store.upsert(second));
  CHECK(qualify_all(store, {}).skipped.count("conflict") == 0);
  CHECK(store.remove("ns/third"));
  CHECK_FALSE(store.remove("ns/third"));
  CHECK(store.changes_to({}, {"ns/svc"}).removed == std::vector<std::string>{"ns/zweiter"});
}

TEST_CASE("every reason has a unique name and text") {
  std::map<std::string_view, int> names;
  std::map<std::string_view, int> words;
  for (int i = 0; i <= static_cast<int>(SkipReason::kApiServer); ++i) {
    CHECK(++names[to_string(static_cast<SkipReason>(i))] == 1);
    CHECK(++words[in_words(static_cast<SkipReason>(i))] == 1);
  }
  CHECK(names.count("?") == 0);
}
