// The digest of values that rules are made from: lists with their length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/address.h"
#include "hooks/values/hash.h"

namespace nmanager {

class Digest {
 public:
  void add(std::string_view text) { hasher_.add(text); }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(std::uint64_t number) { hasher_.add(number); }
  void add(std::uint16_t port) { add(std::uint64_t{port}); }
  void add(const Address& address) {
    add(static_cast<std::uint64_t>(address.family()));
    hasher_.add(address.bytes());
  }
  void add(const Prefix& prefix) {
    add(prefix.address());
    add(static_cast<std::uint64_t>(prefix.length()));
  }
  template <class T>
  void add(const std::vector<T>& list) {
    add(static_cast<std::uint64_t>(list.size()));
    for (const T& one : list) add(one);
  }

  [[nodiscard]] std::uint64_t value() const { return hasher_.value(); }

 private:
  Hasher hasher_;
};

}  // namespace nmanager
