// Changes made by others: NEWGEN events, with the generation id itself as the net below; or the
// generation id alone.
#pragma once

#include <memory>

#include "hooks/intent/backend.h"
#include "hooks/netlink/session.h"

namespace nmanager::netlink {

[[nodiscard]] std::unique_ptr<ChangeWatch> make_watch(std::shared_ptr<Session> session);

}  // namespace nmanager::netlink
