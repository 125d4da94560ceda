// Why a Service has rules, or has none.
#include "plugin/reconciler/explain.h"

#include <doctest/doctest.h>

#include "plugin/reconciler/cures.h"
#include "plugin/reconciler/step.h"

namespace nmanager::test {
using namespace nmanager::reconciler;
namespace {

Service service(const std::string& key, std::vector<std::string> external,
                std::vector<std::uint16_t> ports = {80}) {
  Service made;
  made.key = key;
  made.type = ServiceType::kLoadBalancer;
  made.external_policy_local = true;
  made.cluster_ips = {*Address::parse("10.96.0.1")};
  for (const std::string& ip : external) made.ingress.push_back({*Address::parse(ip), true});
  for (const std::uint16_t port : ports) made.ports.push_back({Protocol::kTcp, port});
  return made;
}

State with(std::vector<Service> services, ProxyMode mode = ProxyMode::kIpvs) {
  State state = initial_state(Settings{}, {});
  state.settings.pod_cidr_ipv4.value = Prefix::parse("10.244.0.0/16");
  std::vector<Event> events;
  events.emplace_back(ModeKnown{mode, "test", ""});
  if (mode == ProxyMode::kIpvs) {
    events.emplace_back(ApiEvent(ServicesListed{std::move(services), "1"}));
  }
  (void)step(state, std::move(events), {});
  return state;
}

Explanation of(const State& state, const std::string& key) {
  return explain(state, {key, std::nullopt});
}

}  // namespace

TEST_CASE("the present rules of a Service") {
  const State state = with({service("a/web", {"20.0.0.1", "20.0.0.2"}, {80, 443})});
  const Explanation answer = of(state, "a/web");
  CHECK(answer.found);
  CHECK(answer.nobody.empty());
  REQUIRE(answer.rules.size() == 2);
  CHECK(answer.rules[0].external == "20.0.0.1");
  CHECK(answer.rules[0].cluster == "10.96.0.1");
  CHECK(answer.rules[0].ports == "tcp 80,443");
  CHECK(answer.rules[0].for_whom == "pods in 10.244.0.0/16 and this node");
  CHECK(answer.rules[0].held_up == "not verified since the last change");
  CHECK(answer.skipped.empty());
  CHECK_FALSE(of(state, "a/none").found);
}

TEST_CASE("two Services with one address: the first has it, port by port") {
  const State state =
      with({service("a/first", {"20.0.0.1"}, {80}), service("b/second", {"20.0.0.1"}, {80, 81}),
            service("c/third", {"20.0.0.1"}, {81})});
  CHECK(of(state, "a/first").skipped.empty());
  const Explanation second = of(state, "b/second");
  REQUIRE(second.rules.size() == 1);
  CHECK(second.rules[0].ports == "tcp 81");
  REQUIRE(second.skipped.size() == 1);
  CHECK(second.skipped[0].reason == SkipReason::kConflict);
  CHECK(second.skipped[0].other == "a/first");
  const Explanation third = of(state, "c/third");
  CHECK_FALSE(third.has_rules());
  REQUIRE(third.skipped.size() == 1);
  CHECK(third.skipped[0].other == "b/second");
  CHECK(explain(state, {"", SkipReason::kConflict}).skipped.size() == 2);
  CHECK(explain(state, {"", SkipReason::kHeadless}).skipped.empty());
  CHECK(explain(state, {"", std::nullopt}).skipped.size() == 2);
}

TEST_CASE("the reason for no rules") {
  Service cluster = service("a/web", {"20.0.0.1"});
  cluster.external_policy_local = false;
  const Explanation answer = of(with({cluster}), "a/web");
  CHECK_FALSE(answer.has_rules());
  REQUIRE(answer.skipped.size() == 1);
  CHECK(answer.skipped[0].reason == SkipReason::kExternalPolicyCluster);
  CHECK(of(with({}, ProxyMode::kIptables), "a/web").nobody == "kube-proxy runs in iptables mode");
}

TEST_CASE("the three cures") {
  const auto states = [](const State& state) {
    std::string text;
    for (const Cure& cure : cures_of(state)) text += std::string(to_string(cure.state)) + " ";
    return text;
  };
  CHECK(states(with({service("a/web", {"20.0.0.1"})})) == "failing failing not_needed ");
  CHECK(states(with({}, ProxyMode::kIptables)).starts_with("failing not_needed not_needed"));
  State off = with({});
  off.settings.external_cluster.value = Switch::kOff;
  off.settings.drop_invalid_input.value = Switch::kOff;
  (void)step(off, {}, {});
  CHECK(states(off) == "off off not_needed ");
  State other = with({});
  other.other_nmanager = "another nmanager (process 7)";
  CHECK(states(other) == "off off off ");
  CHECK(cures_of(other)[0].why == "another nmanager (process 7) keeps the rules of this node");
  State unknown = initial_state(Settings{}, {});
  (void)step(unknown, {}, {});
  CHECK(states(unknown) == "failing unknown unknown ");
}

}  // namespace nmanager::test
