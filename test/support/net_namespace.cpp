#include "test/support/net_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "test/support/skip.h"

namespace nmanager::test {

NetNamespace::NetNamespace() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  usable_ = before_ >= 0 && unshare(CLONE_NEWNET) == 0;
  if (!usable_) {
    skip(std::string("cannot create a network namespace: ") + std::strerror(errno));
  }
}

NetNamespace::~NetNamespace() {
  if (before_ < 0) return;
  static_cast<void>(setns(before_, CLONE_NEWNET));
  close(before_);
}

}  // namespace nmanager::test
