#include "hooks/values/edit_script.h"

namespace nmanager {

/// Patience sorting.
void keep_longest_in_order(std::vector<std::size_t>& pairs) {
  std::vector<std::size_t> tops;  // positions in `pairs`, one for each pile
  std::vector<std::size_t> before(pairs.size(), kNoPartner);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i] == kNoPartner) continue;
    const auto pile = std::ranges::lower_bound(
        tops, pairs[i], {}, [&](std::size_t position) { return pairs[position]; });
    if (pile != tops.begin()) before[i] = *std::prev(pile);
    if (pile == tops.end()) {
      tops.push_back(i);
    } else {
      *pile = i;
    }
  }
  std::vector<bool> kept(pairs.size(), false);
  for (std::size_t i = tops.empty() ? kNoPartner : tops.back(); i != kNoPartner; i = before[i]) {
    kept[i] = true;
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (!kept[i]) pairs[i] = kNoPartner;
  }
}

}  // namespace nmanager
