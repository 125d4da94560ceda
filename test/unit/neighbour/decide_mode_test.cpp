// The mode decision for every combination of evidence, as a table.
#include "plugin/neighbour/decide_mode.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace nmanager {
using namespace nmanager::neighbour;
namespace {

constexpr ProxyMode kAuto = ProxyMode::kAuto;
constexpr ProxyMode kIptables = ProxyMode::kIptables;
constexpr ProxyMode kIpvs = ProxyMode::kIpvs;
constexpr ProxyMode kNftables = ProxyMode::kNftables;

/// One letter each for kube-ipvs0, KUBE-SERVICES, nft table: '+' exists, '-' does not, '?' unknown.
KernelEvidence kernel(std::string_view signs) {
  const auto sign = [&](std::size_t at) -> std::optional<bool> {
    if (signs[at] == '?') return std::nullopt;
    return signs[at] == '+';
  };
  KernelEvidence evidence;
  evidence.ipvs_device = sign(0);
  evidence.kube_chains = sign(1);
  evidence.nft_table = sign(2);
  return evidence;
}

struct ModeCase {
  ProxyMode setting;
  ProxyMode answer;  // kAuto: kube-proxy did not answer
  ProxyMode config;
  std::string kernel;
  ProxyMode previous;  // kAuto: none
  ProxyMode expected;  // kAuto: never determined
  std::string origin;
  bool certain;
  std::string note;  // a part of it; "" = there must be none
};

const std::vector<ModeCase> kCases{
    // The setting takes precedence.
    {kIpvs, kAuto, kAuto, "???", kAuto, kIpvs, "flag", true, ""},
    {kIpvs, kIpvs, kIptables, "--+", kIptables, kIpvs, "flag", true, ""},
    {kIpvs, kIptables, kIptables, "---", kAuto, kIpvs, "flag", true,
     "kube-proxy itself says iptables"},
    {kIptables, kAuto, kIpvs, "++-", kIpvs, kIptables, "flag", true, ""},
    // kube-proxy's own answer.
    {kAuto, kIpvs, kIpvs, "++-", kAuto, kIpvs, "kube-proxy /proxyMode", true, ""},
    {kAuto, kIpvs, kAuto, "--+", kIptables, kIpvs, "kube-proxy /proxyMode", true, ""},
    {kAuto, kIptables, kAuto, "++-", kIpvs, kIptables, "kube-proxy /proxyMode", true, ""},
    {kAuto, kNftables, kNftables, "?-?", kIpvs, kNftables, "kube-proxy /proxyMode", true, ""},
    {kAuto, kIpvs, kIptables, "++-", kAuto, kIpvs, "kube-proxy /proxyMode", true,
     "its configuration says iptables"},
    // Its configuration, while it does not answer.
    {kAuto, kAuto, kIpvs, "???", kAuto, kIpvs, "config.conf", false, "refused"},
    {kAuto, kAuto, kIpvs, "++-", kAuto, kIpvs, "config.conf", false, "refused"},
    {kAuto, kAuto, kIpvs, "---", kAuto, kIpvs, "config.conf", false, "refused"},
    {kAuto, kAuto, kIpvs, "?+?", kAuto, kIpvs, "config.conf", false, "refused"},
    {kAuto, kAuto, kIptables, "-+-", kIpvs, kIptables, "config.conf", false, "refused"},
    {kAuto, kAuto, kIptables, "---", kAuto, kIptables, "config.conf", false, "refused"},
    {kAuto, kAuto, kNftables, "--+", kAuto, kNftables, "config.conf", false, "refused"},
    {kAuto, kAuto, kNftables, "-+-", kAuto, kNftables, "config.conf", false, "refused"},
    // A configuration that the kernel contradicts: the last known mode is kept.
    {kAuto, kAuto, kIpvs, "-+-", kIptables, kIptables, "before", false, "cannot be determined"},
    {kAuto, kAuto, kIpvs, "--+", kNftables, kNftables, "before", false, "cannot be determined"},
    {kAuto, kAuto, kIpvs, "-+-", kIpvs, kIpvs, "before", false, "cannot be determined"},
    {kAuto, kAuto, kIpvs, "-+-", kAuto, kAuto, "", false, "cannot be determined"},
    {kAuto, kAuto, kIptables, "++-", kIpvs, kIpvs, "before", false, "kube-ipvs0 exists"},
    {kAuto, kAuto, kNftables, "++-", kAuto, kAuto, "", false, "kube-ipvs0 exists"},
    // The kernel alone.
    {kAuto, kAuto, kAuto, "++-", kAuto, kIpvs, "kernel", false, "kube-ipvs0 exists"},
    {kAuto, kAuto, kAuto, "+??", kAuto, kIpvs, "kernel", false, "kube-ipvs0 exists"},
    {kAuto, kAuto, kAuto, "-+-", kAuto, kIptables, "kernel", false, "KUBE-SERVICES exists"},
    {kAuto, kAuto, kAuto, "-+?", kIpvs, kIptables, "kernel", false, "KUBE-SERVICES exists"},
    {kAuto, kAuto, kAuto, "--+", kAuto, kNftables, "kernel", false, "nft table"},
    {kAuto, kAuto, kAuto, "-++", kAuto, kNftables, "kernel", false, "nft table"},
    // No source is conclusive: that does not mean "not IPVS".
    {kAuto, kAuto, kAuto, "???", kIpvs, kIpvs, "before", false,
     "the last known mode (ipvs) is kept"},
    {kAuto, kAuto, kAuto, "---", kIpvs, kIpvs, "before", false,
     "the last known mode (ipvs) is kept"},
    {kAuto, kAuto, kAuto, "?+?", kIpvs, kIpvs, "before", false, "refused"},
    {kAuto, kAuto, kAuto, "+?+", kIptables, kIptables, "before", false, "both kube-ipvs0 and"},
    {kAuto, kAuto, kAuto, "+--", kIpvs, kIpvs, "before", false, "KUBE-SERVICES does not"},
    {kAuto, kAuto, kAuto, "???", kAuto, kAuto, "", false, "no mode is assumed"},
};

TEST_CASE("the decision") {
  for (const ModeCase& one : kCases) {
    CAPTURE(one.kernel);
    CAPTURE(to_string(one.config));
    CAPTURE(to_string(one.previous));
    Setting<ProxyMode> setting;
    if (one.setting != kAuto) setting = {one.setting, Origin::kFlag};
    ProxyReport report;
    report.error = "http://127.0.0.1:10249/proxyMode: Connection refused";
    if (one.answer != kAuto) {
      report = ProxyReport{};
      report.mode = one.answer;
      report.reachable = true;
    }
    ModeDecision previous;
    if (one.previous != kAuto) previous = {one.previous, "before", true, "an old note"};
    const ModeDecision decision =
        decide_mode(setting, report, one.config, kernel(one.kernel), previous);
    CHECK(decision.mode.value_or(kAuto) == one.expected);
    CHECK(decision.mode != kAuto);
    CHECK(decision.origin == one.origin);
    CHECK(decision.certain == one.certain);
    CHECK(decision.note.find(one.note) != std::string::npos);
    CHECK(decision.note.empty() == one.note.empty());
    CHECK(decision.note.find("old note") == std::string::npos);
    CHECK(decision.note.find('\n') == std::string::npos);
    CHECK(decision.in_doubt == decision.note.starts_with("kube-proxy's mode cannot be determined"));
  }
}

TEST_CASE("in every combination: never a mode that no source named, and never worse than before") {
  const std::vector<ProxyMode> modes{kAuto, kIptables, kIpvs, kNftables};
  for (const ProxyMode answer : modes) {
    for (const ProxyMode config : modes) {
      for (const ProxyMode before : modes) {
        for (int signs = 0; signs < 27; ++signs) {
          std::string text;
          for (int i = 0, rest = signs; i < 3; ++i, rest /= 3) text += "?+-"[rest % 3];
          ProxyReport report;
          if (answer != kAuto) report.mode = answer;
          ModeDecision previous;
          if (before != kAuto) previous = {before, "before", true, ""};
          const auto decision = decide_mode({}, report, config, kernel(text), previous);
          if (answer != kAuto) CHECK(decision.mode == answer);
          if (before != kAuto) CHECK(decision.mode.has_value());
          // IPVS mode needs a source that named it.
          if (decision.mode == kIpvs) {
            CHECK((answer == kIpvs || config == kIpvs || before == kIpvs || text[0] == '+'));
          }
          CHECK(decision.certain == (answer != kAuto));
        }
      }
    }
  }
}

TEST_CASE("ipvs, iptables, ipvs, nftables: a live switch, with kube-proxy away in between") {
  ModeDecision decision;
  const auto look = [&](ProxyMode answer, ProxyMode config, const std::string& signs) {
    ProxyReport report;
    if (answer != kAuto) report.mode = answer;
    if (answer == kAuto) report.error = "refused";
    decision = decide_mode({}, report, config, kernel(signs), decision);
    return decision.mode.value_or(kAuto);
  };
  CHECK(look(kAuto, kIpvs, "---") == kIpvs);  // booting
  CHECK(look(kIpvs, kIpvs, "++-") == kIpvs);
  CHECK(look(kIpvs, kIptables, "++-") == kIpvs);  // the ConfigMap was changed
  CHECK(look(kAuto, kIptables, "++-") == kIpvs);  // kube-proxy restarts
  CHECK(look(kIptables, kIptables, "++-") == kIptables);
  CHECK(look(kIptables, kIpvs, "++-") == kIptables);
  CHECK(look(kAuto, kIpvs, "-+-") == kIptables);
  CHECK(look(kIpvs, kIpvs, "++-") == kIpvs);
  CHECK(look(kAuto, kNftables, "++-") == kIpvs);
  CHECK(look(kNftables, kNftables, "--+") == kNftables);
  CHECK(look(kAuto, kAuto, "???") == kNftables);  // stopped, and its file is gone too
}

}  // namespace
}  // namespace nmanager
