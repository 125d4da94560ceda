// Splits chunks of a stream into lines. Pure. A chunk may end anywhere, even inside a character.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nmanager::api {

class LineSplitter {
 public:
  /// A Service has at most 1.5 MiB in etcd, its event little more. A longer line is not a watch
  /// event.
  static constexpr std::size_t kMaxLine = std::size_t{4} << 20;

  /// Appends the complete lines, without their line breaks and without empty ones, to `lines`.
  /// False: a line is longer than kMaxLine; the rest of the stream cannot be parsed.
  [[nodiscard]] bool add(std::string_view chunk, std::vector<std::string>& lines);

  /// Prepares for the next stream and releases the memory, which assigning an empty string does
  /// not.
  void clear() { std::string().swap(rest_); }

  /// True while an incomplete line is buffered.
  [[nodiscard]] bool partial() const { return !rest_.empty(); }

 private:
  std::string rest_;
};

}  // namespace nmanager::api
