#include "plugin/api/line_splitter.h"

#include <algorithm>
#include <utility>

namespace nmanager::api {

bool LineSplitter::add(std::string_view chunk, std::vector<std::string>& lines) {
  while (true) {
    const auto end = chunk.find('\n');
    if (rest_.size() + std::min(end, chunk.size()) > kMaxLine) return false;
    rest_.append(chunk.substr(0, end));
    if (end == std::string_view::npos) return true;
    if (!rest_.empty() && rest_.back() == '\r') rest_.pop_back();
    if (!rest_.empty()) lines.push_back(std::exchange(rest_, {}));
    chunk.remove_prefix(end + 1);
  }
}

}  // namespace nmanager::api
