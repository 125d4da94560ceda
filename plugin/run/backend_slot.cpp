#include "plugin/run/backend_slot.h"

#include <utility>

#include "hooks/legacy/legacy_backend.h"
#include "hooks/nft/nft_backend.h"
#include "hooks/variant/variant.h"

namespace nmanager {

namespace {

constexpr Millis kLookUncertain{1'000};  // until the evidence is clear
constexpr Millis kLookCertain{10'000};   // a node whose kubelet starts later than we do

}  // namespace

BackendSlot::BackendSlot(const Settings& settings) : settings_(settings) {}

Result<BackendPair> BackendSlot::make(BackendChoice choice) const {
  if (choice == BackendChoice::kLegacy) {
    LegacyOptions options;
    options.lock_wait = settings_.lock_wait.value;
    // By setting the operator has said that this host uses legacy tables; by detection they exist.
    options.create_tables = settings_.backend.value == BackendChoice::kLegacy;
    return BackendPair{make_legacy_backend(options), make_legacy_watch(options)};
  }
  NftOptions options;
  options.poll_only = settings_.watch.value == WatchMode::kPoll;
  auto made = make_nft_backend(options);
  if (!made) return made.error();
  return BackendPair{std::move(made->backend), std::move(made->watch)};
}

}  // namespace nmanager
