// The body of a list, in pieces -> its items one at a time, so that the memory for a list is that
// of one item, whatever its size. Pure. A piece may end anywhere.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace nmanager::services {

class ListSplitter {
 public:
  /// What is not an item: kind, metadata.
  static constexpr std::size_t kMaxFrame = std::size_t{64} << 10;

  using Take = std::function<void(std::string_view)>;

  /// Hands each complete element of the root's array "items" to `take`; whether it is JSON is for
  /// the taker to find out. False: an item or the frame is too large, or brackets do not match; the
  /// rest cannot be followed.
  [[nodiscard]] bool add(std::string_view chunk, const Take& take);

  /// The list without its items: {"kind":...,"items":[]}. Complete only when complete().
  [[nodiscard]] const std::string& frame() const { return frame_; }
  [[nodiscard]] bool complete() const { return depth_ == 0 && !frame_.empty() && !in_string_; }

 private:
  bool structural(char c, const Take& take);
  [[nodiscard]] bool put(std::string_view text);
  void end_item(const Take& take);

  std::string frame_;  // blanks outside of strings left out
  std::string item_;
  int depth_ = 0;  // of brackets; an item stands at 2
  bool in_items_ = false;
  bool in_string_ = false;
  bool escaped_ = false;  // the last character of the string was a backslash
};

}  // namespace nmanager::services
