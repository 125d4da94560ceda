// What backend, transactions and watch of one network namespace share.
#pragma once

#include <memory>

#include "hooks/nft/generation.h"
#include "hooks/nft/netlink.h"
#include "hooks/nft/nft_backend.h"

namespace nmanager {

struct Session {
  NftOptions options;
  Netlink netlink;
  OwnGenerations own;
};

}  // namespace nmanager
