// Verdicts from evidence.
#include "plugin/diagnose/verdict.h"

#include <doctest/doctest.h>

#include <functional>

namespace nmanager::test {
using namespace nmanager::diagnose;
namespace {

const Address kExternal = *Address::parse("192.0.2.10");
const Address kCluster = *Address::parse("10.96.0.10");

/// A node in nftables mode that was watched and showed nothing.
Evidence quiet() {
  Evidence evidence;
  evidence.to = evidence.from + std::chrono::seconds(60);
  evidence.mode = ProxyMode::kNftables;
  evidence.conntrack.be_liberal = false;
  evidence.conntrack.tcp_loose = true;
  evidence.conntrack.invalid = 7;
  evidence.conntrack.entries = 10;
  evidence.conntrack.limit = 100;
  return evidence;
}

ResetHit hit() {
  return {{{*Address::parse("10.244.1.7"), 43626, *Address::parse("203.0.113.9"), 443},
           {*Address::parse("203.0.113.9"), 443, *Address::parse("198.51.100.1"), 50000}},
          {}};
}

ProbeOutcome outcome(bool reached, bool cluster) {
  return {{"default/web", kExternal, kCluster, 80},
          reached,
          reached ? "connected" : "timed out",
          cluster};
}

using enum Verdict;

struct Case {
  const char* what;
  std::function<void(Evidence&)> change;
  Verdict first;
  Verdict second;
  Verdict third;
  int exit_code;
};

void ipvs(Evidence& evidence) {
  evidence.mode = ProxyMode::kIpvs;
  evidence.services = 3;
  evidence.at_risk = {{"default/web", kExternal, kCluster, 80}};
}

const std::vector<Case> kCases{
    {"quiet", [](Evidence&) {}, kPossible, kNo, kPossible, 0},
    {"reset by node", [](Evidence& e) { e.by_node = {hit()}; }, kYes, kNo, kPossible, 1},
    {"reset by client", [](Evidence& e) { e.by_client = {hit()}; }, kPossible, kNo, kYes, 1},
    {"answers left untranslated", [](Evidence& e) { e.untranslated = {hit()}; }, kPossible, kNo,
     kPossible, 0},
    {"seen even in iptables mode",
     [](Evidence& e) {
       e.mode = ProxyMode::kIptables;
       e.by_client = {hit()};
     },
     kPossible, kNo, kYes, 1},
    {"liberal", [](Evidence& e) { e.conntrack.be_liberal = true; }, kNo, kNo, kNo, 0},
    {"input dropped", [](Evidence& e) { e.input_drop = true; }, kNo, kNo, kPossible, 0},
    {"forward dropped", [](Evidence& e) { e.forward_drop = true; }, kPossible, kNo, kNo, 0},
    {"iptables", [](Evidence& e) { e.mode = ProxyMode::kIptables; }, kPossible, kNo, kNo, 0},
    {"no capture", [](Evidence& e) { e.no_capture = "CAP_NET_RAW"; }, kUnknown, kNo, kUnknown, 2},
    {"no conntrack",
     [](Evidence& e) {
       e.no_conntrack = "CAP_NET_ADMIN";
       e.resets_seen = 4;
     },
     kUnknown, kNo, kUnknown, 2},
    {"no capture where it does not matter",
     [](Evidence& e) {
       e.no_capture = "CAP_NET_RAW";
       e.mode = ProxyMode::kIptables;
       e.input_drop = true;
     },
     kNo, kNo, kNo, 0},
    {"mode unknown", [](Evidence& e) { e.mode.reset(); }, kPossible, kUnknown, kPossible, 2},
    {"ipvs, at risk", ipvs, kPossible, kPossible, kNo, 0},
    {"ipvs, no address at risk", [](Evidence& e) { e.mode = ProxyMode::kIpvs; }, kPossible, kNo,
     kNo, 0},
    {"ipvs, cured",
     [](Evidence& e) {
       ipvs(e);
       e.external_cluster = true;
     },
     kPossible, kNo, kNo, 0},
    {"ipvs, no Services",
     [](Evidence& e) {
       ipvs(e);
       e.no_services = "denied";
     },
     kPossible, kUnknown, kNo, 2},
    {"ipvs, probe fails",
     [](Evidence& e) {
       ipvs(e);
       e.probed = true;
       e.probes = {outcome(true, true), outcome(false, true)};
     },
     kPossible, kYes, kNo, 1},
    {"ipvs, nothing answers at all",
     [](Evidence& e) {
       ipvs(e);
       e.probed = true;
       e.probes = {outcome(false, false)};
     },
     kPossible, kPossible, kNo, 0},
    {"ipvs, probe reaches",
     [](Evidence& e) {
       ipvs(e);
       e.probed = true;
       e.probes = {outcome(true, false)};
     },
     kPossible, kNo, kNo, 0},
};

}  // namespace

TEST_CASE("verdicts") {
  for (const Case& one : kCases) {
    CAPTURE(std::string(one.what));
    Evidence evidence = quiet();
    one.change(evidence);
    const Diagnosis found = diagnose::diagnose(evidence);
    REQUIRE(found.problems.size() == 3);
    const auto verdict = [&](int i) {
      return std::string(to_string(found.problems[static_cast<std::size_t>(i)].verdict));
    };
    CHECK(verdict(0) == to_string(one.first));
    CHECK(verdict(1) == to_string(one.second));
    CHECK(verdict(2) == to_string(one.third));
    CHECK(found.exit_code == one.exit_code);
    for (const Problem& problem : found.problems) {
      CHECK_FALSE(problem.why.empty());
      CHECK((problem.verdict == kYes) ==
            (!problem.evidence.empty() && !problem.advice.empty() && problem.verdict == kYes));
    }
    CHECK(found.not_seen.empty() == (evidence.no_capture.empty() && evidence.no_conntrack.empty() &&
                                     evidence.no_services.empty()));
  }
}

TEST_CASE("evidence names connection and time, and other problems are noted") {
  Evidence evidence = quiet();
  evidence.pod_cidrs = {*Prefix::parse("10.244.0.0/16")};
  evidence.by_node.assign(30, hit());
  evidence.conntrack.tcp_loose = false;
  evidence.conntrack.entries = 95;
  evidence.conntrack.dropped = 3;
  evidence.resets_lost = 2;
  const Diagnosis found = diagnose::diagnose(evidence);
  const std::string text = render(found, evidence, Paint(false));
  for (const char* part :
       {"problem 1, connections of pods to the outside are reset: YES: 30 connections were reset "
        "by this node in 60 s\n",
        "  pod 10.244.1.7:43626 -> 203.0.113.9:443 was reset by this node at 1970-01-01T00:00:00",
        "  and 10 more\n", "  -> run nmanager on this node", "nf_conntrack_tcp_loose is 0",
        "conntrack is 95 % full (95 of 100)", "3 packets dropped", "2 RSTs came faster",
        "in which conntrack called 7 packets INVALID"}) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, part << " in\n" << text);
  }
  CHECK(render(found, evidence, Paint(true)).find("\x1b[1;31mYES\x1b[0m") != std::string::npos);
  CHECK(render_json(found, evidence).starts_with("{\n  \"exit_code\": 1,\n  \"schema\": 1,"));
}

}  // namespace nmanager::test
