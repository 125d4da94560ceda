// A sorted map of addresses as a value: a copy costs a pointer, a change of a copy costs one chunk,
// and what two of them differ in is found without looking at what they share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager {

/// V is copied with its chunk, so it is small. Not to be changed by two threads, nor copied by one
/// while another changes it: what is shared is told by its count of references.
template <class V>
class AddressMap {
 public:
  using Entry = std::pair<Address, V>;

 private:
  using Chunk = std::vector<Entry>;  // sorted, never empty
  using Chunks = std::vector<std::shared_ptr<Chunk>>;
  static constexpr std::size_t kMost = 128;  // entries of a chunk

 public:
  /// Valid while the map it comes from is neither changed nor destroyed.
  class Iterator {
   public:
    Iterator() = default;
    Iterator(const Chunks* chunks, std::size_t chunk, std::size_t place)
        : chunks_(chunks), chunk_(chunk), place_(place) {}
    const Entry& operator*() const { return (*(*chunks_)[chunk_])[place_]; }
    const Entry* operator->() const { return &**this; }
    Iterator& operator++() {
      if (++place_ == (*chunks_)[chunk_]->size()) next_chunk();
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    friend AddressMap;
    void next_chunk() {
      ++chunk_;
      place_ = 0;
    }
    const Chunks* chunks_ = nullptr;
    std::size_t chunk_ = 0;
    std::size_t place_ = 0;
  };

  AddressMap() = default;
  AddressMap(const AddressMap&) = default;  // a move is a copy: none is ever without its chunks
  AddressMap& operator=(const AddressMap&) = default;
  ~AddressMap() = default;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] Iterator begin() const { return {&*chunks_, 0, 0}; }
  [[nodiscard]] Iterator end() const { return {&*chunks_, chunks_->size(), 0}; }

  /// The first entry whose address is not below `address`.
  [[nodiscard]] Iterator lower_bound(const Address& address) const {
    const std::size_t chunk = chunk_of(address);
    if (chunk == chunks_->size()) return end();
    const Chunk& entries = *(*chunks_)[chunk];
    const auto found = std::ranges::lower_bound(entries, address, {}, &Entry::first);
    const Iterator place{&*chunks_, chunk, static_cast<std::size_t>(found - entries.begin())};
    return found == entries.end() ? Iterator{&*chunks_, chunk + 1, 0} : place;
  }

  /// The first entry whose address is above `address`.
  [[nodiscard]] Iterator upper_bound(const Address& address) const {
    Iterator place = lower_bound(address);
    if (place != end() && place->first == address) ++place;
    return place;
  }

  /// The entry before `place`, which is not the first.
  [[nodiscard]] Iterator before(Iterator place) const {
    if (place.place_ > 0) return {&*chunks_, place.chunk_, place.place_ - 1};
    return {&*chunks_, place.chunk_ - 1, (*chunks_)[place.chunk_ - 1]->size() - 1};
  }

  /// Nothing: nullptr.
  [[nodiscard]] const V* find(const Address& address) const {
    const Iterator found = lower_bound(address);
    return found == end() || found->first != address ? nullptr : &found->second;
  }

  void set(const Address& address, V value) {
    Chunks& chunks = own();
    if (chunks.empty()) {
      chunks.push_back(std::make_shared<Chunk>(1, Entry(address, std::move(value))));
      size_ = 1;
      return;
    }
    const std::size_t place = chunk_of(address);
    Chunk& chunk = own(chunks[place]);
    const auto found = std::ranges::lower_bound(chunk, address, {}, &Entry::first);
    if (found != chunk.end() && found->first == address) {
      found->second = std::move(value);
      return;
    }
    // What is added in order leaves full chunks behind.
    const bool append = found == chunk.end() && place + 1 == chunks.size();
    chunk.emplace(found, address, std::move(value));
    ++size_;
    if (chunk.size() > kMost) split(chunks, place, append ? kMost : kMost / 2);
  }

  void erase(const Address& address) {
    if (find(address) == nullptr) return;
    Chunks& chunks = own();
    const std::size_t place = chunk_of(address);
    Chunk& chunk = own(chunks[place]);
    chunk.erase(std::ranges::lower_bound(chunk, address, {}, &Entry::first));
    --size_;
    if (chunk.empty()) chunks.erase(chunks.begin() + static_cast<std::ptrdiff_t>(place));
  }

  /// Calls visit(address, in a, in b) for each that differs, in order; nullptr: it is not there.
  template <class Visit>
  static void for_each_difference(const AddressMap& a, const AddressMap& b, Visit&& visit) {
    if (a.chunks_ == b.chunks_) return;
    Iterator left = a.begin();
    Iterator right = b.begin();
    while (left != a.end() || right != b.end()) {
      if (left == a.end()) {
        visit(right->first, nullptr, &right->second);
        ++right;
      } else if (right == b.end()) {
        visit(left->first, &left->second, nullptr);
        ++left;
      } else if (left.place_ == 0 && right.place_ == 0 && same_chunk(left, right)) {
        left.next_chunk();
        right.next_chunk();
      } else if (left->first < right->first) {
        visit(left->first, &left->second, nullptr);
        ++left;
      } else if (right->first < left->first) {
        visit(right->first, nullptr, &right->second);
        ++right;
      } else {
        if (left->second != right->second) visit(left->first, &left->second, &right->second);
        ++left;
        ++right;
      }
    }
  }

 private:
  static bool same_chunk(const Iterator& a, const Iterator& b) {
    return (*a.chunks_)[a.chunk_] == (*b.chunks_)[b.chunk_];
  }

  /// The chunk in whose range the address lies; the last one for what is above all.
  [[nodiscard]] std::size_t chunk_of(const Address& address) const {
    const auto above = std::ranges::upper_bound(
        *chunks_, address, {}, [](const auto& chunk) { return chunk->front().first; });
    const auto place = static_cast<std::size_t>(above - chunks_->begin());
    return place == 0 ? 0 : place - 1;
  }

  /// The chunk keeps its first `kept` entries; the others become the chunk after it.
  static void split(Chunks& chunks, std::size_t place, std::size_t kept) {
    Chunk& low = *chunks[place];
    const auto middle = low.begin() + static_cast<std::ptrdiff_t>(kept);
    auto high = std::make_shared<Chunk>(std::make_move_iterator(middle),
                                        std::make_move_iterator(low.end()));
    low.erase(middle, low.end());
    low.shrink_to_fit();
    chunks.insert(chunks.begin() + static_cast<std::ptrdiff_t>(place) + 1, std::move(high));
  }

  Chunks& own() {
    if (chunks_.use_count() != 1) chunks_ = std::make_shared<Chunks>(*chunks_);
    return *chunks_;
  }
  static Chunk& own(std::shared_ptr<Chunk>& chunk) {
    if (chunk.use_count() != 1) chunk = std::make_shared<Chunk>(*chunk);
    return *chunk;
  }

  std::shared_ptr<Chunks> chunks_ = std::make_shared<Chunks>();  // never null
  std::size_t size_ = 0;
};

}  // namespace nmanager
