#include "hooks/chains/tree_walk.h"

#include <algorithm>
#include <iterator>

namespace nmanager::chains {

namespace {

bool any_in(std::span<const Address> sorted, const Prefix& range) {
  const auto found = std::ranges::lower_bound(sorted, range.address());
  return found != sorted.end() && range.contains(*found);
}

class Walker {
 public:
  Walker(const TreeView& view, std::span<const Address> changed,
         const std::function<bool(const ChainName&)>& is_known,
         const std::function<void(const TreeChain&)>& visit,
         const std::function<void(const TreeName&, const Prefix&)>& passed)
      : view_(view), changed_(changed), is_known_(is_known), visit_(visit), passed_(passed) {}

  /// As deep as the tree: one step for each half byte of an address.
  void take(const TreeChain& chain) {
    visit_(chain);
    for (const Prefix& child : chain.children) {
      const TreeName name = view_.name_of(child);
      if (any_in(changed_, child) || !is_known_(name.name)) {
        take(view_.chain(child));
      } else {
        passed_(name, child);
      }
    }
  }

 private:
  const TreeView& view_;
  std::span<const Address> changed_;
  const std::function<bool(const ChainName&)>& is_known_;
  const std::function<void(const TreeChain&)>& visit_;
  const std::function<void(const TreeName&, const Prefix&)>& passed_;
};

}  // namespace

TreeChain TreeView::root() const {
  TreeChain chain{{root_, false}, Prefix(Address(family_, {}), 0), {}, 0};
  if (counts_.size() <= kFlatAddresses) {
    fill(chain, counts_.begin(), counts_.end());
  } else {
    fill_inner(chain, counts_.begin(), counts_.end());
  }
  return chain;
}

TreeChain TreeView::chain(const Prefix& range) const {
  TreeChain chain{name_of(range), range, {}, 0};
  const Place first = counts_.lower_bound(range.address());
  const Place end = behind(range);
  if (is_leaf(first, end)) {
    fill(chain, first, end);
  } else {
    fill_inner(chain, first, end);
  }
  return chain;
}

TreeName TreeView::name_of(const Prefix& range) const {
  return tree_name(child_prefix_, range.address(), range.length() / 4);
}

TreeView::Place TreeView::behind(const Prefix& range) const {
  return counts_.upper_bound(range.last());
}

/// Ends early: after kLeafRules addresses there are that many rules.
bool TreeView::is_leaf(Place first, Place end) const {
  std::size_t rules = 0;
  std::size_t groups = 0;
  for (; first != end; ++first) {
    rules += first->second;
    ++groups;
    if (groups > 1 && rules > kLeafRules) return false;
  }
  return true;
}

void TreeView::fill(TreeChain& chain, Place first, Place end) const {
  for (; first != end; ++first) chain.rules += first->second;
}

/// The first half byte in which the addresses differ parts them; the lowest and the highest tell.
void TreeView::fill_inner(TreeChain& chain, Place first, Place end) const {
  const Address low = first->first;
  const Address high = counts_.before(end)->first;
  int nibble = 0;
  while (low.nibble(nibble) == high.nibble(nibble)) ++nibble;
  while (first != end) {
    const Prefix child(first->first, (nibble + 1) * 4);
    chain.children.push_back(child);
    first = behind(child);
  }
  chain.rules = chain.children.size();
}

void walk(const TreeView& view, std::span<const Address> changed,
          const std::function<bool(const ChainName&)>& is_known,
          const std::function<void(const TreeChain&)>& visit,
          const std::function<void(const TreeName&, const Prefix&)>& passed) {
  Walker(view, changed, is_known, visit, passed).take(view.root());
}

}  // namespace nmanager::chains
