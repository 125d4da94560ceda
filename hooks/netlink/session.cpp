#include "hooks/netlink/session.h"

namespace nmanager::netlink {

Status Session::open() {
  const auto generation = netlink_.generation();
  if (!generation) return generation.error();
  if (poll_only_) return {};
  Events::Handlers handlers;
  handlers.touched = [this](const nlmsghdr& message) { touched(message); };
  handlers.lost = [this] { forget(); };
  handlers.filter = filter_;
  events_.emplace(netlink_, own_, std::move(handlers));
  return events_->open();
}

void Session::catch_up(Generation generation) {
  if (events_ && !events_->caught_up(generation)) forget();
}

}  // namespace nmanager::netlink
