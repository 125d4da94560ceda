// Stops a thread before what it sends, so that another program's change falls between two chosen
// messages.
#pragma once

#include <linux/netlink.h>

#include <functional>

namespace nmanager::test {

/// Runs `body` on a new thread in the caller's network namespace. Before each send(2) and
/// sendmsg(2) of it, `before` is called on the caller's thread with the type of the first netlink
/// message in it. `body` must not start programs: they would be stopped as well.
void before_sends(const std::function<void(int type)>& before, const std::function<void()>& body);

}  // namespace nmanager::test
