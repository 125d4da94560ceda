// The choice of the backend: one line per case.
#include "plugin/reconciler/backend_choice.h"

#include <doctest/doctest.h>

#include <string>

namespace nmanager::test {
using namespace nmanager::detect;
using namespace nmanager::reconciler;
namespace {

constexpr BackendChoice kAuto = BackendChoice::kAuto;
constexpr BackendChoice kLegacy = BackendChoice::kLegacy;
constexpr BackendChoice kNft = BackendChoice::kNft;
constexpr BackendChoice kNftables = BackendChoice::kNftables;
constexpr ProxyMode kUnknown = ProxyMode::kAuto;
constexpr ProxyMode kIptables = ProxyMode::kIptables;
constexpr ProxyMode kIpvs = ProxyMode::kIpvs;
constexpr ProxyMode kNftablesMode = ProxyMode::kNftables;

struct Case {
  BackendChoice setting;
  ProxyMode mode;        // kUnknown: not determined
  const char* variant;   // "nft", "legacy", "": undecided; with a trailing question mark: uncertain
  const char* failures;  // letters: l = legacy, n = iptables-nft, t = nftables
  BackendChoice present;
  BackendChoice expected;
  bool certain;
  bool makes_tables;
  bool notes;
};

const Case kCases[] = {
    // A setting has priority over everything else.
    {kLegacy, kNftablesMode, "nft", "", kAuto, kLegacy, true, true, false},
    {kNft, kNftablesMode, "legacy", "", kLegacy, kNft, true, true, false},
    {kNftables, kIptables, "nft", "", kNft, kNftables, true, true, false},
    {kNft, kIptables, "nft", "n", kNft, kNft, true, true, true},
    {kNftables, kIptables, "nft", "t", kAuto, kNftables, true, true, true},
    {kLegacy, kUnknown, "", "nt", kAuto, kLegacy, true, true, false},
    // The variant in use.
    {kAuto, kIptables, "nft", "", kAuto, kNft, true, true, false},
    {kAuto, kIpvs, "nft", "", kAuto, kNft, true, true, false},
    {kAuto, kIpvs, "legacy", "", kAuto, kLegacy, true, true, false},
    {kAuto, kIptables, "legacy", "", kNft, kLegacy, true, true, false},
    {kAuto, kIptables, "nft?", "", kAuto, kNft, false, true, false},
    // Tables of iptables-legacy are created only if it is certain that the host uses them.
    {kAuto, kIptables, "legacy?", "", kAuto, kLegacy, false, false, false},
    {kAuto, kUnknown, "legacy?", "", kLegacy, kLegacy, false, false, false},
    // Nothing known: the backend in use stays.
    {kAuto, kIptables, "", "", kAuto, kAuto, false, false, true},
    {kAuto, kUnknown, "", "", kLegacy, kLegacy, false, false, true},
    {kAuto, kIptables, "", "", kNft, kNft, false, false, true},
    // kube-proxy in nftables mode.
    {kAuto, kNftablesMode, "nft", "", kNft, kNftables, true, true, false},
    {kAuto, kNftablesMode, "legacy", "", kAuto, kNftables, true, true, false},
    {kAuto, kNftablesMode, "", "", kAuto, kNftables, true, true, false},
    {kAuto, kNftablesMode, "nft?", "nl", kAuto, kNftables, true, true, false},
    {kAuto, kNftablesMode, "nft", "t", kAuto, kNft, true, true, true},
    {kAuto, kNftablesMode, "legacy", "t", kLegacy, kLegacy, true, true, true},
    {kAuto, kNftablesMode, "", "t", kAuto, kAuto, false, false, true},
    // With an unknown mode nftables stays in use; the initial choice is iptables.
    {kAuto, kUnknown, "nft", "", kNftables, kNftables, false, true, false},
    {kAuto, kUnknown, "legacy", "", kNftables, kNftables, false, true, false},
    {kAuto, kUnknown, "nft", "t", kNftables, kNft, true, true, true},
    {kAuto, kUnknown, "nft", "", kAuto, kNft, true, true, false},
    {kAuto, kUnknown, "nft", "", kNft, kNft, true, true, false},
    {kAuto, kUnknown, "legacy", "", kNft, kLegacy, true, true, false},
    // Back from nftables mode.
    {kAuto, kIptables, "nft", "", kNftables, kNft, true, true, false},
    {kAuto, kIpvs, "legacy", "", kNftables, kLegacy, true, true, false},
    // The variant cannot be used: no nft_compat, no tables.
    {kAuto, kIptables, "nft", "n", kNft, kNftables, true, true, true},
    {kAuto, kIpvs, "nft?", "n", kNft, kNftables, false, true, true},
    {kAuto, kUnknown, "nft", "n", kNft, kNftables, true, true, true},
    {kAuto, kIptables, "nft", "n", kNftables, kNftables, true, true, true},
    {kAuto, kIptables, "legacy?", "l", kLegacy, kNftables, false, true, true},
    {kAuto, kIptables, "legacy", "n", kLegacy, kLegacy, true, true, false},
    {kAuto, kIptables, "nft", "l", kNft, kNft, true, true, false},
    // No backend can be used: the variant, with the reasons.
    {kAuto, kIptables, "nft", "nt", kNft, kNft, true, true, true},
    {kAuto, kIptables, "nft", "nt", kNftables, kNft, true, true, true},
    {kAuto, kIptables, "legacy?", "lnt", kAuto, kLegacy, false, false, true},
    {kAuto, kNftablesMode, "nft", "lnt", kNft, kNft, true, true, true},
};

BackendQuestion question_of(const Case& test) {
  BackendQuestion question;
  question.setting = test.setting;
  if (test.mode != kUnknown) question.mode = test.mode;
  const std::string variant = test.variant;
  if (variant.starts_with("nft")) question.variant.variant = Variant::kNft;
  if (variant.starts_with("legacy")) question.variant.variant = Variant::kLegacy;
  question.variant.certain = !variant.empty() && !variant.ends_with('?');
  question.variant.reason = "so it looks";
  const std::string failures = test.failures;
  if (failures.find('l') != std::string::npos) question.failures[kLegacy] = "no tables";
  if (failures.find('n') != std::string::npos) question.failures[kNft] = "no nft_compat";
  if (failures.find('t') != std::string::npos) question.failures[kNftables] = "no nf_tables";
  question.present = test.present;
  return question;
}

TEST_CASE("the choice of a backend, case by case") {
  for (const Case& test : kCases) {
    const BackendDecision decision = choose_backend(question_of(test));
    const std::string name = std::string(to_string(test.setting)) + ", mode " +
                             std::string(to_string(test.mode)) + ", variant '" + test.variant +
                             "', failures '" + test.failures + "', present " +
                             std::string(to_string(test.present));
    CAPTURE(name);
    CAPTURE(decision.note);
    CHECK(to_string(decision.backend) == to_string(test.expected));
    CHECK(decision.certain == test.certain);
    CHECK(decision.make_tables == test.makes_tables);
    CHECK(decision.note.empty() != test.notes);
    CHECK_FALSE(decision.reason.empty());
  }
}

TEST_CASE("a failed backend is not chosen again while another one is left") {
  for (Case test : kCases) {
    if (test.setting != kAuto) continue;
    BackendQuestion question = question_of(test);
    for (int tries = 0; tries < 3; ++tries) {
      const BackendChoice chosen = choose_backend(question).backend;
      if (question.failures.contains(chosen)) break;
      question.failures[chosen] = "it cannot be made";
    }
    // Choosing again gives the same result: no flapping.
    const BackendDecision last = choose_backend(question);
    question.present = last.backend;
    CHECK(to_string(choose_backend(question).backend) == to_string(last.backend));
  }
}

TEST_CASE("the messages about a choice") {
  BackendQuestion question = question_of({kAuto, kIptables, "nft", "n", kNft, kAuto, {}, {}, {}});
  question.variant.warning = "both variants are populated";
  CHECK(choose_backend(question).reason == "in place of iptables-nft");
  CHECK(choose_backend(question).note == "iptables-nft cannot be used: no nft_compat");
  question.failures[kNftables] = "no nf_tables";
  CHECK(choose_backend(question).note ==
        "both variants are populated; iptables-nft cannot be used: no nft_compat; nftables cannot "
        "be used: no nf_tables");
  question.failures.clear();
  CHECK(choose_backend(question).note == "both variants are populated");
  question = question_of({kAuto, kNftablesMode, "nft", "t", kNft, kAuto, {}, {}, {}});
  CHECK(choose_backend(question).note == "nftables cannot be used: no nf_tables");
}

}  // namespace
}  // namespace nmanager::test
