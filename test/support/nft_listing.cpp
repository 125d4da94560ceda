#include "test/support/nft_listing.h"

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>
#include <vector>

namespace nmanager::test {

namespace {

/// Sorts "elements = { b, a }": the kernel lists them in the order of a hash with a random seed.
std::string with_sorted_elements(std::string text) {
  static const std::string kStart = "elements = {";
  for (auto at = text.find(kStart); at != std::string::npos; at = text.find(kStart, at + 1)) {
    const auto first = at + kStart.size();
    const auto end = text.find('}', first);
    std::string list = std::regex_replace(text.substr(first, end - first), std::regex("\\s+"), " ");
    std::vector<std::string> elements;
    for (std::size_t comma = 0; comma != std::string::npos;) {
      const std::size_t next = list.find(',', comma);
      elements.push_back(list.substr(comma, next - comma));
      if (elements.back().starts_with(' ')) elements.back().erase(0, 1);
      if (elements.back().ends_with(' ')) elements.back().pop_back();
      comma = next == std::string::npos ? next : next + 1;
    }
    std::ranges::sort(elements);
    list = " ";
    for (const std::string& element : elements) list += element + ", ";
    text.replace(first, end - first, list);
  }
  return text;
}

}  // namespace

std::string normal_listing(std::string text) {
  text = with_sorted_elements(std::move(text));
  return std::regex_replace(text, std::regex("counter packets [0-9]+ bytes [0-9]+"), "counter");
}

std::string listing_by_line(std::string text) {
  std::istringstream lines(normal_listing(std::move(text)));
  std::set<std::string> sorted;
  std::string place;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('{')) place = line;
    if (line.size() > 2) sorted.insert(place + line);
  }
  std::string result;
  for (const std::string& line : sorted) result += line + "\n";
  return result;
}

}  // namespace nmanager::test
