#include "hooks/iptables_legacy/blob.h"

#include <algorithm>
#include <cstdint>

#include "hooks/iptables_legacy/family.h"

namespace nmanager::iptables_legacy {

namespace {

/// Checks that every hook's first entry and policy are at the beginning of an entry. Offsets are
/// passed in ascending order.
class HookBounds {
 public:
  explicit HookBounds(const TableShape& shape) {
    for (std::size_t hook = 0; hook < kHookCount; ++hook) {
      if ((shape.valid_hooks >> hook & 1) == 0) continue;
      sane_ = sane_ && shape.hook_entry[hook] <= shape.underflow[hook];
      bounds_.push_back(shape.hook_entry[hook]);
      bounds_.push_back(shape.underflow[hook]);
    }
    std::ranges::sort(bounds_);
  }
  void pass(std::uint32_t at) {
    while (next_ < bounds_.size() && bounds_[next_] == at) ++next_;
  }
  [[nodiscard]] bool all_met() const { return sane_ && next_ == bounds_.size(); }

 private:
  std::vector<std::uint32_t> bounds_;
  std::size_t next_ = 0;
  bool sane_ = true;
};

/// The name in a chain's first entry; the name in the table's last entry is "ERROR".
std::optional<std::string_view> header_name(const ExtensionView& target) {
  if (target.data.size() < XT_FUNCTION_MAXNAMELEN) return std::nullopt;
  return fixed_string(reinterpret_cast<const char*>(target.data.data()), XT_FUNCTION_MAXNAMELEN);
}

bool is_header(Span blob, std::uint32_t target_at) {
  // Compared including the NUL: the name of an extension could have the same beginning.
  constexpr std::string_view kName(XT_ERROR_TARGET, sizeof XT_ERROR_TARGET);
  constexpr std::size_t kOffset = offsetof(xt_entry_target, u.user.name);
  return std::memcmp(blob.data() + target_at + kOffset, kName.data(), kName.size()) == 0;
}

}  // namespace

template <class F>
Result<BlobIndex<F>> BlobIndex<F>::build(Span blob, const TableShape& shape) {
  BlobIndex index(blob, shape);
  if (blob.size() != shape.size || !index.index()) {
    return Error{ErrorKind::kUnsupported,
                 "the kernel's " + std::string(to_string(F::kFamily)) + " table is malformed"};
  }
  return index;
}

template <class F>
bool BlobIndex<F>::index() {
  HookBounds bounds(shape_);
  const auto size = static_cast<std::uint32_t>(blob_.size());
  std::uint32_t entries = 0;
  std::uint32_t before = 0;  // the entry before this one
  bool ended = false;
  for (std::uint32_t at = 0; at < size;) {
    const auto frame = frame_of<F>(blob_.subspan(at));
    if (!frame || ended) return false;
    bounds.pass(at);
    if (is_header(blob_, at + frame->target_offset)) {
      if (!add_header(at, *frame, before)) return false;
      ended = at + frame->next_offset == size;
    }
    before = at;
    at += frame->next_offset;
    ++entries;
  }
  if (!ended || entries != shape_.num_entries || !bounds.all_met()) return false;
  chains_.pop_back();  // the table's last entry is a header without a chain
  return true;
}

/// Ends the previous chain, whose last entry is its policy, and begins the next one.
template <class F>
bool BlobIndex<F>::add_header(std::uint32_t at, const EntryFrame& frame, std::uint32_t before) {
  const auto target = extension_at(blob_.subspan(at, frame.next_offset), frame.target_offset);
  const auto name = target ? header_name(*target) : std::nullopt;
  if (!name) return false;
  if (!chains_.empty()) {
    if (before < chains_.back().begin) return false;
    chains_.back().end = before;
  }
  chains_.push_back({*name, at + frame.next_offset, 0});
  return true;
}

template <class F>
std::optional<BlobChain> BlobIndex<F>::hook_chain(std::size_t hook) const {
  if (hook >= kHookCount || (shape_.valid_hooks >> hook & 1) == 0) return std::nullopt;
  return BlobChain{{}, shape_.hook_entry[hook], shape_.underflow[hook]};
}

template <class F>
std::string_view BlobIndex<F>::jump_target(Span entry, const EntryFrame& frame) const {
  const auto target = extension_at(entry, frame.target_offset);
  if (!target || target->name != XT_STANDARD_TARGET) return {};
  const auto verdict = load<int>(target->data);
  if (!verdict || *verdict < 0) return {};
  const auto place = static_cast<std::uint32_t>(*verdict);
  const auto chain = std::ranges::lower_bound(chains_, place, {}, &BlobChain::begin);
  return chain == chains_.end() || chain->begin != place ? std::string_view() : chain->name;
}

template class BlobIndex<Ipv4>;
template class BlobIndex<Ipv6>;

}  // namespace nmanager::iptables_legacy
