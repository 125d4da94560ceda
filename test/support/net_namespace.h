// A network namespace for the calling thread and the processes that it starts.
#pragma once

namespace nmanager::test {

/// Moves the calling thread to a new network namespace. The destructor restores the previous one
/// and must run on the same thread.
class NetNamespace {
 public:
  NetNamespace();
  NetNamespace(const NetNamespace&) = delete;
  NetNamespace& operator=(const NetNamespace&) = delete;
  ~NetNamespace();

  /// False, with the reason printed, if namespaces cannot be created (not root).
  [[nodiscard]] bool usable() const { return usable_; }

 private:
  int before_ = -1;
  bool usable_ = false;
};

}  // namespace nmanager::test
