// Changes made by others: NEWGEN events, with the generation id itself as the net below; or the
// generation id alone.
#pragma once

#include <memory>

#include "hooks/backend/backend.h"
#include "hooks/nft/session.h"

namespace nmanager {

[[nodiscard]] std::unique_ptr<ChangeWatch> make_watch(std::shared_ptr<Session> session);

}  // namespace nmanager
