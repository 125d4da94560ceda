// A network namespace for the calling thread, and for what it starts.
#pragma once

namespace nmanager::test {

/// Moves the calling thread to a fresh network namespace until the end of the object, which must be
/// destroyed on the same thread.
class NetNamespace {
 public:
  NetNamespace();
  NetNamespace(const NetNamespace&) = delete;
  NetNamespace& operator=(const NetNamespace&) = delete;
  ~NetNamespace();

  /// False, with the reason printed, where namespaces cannot be made (not root).
  [[nodiscard]] bool usable() const { return usable_; }

 private:
  int before_ = -1;
  bool usable_ = false;
};

}  // namespace nmanager::test
