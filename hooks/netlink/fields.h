// The attributes of one nest, for readers that accept it only if it has exactly what they expect.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "hooks/netlink/message.h"

namespace nmanager::netlink {

/// Views of a received message, which must outlive this object.
class Fields {
 public:
  Fields() = default;
  explicit Fields(const Attributes& attributes);

  /// True if it has each attribute of `required`, any of `optional`, and nothing else, each once.
  [[nodiscard]] bool are(std::initializer_list<int> required,
                         std::initializer_list<int> optional = {}) const;

  [[nodiscard]] bool has(int type) const { return at_[static_cast<std::size_t>(type)] != nullptr; }
  /// nullopt: absent, or of another size.
  [[nodiscard]] std::optional<std::uint32_t> be32(int type) const;
  [[nodiscard]] std::optional<std::uint64_t> be64(int type) const;
  /// Without its terminating zero. Empty: absent, or without one.
  [[nodiscard]] std::string_view text(int type) const;
  /// Empty: absent.
  [[nodiscard]] std::span<const std::uint8_t> bytes(int type) const;
  /// nullopt: absent.
  [[nodiscard]] std::optional<Attributes> attributes(int type) const;
  /// Without attributes: absent.
  [[nodiscard]] Fields nest(int type) const;

 private:
  static constexpr std::size_t kTypes = 16;  // more than a rule's nests have; others set other_

  std::array<const nlattr*, kTypes> at_{};
  bool other_ = false;  // an attribute of a larger type, or one twice
};

}  // namespace nmanager::netlink
