#include "plugin/services/list_splitter.h"

#include <algorithm>

#include "hooks/values/text.h"
#include "plugin/services/json.h"

namespace nmanager::services {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_structural(char c) {
  return c == '"' || c == '{' || c == '}' || c == '[' || c == ']' || c == ',';
}

}  // namespace

bool ListSplitter::put(std::string_view text) {
  std::string& to = in_items_ ? item_ : frame_;
  const std::size_t most = in_items_ ? json::kMaxText : kMaxFrame;
  if (to.size() + text.size() > most) return false;
  to += text;
  return true;
}

void ListSplitter::end_item(const Take& take) {
  const std::string_view item = trimmed(item_);
  if (!item.empty()) take(item);
  item_.clear();
  constexpr std::size_t kKept = std::size_t{64} << 10;
  if (item_.capacity() > kKept) item_.shrink_to_fit();
}

/// Handles a structural character outside of strings.
bool ListSplitter::structural(char c, const Take& take) {
  switch (c) {
    case '"':
      in_string_ = true;
      break;
    case '{':
    case '[':
      ++depth_;
      if (!in_items_ && depth_ == 2 && c == '[' && frame_.ends_with("\"items\":")) {
        const bool fits = put("[");
        in_items_ = true;
        return fits;
      }
      break;
    case '}':
    case ']':
      if (--depth_ < 0) return false;
      if (in_items_ && depth_ == 1) {
        end_item(take);
        in_items_ = false;
      }
      break;
    default:  // a comma
      if (in_items_ && depth_ == 2) {
        end_item(take);
        return true;
      }
  }
  return put({&c, 1});
}

bool ListSplitter::add(std::string_view chunk, const Take& take) {
  while (!chunk.empty()) {
    const char first = chunk.front();
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
        if (!put(chunk.substr(0, 1))) return false;
        chunk.remove_prefix(1);
        continue;
      }
      const auto end = std::ranges::find_if(chunk, [](char c) { return c == '"' || c == '\\'; });
      const auto size = static_cast<std::size_t>(end - chunk.begin());
      const std::size_t taken = std::min(size + 1, chunk.size());
      if (!put(chunk.substr(0, taken))) return false;
      if (size < chunk.size()) {
        in_string_ = chunk[size] != '"';
        escaped_ = in_string_;
      }
      chunk.remove_prefix(taken);
    } else if (is_structural(first)) {
      if (!structural(first, take)) return false;
      chunk.remove_prefix(1);
    } else if (is_blank(first) && !in_items_) {
      chunk.remove_prefix(1);
    } else {
      const auto end = std::ranges::find_if(
          chunk, [this](char c) { return is_structural(c) || (is_blank(c) && !in_items_); });
      const auto size = static_cast<std::size_t>(end - chunk.begin());
      if (!put(chunk.substr(0, size))) return false;
      chunk.remove_prefix(size);
    }
  }
  return true;
}

}  // namespace nmanager::services
