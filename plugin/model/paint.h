// Colour for terminals; without, the text as it is. Pure.
#pragma once

#include <string>
#include <string_view>

namespace nmanager {

class Paint {
 public:
  explicit Paint(bool on) : on_(on) {}

  [[nodiscard]] std::string strong(std::string_view text) const { return in("1", text); }
  [[nodiscard]] std::string good(std::string_view text) const { return in("32", text); }
  [[nodiscard]] std::string bad(std::string_view text) const { return in("1;31", text); }
  [[nodiscard]] std::string doubtful(std::string_view text) const { return in("33", text); }

 private:
  /// ECMA-48, select graphic rendition.
  [[nodiscard]] std::string in(std::string_view code, std::string_view text) const {
    if (!on_) return std::string(text);
    return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
  }

  bool on_;
};

}  // namespace nmanager
