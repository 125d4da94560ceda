// A plan as the messages of one transaction.
#pragma once

#include "hooks/netlink/batch.h"
#include "hooks/nftables/plan.h"

namespace nmanager::nftables {

/// In the order that Plan documents.
void write(netlink::Batch& batch, const Plan& plan);

}  // namespace nmanager::nftables
