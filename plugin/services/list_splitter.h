// Splits the body of a list, which arrives in pieces, into its items, so that the memory for a list
// is that of its largest item. Pure. A piece may end at any byte.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace nmanager::services {

class ListSplitter {
 public:
  /// Limit in bytes of the parts that are not items: kind, metadata.
  static constexpr std::size_t kMaxFrame = std::size_t{64} << 10;

  using Take = std::function<void(std::string_view)>;

  /// Passes each complete element of the root's array "items" to `take`, which must check that it
  /// is JSON. False: an item or the frame is too large, or brackets do not match; the rest cannot
  /// be split.
  [[nodiscard]] bool add(std::string_view chunk, const Take& take);

  /// The list without its items: {"kind":...,"items":[]}. Valid only when complete().
  [[nodiscard]] const std::string& frame() const { return frame_; }
  [[nodiscard]] bool complete() const { return depth_ == 0 && !frame_.empty() && !in_string_; }

 private:
  bool structural(char c, const Take& take);
  [[nodiscard]] bool put(std::string_view text);
  void end_item(const Take& take);

  std::string frame_;  // without white space outside of strings
  std::string item_;
  int depth_ = 0;  // of brackets; items are at depth 2
  bool in_items_ = false;
  bool in_string_ = false;
  bool escaped_ = false;  // the last character of the string was a backslash
};

}  // namespace nmanager::services
