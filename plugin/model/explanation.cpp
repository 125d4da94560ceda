#include "plugin/model/explanation.h"

#include <algorithm>

namespace nmanager {

namespace {

bool is_label(std::string_view text) {
  constexpr std::size_t kLongest = 63;
  const auto word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kLongest && word(text.front()) && word(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return word(c) || c == '-'; });
}

}  // namespace

bool is_service_key(std::string_view text) {
  const auto slash = text.find('/');
  return slash != std::string_view::npos && is_label(text.substr(0, slash)) &&
         is_label(text.substr(slash + 1));
}

}  // namespace nmanager
