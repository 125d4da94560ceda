// Chunks of a stream -> lines. Pure. A chunk may end anywhere, in the middle of a character too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nmanager::api {

class LineSplitter {
 public:
  /// A Service is at most 1.5 MiB in etcd; its event is little more. Longer is not a watch event.
  static constexpr std::size_t kMaxLine = std::size_t{4} << 20;

  /// Appends the complete lines, without their line breaks and without empty ones, to `lines`.
  /// False: a line is longer than kMaxLine; the stream cannot be followed any further.
  [[nodiscard]] bool add(std::string_view chunk, std::vector<std::string>& lines);

  /// For the next stream; gives its memory back, as assigning an empty one would not.
  void clear() { std::string().swap(rest_); }

  /// True while part of a line waits for its end.
  [[nodiscard]] bool partial() const { return !rest_.empty(); }

 private:
  std::string rest_;
};

}  // namespace nmanager::api
