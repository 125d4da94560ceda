// Detects changes by other processes: from NEWGEN events, with the generation id as a fallback; or
// from the generation id alone.
#pragma once

#include <memory>

#include "hooks/intent/backend.h"
#include "hooks/netlink/session.h"

namespace nmanager::netlink {

[[nodiscard]] std::unique_ptr<ChangeWatch> make_watch(std::shared_ptr<Session> session);

}  // namespace nmanager::netlink
