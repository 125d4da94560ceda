#include "hooks/nft/session.h"

namespace nmanager {

namespace {

/// Without events so many chains are read again after every change by others; more are swept.
constexpr std::size_t kReadAlways = 16;

}  // namespace

Session::Session(NftOptions options) : options_(options) {
  for (const TableId id : kTables) chains_.emplace(id, id);
}

Status Session::open() {
  const auto generation = netlink_.generation();
  if (!generation) return generation.error();
  if (options_.poll_only) return {};
  Events::Handlers handlers;
  handlers.own_chain_touched = [this](TableId id, std::string_view chain) {
    chains(id).doubt(chain);
  };
  handlers.lost = [this] { forget(); };
  events_.emplace(netlink_, own_, std::move(handlers));
  return events_->open();
}

void Session::catch_up(TableId id, Generation generation) {
  if (events_) {
    if (!events_->caught_up(generation)) forget();
    return;
  }
  const auto before = proven_.find(id);
  if (before != proven_.end() && own_.all_own(before->second, generation)) return;
  if (chains(id).size() <= kReadAlways) chains(id).doubt_all();
  chains(id).list_again_in_time(std::chrono::steady_clock::now());
}

void Session::add_own(TableId id, Generation generation) {
  own_.add(generation);
  proven(id, generation);
  // Takes our own NEWGEN off the queue, so that it wakes nobody.
  if (events_) events_->receive();
}

void Session::forget() {
  for (auto& entry : chains_) entry.second.forget();
}

void Session::sweep_all() {
  for (auto& entry : chains_) entry.second.sweep_all();
}

bool Session::sweep(std::size_t count) {
  bool found = false;
  for (auto& entry : chains_) found = entry.second.sweep(netlink_, count) || found;
  return found;
}

}  // namespace nmanager
