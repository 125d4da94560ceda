#include "plugin/run/backend_slot.h"

#include <algorithm>
#include <array>
#include <utility>

#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/nftables/nftables_backend.h"

namespace nmanager::run {

namespace {

constexpr Millis kLookUncertain{1'000};  // until the evidence is clear
constexpr Millis kLookCertain{10'000};   // a node whose kubelet starts later than we do
constexpr Millis kClearAgain{10'000};    // what could not be taken away: the lock may be held

constexpr std::array kEveryBackend{BackendChoice::kLegacy, BackendChoice::kNft,
                                   BackendChoice::kNftables};

BackendPair make_legacy(const Settings& settings, bool create_tables) {
  iptables_legacy::LegacyOptions options;
  options.lock_wait = settings.lock_wait.value;
  options.create_tables = create_tables;
  return {iptables_legacy::make_legacy_backend(options),
          iptables_legacy::make_legacy_watch(options)};
}

Result<BackendPair> make_nft(const Settings& settings, bool create_tables) {
  iptables_nft::NftOptions options;
  options.create_tables = create_tables;
  options.poll_only = settings.watch.value == WatchMode::kPoll;
  auto made = iptables_nft::make_nft_backend(options);
  if (!made) return made.error();
  return BackendPair{std::move(made->backend), std::move(made->watch)};
}

Result<BackendPair> make_nftables(const Settings& settings) {
  auto made =
      nftables::make_nftables_backend({.poll_only = settings.watch.value == WatchMode::kPoll});
  if (!made) return made.error();
  return BackendPair{std::move(made->backend), std::move(made->watch)};
}

Result<BackendPair> make_backend(BackendChoice choice, const Settings& settings,
                                 bool create_tables) {
  switch (choice) {
    case BackendChoice::kLegacy:
      return make_legacy(settings, create_tables);
    case BackendChoice::kNft:
      return make_nft(settings, create_tables);
    case BackendChoice::kNftables:
      return make_nftables(settings);
    case BackendChoice::kAuto:
      break;
  }
  return Error{ErrorKind::kBug, "auto is no backend"};
}

}  // namespace

std::vector<std::unique_ptr<Backend>> every_backend(const Settings& settings) {
  std::vector<std::unique_ptr<Backend>> all;
  for (const BackendChoice choice : kEveryBackend) {
    auto made = make_backend(choice, settings, false);
    if (made) all.push_back(std::move(made->backend));
  }
  return all;
}

BackendSlot::BackendSlot(const Settings& settings, TableCreation creation)
    : settings_(settings), creation_(creation) {}

std::optional<BackendKnown> BackendSlot::look(TimePoint now, std::optional<ProxyMode> mode,
                                              const std::string& trouble) {
  const bool news = mode != mode_ || failures_[in_use_] != trouble;
  if (now < next_look_ && !news) return std::nullopt;
  mode_ = mode;
  failures_[in_use_] = trouble;
  looked_at_ = now;
  const reconciler::BackendDecision decision = decide(mode);
  const bool certain = decision.certain && backend() != nullptr;
  next_look_ = now + (certain ? kLookCertain : kLookUncertain);
  if (certain && settings_.backend.value == BackendChoice::kAuto) retire_all_others();
  BackendKnown known{"", decision.note, decision.reason};
  if (backend() != nullptr) known.name = backend()->name();
  if (told_ == known) return std::nullopt;
  told_ = known;
  return known;
}

/// Decides, and moves there; what cannot be made is a failure to decide with. No evidence is looked
/// at when a setting says it all.
reconciler::BackendDecision BackendSlot::decide(std::optional<ProxyMode> mode) {
  reconciler::BackendQuestion question{settings_.backend.value, mode, {}, failures_, in_use_};
  if (question.setting == BackendChoice::kAuto) {
    variant_ = detect::decide_variant(variant_look_.gather(), variant_);
    question.variant = variant_;
  }
  reconciler::BackendDecision decision = reconciler::choose_backend(question);
  for (std::size_t tries = 0; tries < kEveryBackend.size(); ++tries) {
    const std::string problem = move_to(decision);
    if (problem.empty()) break;
    question.failures[decision.backend] = problem;
    decision = reconciler::choose_backend(question);
  }
  return decision;
}

void BackendSlot::evidence_may_have_changed() {
  next_look_ = std::min(next_look_, looked_at_ + kLookUncertain);
}

/// Empty: done, or nothing to do; else why it cannot be.
std::string BackendSlot::move_to(const reconciler::BackendDecision& decision) {
  const BackendChoice choice = decision.backend;
  if (choice == BackendChoice::kAuto) return {};
  const bool make_tables = decision.make_tables && creation_ == TableCreation::kAsNeeded;
  if (choice == in_use_ && (makes_tables_ || !make_tables)) return {};
  auto next = make_backend(choice, settings_, make_tables);
  if (!next) return next.error().message;
  if (in_use_ != choice) retire(in_use_);
  std::erase_if(retired_, [&](const Retired& old) { return old.choice == choice; });
  current_ = std::move(*next);
  in_use_ = choice;
  makes_tables_ = make_tables;
  return {};
}

/// Anew, as one that makes no tables: looking for our chains is no reason to.
void BackendSlot::retire(BackendChoice choice) {
  auto made = make_backend(choice, settings_, false);
  if (made) retired_.push_back({choice, std::move(made->backend)});
}

/// A process before this one may have kept another backend: a sidecar ends with its kube-proxy, so
/// most changes of the variant happen while none runs.
void BackendSlot::retire_all_others() {
  if (std::exchange(others_retired_, true)) return;
  for (const BackendChoice choice : kEveryBackend) {
    const bool known = choice == in_use_ ||
                       std::ranges::find(retired_, choice, &Retired::choice) != retired_.end();
    if (!known) retire(choice);
  }
}

bool BackendSlot::has_retired(TimePoint now) const {
  return !retired_.empty() && now >= clear_not_before_;
}

void BackendSlot::clear_retired(TimePoint now, const std::function<bool(Backend&)>& clear) {
  std::erase_if(retired_, [&](const Retired& old) { return clear(*old.backend); });
  if (!retired_.empty()) clear_not_before_ = now + kClearAgain;
}

}  // namespace nmanager::run
