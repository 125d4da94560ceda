#include "plugin/reconciler/backend_choice.h"

namespace nmanager::reconciler {

namespace {

BackendChoice to_choice(std::optional<detect::Variant> variant) {
  if (!variant) return BackendChoice::kAuto;
  return *variant == detect::Variant::kNft ? BackendChoice::kNft : BackendChoice::kLegacy;
}

std::string cannot_be_used(BackendChoice choice, const std::string& why) {
  return std::string(to_string(choice)) + " cannot be used: " + why;
}

/// Empty: it can be used.
std::string why_not(const BackendFailures& failures, BackendChoice choice) {
  const auto found = failures.find(choice);
  return found == failures.end() ? std::string() : found->second;
}

void add_note(BackendDecision& decision, const std::string& note) {
  if (note.empty()) return;
  decision.note += (decision.note.empty() ? "" : "; ") + note;
}

/// The variant of iptables, without regard to nftables.
BackendDecision by_variant(const BackendQuestion& question) {
  const detect::VariantDecision& variant = question.variant;
  BackendDecision decision;
  decision.backend = to_choice(variant.variant);
  decision.certain = variant.certain;
  decision.reason = variant.reason;
  decision.note = variant.warning;
  decision.make_tables = decision.backend == BackendChoice::kNft || variant.certain;
  if (decision.backend != BackendChoice::kAuto) return decision;
  decision.note = variant.reason;
  decision.backend = question.present;
  return decision;
}

BackendDecision by_setting(BackendChoice setting, const BackendFailures& failures) {
  BackendDecision decision{setting, true, true, "set", {}};
  const std::string why = why_not(failures, setting);
  if (!why.empty()) decision.note = cannot_be_used(setting, why);
  return decision;
}

BackendDecision nftables(bool certain, std::string reason) {
  return {BackendChoice::kNftables, certain, true, std::move(reason), {}};
}

}  // namespace

BackendDecision choose_backend(const BackendQuestion& question) {
  const BackendFailures& failures = question.failures;
  if (question.setting != BackendChoice::kAuto) return by_setting(question.setting, failures);
  const std::string no_nftables = why_not(failures, BackendChoice::kNftables);
  const bool by_mode = question.mode == ProxyMode::kNftables;
  const bool kept = !question.mode && question.present == BackendChoice::kNftables;
  if (by_mode && no_nftables.empty()) return nftables(true, "kube-proxy runs in nftables mode");
  if (kept && no_nftables.empty()) return nftables(false, "kube-proxy's mode is not known now");

  BackendDecision decision = by_variant(question);
  const std::string no_variant = why_not(failures, decision.backend);
  if (!no_variant.empty()) {
    const std::string note = cannot_be_used(decision.backend, no_variant);
    if (no_nftables.empty()) {
      decision =
          nftables(decision.certain, "in place of " + std::string(to_string(decision.backend)));
    }
    add_note(decision, note);
  }
  const bool missed = by_mode || kept || !no_variant.empty();
  if (missed && !no_nftables.empty()) {
    add_note(decision, cannot_be_used(BackendChoice::kNftables, no_nftables));
  }
  return decision;
}

void BackendHistory::note(BackendChoice backend, const std::string& why, bool worked_before,
                          TimePoint now) {
  const auto found = troubles_.find(backend);
  if (why.empty()) {
    if (found != troubles_.end() && !found->second.given_up) troubles_.erase(found);
    return;
  }
  Trouble& trouble =
      found != troubles_.end() ? found->second : troubles_[backend] = {why, now, std::nullopt};
  if (trouble.given_up && now - *trouble.given_up >= kTryAgain) trouble = {why, now, std::nullopt};
  trouble.why = why;
  const bool lasts = !worked_before || now - trouble.since >= kPatience;
  if (lasts && !trouble.given_up) trouble.given_up = now;
}

std::optional<std::string> BackendHistory::failed(BackendChoice backend, TimePoint now) const {
  const auto found = troubles_.find(backend);
  if (found == troubles_.end() || !found->second.given_up) return std::nullopt;
  if (now - *found->second.given_up >= kTryAgain) return std::nullopt;
  return found->second.why;
}

BackendFailures BackendHistory::failures(TimePoint now) const {
  BackendFailures failures;
  for (const auto& [backend, trouble] : troubles_) {
    if (const auto why = failed(backend, now)) failures[backend] = *why;
  }
  return failures;
}

}  // namespace nmanager::reconciler
