// Changes made by others: NEWGEN events, with the generation id itself as the net below; or the
// generation id alone.
#pragma once

#include <memory>

#include "hooks/intent/backend.h"
#include "hooks/netlink/events.h"

namespace nmanager::netlink {

/// What a watch needs of the session that it shares with a backend.
class WatchedSession {
 public:
  virtual ~WatchedSession() = default;
  [[nodiscard]] virtual Netlink& netlink() = 0;
  [[nodiscard]] virtual const OwnGenerations& own() const = 0;
  /// nullptr: polling only.
  [[nodiscard]] virtual Events* events() = 0;

  /// Somebody committed something: whatever is believed of our objects is to be looked at again.
  virtual void sweep_all() {}
  /// A few of them; true: something was not as believed.
  virtual bool sweep(std::size_t /*count*/) { return false; }
};

[[nodiscard]] std::unique_ptr<ChangeWatch> make_watch(std::shared_ptr<WatchedSession> session);

}  // namespace nmanager::netlink
