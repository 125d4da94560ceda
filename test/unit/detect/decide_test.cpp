// The decision from each combination of traces, one line per case.
#include "hooks/detect/decide.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace nmanager::test {
using namespace nmanager::detect;
namespace {

constexpr Variant kNft = Variant::kNft;
constexpr Variant kLegacy = Variant::kLegacy;
constexpr std::nullopt_t kNone = std::nullopt;

/// Traces as letters: h = hint chains, S = KUBE-SERVICES, ? = could not be read.
VariantTraces traces(const std::string& letters) {
  const auto has = [&](char letter) -> std::optional<bool> {
    if (letters.find(letter) != std::string::npos) return true;
    if (letters.find('?') != std::string::npos) return std::nullopt;
    return false;
  };
  return {has('h'), has('S')};
}

struct Case {
  const char* nft;
  const char* legacy;
  std::optional<Variant> previous;
  std::optional<Variant> expected;
  bool certain;
  bool warns;
};

const Case kCases[] = {
    // A node that is starting: no traces yet, nft until there are some.
    {"", "", kNone, kNft, false, false},
    {"", "", kNft, kNft, false, false},
    {"", "", kLegacy, kLegacy, false, false},  // a flush of all tables is not a change of variant
    // One variant.
    {"h", "", kNone, kNft, true, false},
    {"S", "", kNone, kNft, true, false},
    {"hS", "", kNone, kNft, true, false},
    {"", "h", kNone, kLegacy, true, false},
    {"", "S", kNone, kLegacy, true, false},
    {"", "hS", kNone, kLegacy, true, false},
    {"hS", "", kLegacy, kNft, true, false},  // changed permanently
    {"", "hS", kNft, kLegacy, true, false},
    // Both: KUBE-SERVICES decides, ...
    {"hS", "h", kNone, kNft, true, true},
    {"h", "hS", kNone, kLegacy, true, true},
    {"h", "S", kNone, kLegacy, true, true},
    {"S", "h", kNone, kNft, true, true},
    {"h", "S", kNft, kLegacy, true, true},
    {"hS", "h", kLegacy, kNft, true, true},
    // ... then the hints, ...
    {"hS", "S", kNone, kNft, true, true},
    {"S", "hS", kNone, kLegacy, true, true},
    // ... then the previous decision, then nft.
    {"hS", "hS", kNone, kNft, false, true},
    {"hS", "hS", kLegacy, kLegacy, false, true},
    {"h", "h", kNone, kNft, false, true},
    {"h", "h", kLegacy, kLegacy, false, true},
    {"S", "S", kNft, kNft, false, true},
    {"S", "S", kNone, kNft, false, true},
    // Traces that could not be read.
    {"?", "?", kNone, kNone, false, false},
    {"?", "", kNone, kNone, false, false},
    {"?", "", kLegacy, kLegacy, false, false},
    {"", "?", kNone, kNone, false, false},  // legacy tables exist but could not be read
    {"", "?", kLegacy, kLegacy, false, false},
    {"h", "?", kNone, kNft, true, false},  // nft takes precedence: a hint there is sufficient
    {"S", "?", kNone, kNft, false, false},
    {"S", "?", kLegacy, kLegacy, false, false},
    {"?", "h", kNone, kLegacy, false, false},
    {"?", "hS", kNft, kNft, false, false},
    {"h?", "", kNone, kNft, true, false},
    {"S?", "h", kNone, kNft, true, true},
};

TEST_CASE("the decision, case by case") {
  for (const Case& test : kCases) {
    VariantEvidence evidence{traces(test.nft), traces(test.legacy), true, "not permitted"};
    VariantDecision previous;
    previous.variant = test.previous;
    previous.certain = test.previous.has_value();
    const VariantDecision decision = decide_variant(evidence, previous);
    const std::string name = std::string("nft ") + test.nft + " legacy " + test.legacy;
    CAPTURE(name);
    CAPTURE(decision.reason);
    CHECK(decision.variant == test.expected);
    CHECK(decision.certain == test.certain);
    CHECK(decision.warning.empty() != test.warns);
    CHECK_FALSE(decision.reason.empty());
  }
}

TEST_CASE("every combination of known traces has a case") {
  std::set<std::string> covered;
  for (const Case& test : kCases) covered.insert(std::string(test.nft) + '/' + test.legacy);
  for (const std::string nft : {"", "h", "S", "hS"}) {
    for (const std::string legacy : {"", "h", "S", "hS"}) {
      const std::string name = nft + '/' + legacy;
      CHECK_MESSAGE(covered.contains(name), name);
    }
  }
}

TEST_CASE("a kernel without nf_tables: legacy, certain as soon as it has traces") {
  VariantEvidence evidence;
  evidence.nft_possible = false;
  evidence.legacy = traces("");
  evidence.problem = "kernel lacks nf_tables";
  CHECK(decide_variant(evidence, {}).variant == kLegacy);
  CHECK_FALSE(decide_variant(evidence, {}).certain);
  evidence.legacy = traces("h");
  CHECK(decide_variant(evidence, {}).variant == kLegacy);
  CHECK(decide_variant(evidence, {}).certain);
}

TEST_CASE("chains in both variants: the one that kube-proxy writes in, and advice only then") {
  VariantEvidence evidence{traces("S"), traces("S"), true, ""};
  evidence.nft.stamp = 7;
  evidence.legacy.stamp = 100;
  VariantDecision decision = decide_variant(evidence, {});
  CHECK(decision.variant == kNft);
  CHECK(decision.warning.find("remove nothing yet") != std::string::npos);
  evidence.nft.stamp = 8;
  evidence.legacy.stamp = 101;  // both changed: that decides nothing
  decision = decide_variant(evidence, decision);
  CHECK_FALSE(decision.writer);
  evidence.legacy.stamp = 102;  // it writes legacy: what is in nft is old
  for (int look = 0; look < 3; ++look) {
    decision = decide_variant(evidence, decision);
    CHECK(decision.variant == kLegacy);
    CHECK(decision.certain);
    CHECK(
        decision.warning.ends_with("kube-proxy writes in iptables-legacy, which is followed; "
                                   "remove what is left in iptables-nft"));
  }
  evidence.nft.stamp = 9;  // it changed its variant
  decision = decide_variant(evidence, decision);
  CHECK(decision.variant == kNft);
  CHECK(decision.warning.ends_with("remove what is left in iptables-legacy"));
  evidence.legacy = traces("");  // which was done
  decision = decide_variant(evidence, decision);
  CHECK(decision.variant == kNft);
  CHECK(decision.warning.empty());
}

TEST_CASE("words") {
  CHECK(to_string(kNft) == "iptables-nft");
  CHECK(to_string(kLegacy) == "iptables-legacy");
  const VariantDecision both = decide_variant({traces("h"), traces("hS"), true, ""}, {});
  CHECK(both.reason == "KUBE-SERVICES in iptables-legacy only");
  CHECK(both.warning ==
        "both variants of iptables are populated: hint chains in iptables-nft, KUBE-SERVICES and "
        "hint chains in iptables-legacy; iptables-legacy is followed");
  VariantEvidence unknown{traces("?"), traces("?"), true, "opening a socket: not permitted"};
  CHECK(decide_variant(unknown, {}).reason ==
        "cannot be determined: opening a socket: not permitted");
}

}  // namespace
}  // namespace nmanager::test
