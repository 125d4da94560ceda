#include "plugin/run/backend_slot.h"

#include <algorithm>
#include <utility>

#include "hooks/legacy/legacy_backend.h"
#include "hooks/nft/nft_backend.h"

namespace nmanager {

namespace {

constexpr Millis kLookUncertain{1'000};  // until the evidence is clear
constexpr Millis kLookCertain{10'000};   // a node whose kubelet starts later than we do

BackendPair make_legacy(const Settings& settings, bool create_tables) {
  LegacyOptions options;
  options.lock_wait = settings.lock_wait.value;
  options.create_tables = create_tables;
  return {make_legacy_backend(options), make_legacy_watch(options)};
}

Result<BackendPair> make_nft(const Settings& settings, bool create_tables) {
  NftOptions options;
  options.create_tables = create_tables;
  options.poll_only = settings.watch.value == WatchMode::kPoll;
  auto made = make_nft_backend(options);
  if (!made) return made.error();
  return BackendPair{std::move(made->backend), std::move(made->watch)};
}

}  // namespace

std::vector<std::unique_ptr<Backend>> every_backend(const Settings& settings) {
  std::vector<std::unique_ptr<Backend>> all;
  all.push_back(make_legacy(settings, false).backend);
  auto nft = make_nft(settings, false);
  if (nft) all.push_back(std::move(nft->backend));
  return all;
}

BackendSlot::BackendSlot(const Settings& settings, TableCreation creation)
    : settings_(settings), creation_(creation) {}

std::optional<BackendKnown> BackendSlot::look(TimePoint now) {
  if (now < next_look_) return std::nullopt;
  const Choice choice = choose();
  next_look_ = now + (choice.certain ? kLookCertain : kLookUncertain);
  BackendKnown known{"", choice.note};
  if (choice.backend != BackendChoice::kAuto) {
    const std::string problem = move_to(choice.backend);
    if (!problem.empty()) {
      known.note = problem;
      next_look_ = now + kLookUncertain;
    }
  }
  if (current_.backend) known.name = current_.backend->name();
  std::string news = known.name + '\n' + known.note;
  if (news == told_) return std::nullopt;
  told_ = std::move(news);
  return known;
}

BackendSlot::Choice BackendSlot::choose() const {
  if (settings_.backend.value != BackendChoice::kAuto) return {settings_.backend.value, true, ""};
  const bool legacy = std::ranges::any_of(kTables, legacy_table_exists);
  return {legacy ? BackendChoice::kLegacy : BackendChoice::kNft, legacy, ""};
}

/// Empty: done, or nothing to do; else why it cannot be.
std::string BackendSlot::move_to(BackendChoice choice) {
  if (choice == in_use_) return {};
  const bool create = creation_ == TableCreation::kAsNeeded;
  BackendPair next;
  if (choice == BackendChoice::kLegacy) {
    // By setting the operator has said that this host uses legacy tables; by detection they exist.
    next = make_legacy(settings_, create && settings_.backend.value == BackendChoice::kLegacy);
  } else if (choice == BackendChoice::kNft) {
    auto made = make_nft(settings_, create);
    if (!made) return "iptables-nft: " + made.error().message;
    next = std::move(*made);
  } else {
    return "the backend nftables is not part of this version; iptables-legacy and iptables-nft are";
  }
  if (current_.backend) retired_ = std::move(current_.backend);
  current_ = std::move(next);
  in_use_ = choice;
  return {};
}

}  // namespace nmanager
