#include "plugin/run/backends.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nmanager::run {

namespace {

constexpr Millis kLookUncertain{1'000};  // until the evidence is certain
constexpr Millis kLookCertain{10'000};   // for a node whose kubelet starts after nmanager
constexpr Millis kClearAgain{10'000};    // if clearing failed: the lock may be held
/// Another program may restore an old ruleset at any time, so the other backends are always
/// checked.
constexpr Millis kClearInterval{300'000};

constexpr std::array kEveryBackend{BackendChoice::kLegacy, BackendChoice::kNft,
                                   BackendChoice::kNftables};

}  // namespace

std::span<const BackendChoice> every_backend() {
  return kEveryBackend;
}

Backends::Backends(const Settings& settings, Kernel& kernel, TableCreation creation)
    : settings_(settings), kernel_(kernel), creation_(creation) {}

std::optional<BackendKnown> Backends::look(TimePoint now, std::optional<ProxyMode> mode,
                                           const BackendTrouble& trouble) {
  history_.note(in_use_, trouble.why, trouble.worked_before, now);
  const bool news =
      mode != mode_ || trouble.why != trouble_ || history_.failed(in_use_, now).has_value();
  if (now < next_look_ && !news) return std::nullopt;
  mode_ = mode;
  trouble_ = trouble.why;
  looked_at_ = now;
  const reconciler::BackendDecision decision = decide(now, mode);
  const bool certain = decision.certain && backend() != nullptr && trouble_.empty();
  next_look_ = now + (certain ? kLookCertain : kLookUncertain);
  BackendKnown known{"", decision.note, decision.reason};
  if (backend() != nullptr) {
    known.name = backend()->name();
    known.replaces_tables = backend()->replaces_tables();
  }
  if (reported_ == known) return std::nullopt;
  reported_ = known;
  return known;
}

/// Decides and moves to the chosen backend; a backend that cannot be created is a failure for the
/// next decision. If a setting decides alone, no evidence is read.
reconciler::BackendDecision Backends::decide(TimePoint now, std::optional<ProxyMode> mode) {
  reconciler::BackendQuestion question{
      settings_.backend.value, mode, {}, history_.failures(now), in_use_};
  if (question.setting == BackendChoice::kAuto) {
    variant_ = decide_variant(kernel_.variant_evidence(), variant_);
    question.variant = variant_;
  }
  reconciler::BackendDecision decision = choose_backend(question);
  for (std::size_t tries = 0; tries < kEveryBackend.size(); ++tries) {
    const std::string problem = move_to(decision, now);
    if (problem.empty()) break;
    question.failures[decision.backend] = problem;
    decision = choose_backend(question);
  }
  return decision;
}

void Backends::evidence_may_have_changed() {
  next_look_ = std::min(next_look_, looked_at_ + kLookUncertain);
}

/// Empty: done, or nothing to do; else the reason why it is impossible.
std::string Backends::move_to(const reconciler::BackendDecision& decision, TimePoint now) {
  const BackendChoice choice = decision.backend;
  if (choice == BackendChoice::kAuto) return {};
  const bool make_tables = decision.make_tables && creation_ == TableCreation::kAsNeeded;
  if (choice == in_use_ && (makes_tables_ || !make_tables)) return {};
  auto next =
      kernel_.make_backend(choice, {.create_tables = make_tables,
                                    .lock_wait = settings_.lock_wait.value,
                                    .poll_only = settings_.watch.value == WatchMode::kPoll});
  if (!next) return next.error().message;
  for (const BackendChoice other : kEveryBackend) clear_due_[other] = now;
  const bool all_families = std::ranges::none_of(
      kFamilies, [&](Family family) { return leaves_out(settings_.ip_family.value, family); });
  if (all_families) clear_due_.erase(choice);
  clearing_.clear();
  current_ = std::move(*next);
  in_use_ = choice;
  makes_tables_ = make_tables;
  return {};
}

TimePoint Backends::next_clear() const {
  TimePoint next = TimePoint::max();
  for (const auto& [choice, due] : clear_due_) next = std::min(next, due);
  return next;
}

void Backends::clear_next(TimePoint now, const Clear& clear) {
  const auto due =
      std::ranges::find_if(clear_due_, [&](const auto& one) { return one.second <= now; });
  if (due == clear_due_.end()) return;
  const BackendChoice choice = due->first;
  due->second = now + kClearInterval;
  if (!clearing_.contains(choice)) {
    auto made = kernel_.make_backend(
        choice, {.create_tables = false, .lock_wait = Millis(0), .poll_only = true});
    if (!made) {
      if (made.error().kind != ErrorKind::kUnsupported) due->second = now + kClearAgain;
      return;
    }
    clearing_[choice] = {std::move(*made), {}};
  }
  unfinished_.erase(choice);
  Clearing& clearing = clearing_[choice];
  const Cleared cleared = clear(*clearing.pair.backend, choice == in_use_, clearing.done);
  if (cleared == Cleared::kPart) {
    due->second = now;
    return;
  }
  clearing_.erase(choice);
  if (cleared == Cleared::kDone) return;
  unfinished_.insert(choice);
  due->second = now + kClearAgain;
}

void Backends::clear_unfinished(TimePoint now) {
  for (const BackendChoice choice : unfinished_) {
    if (const auto due = clear_due_.find(choice); due != clear_due_.end()) due->second = now;
  }
  unfinished_.clear();
}

}  // namespace nmanager::run
