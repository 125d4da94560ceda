// Changes of Services that the catalog has not taken yet, so that a list with thousands of them
// does not take the owner thread in one turn. Owner thread only.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plugin/services/catalog.h"

namespace nmanager::services {

class Backlog {
 public:
  void change(Service service) { waiting_.emplace_back(std::move(service)); }
  void remove(std::string key) { waiting_.emplace_back(std::move(key)); }
  /// A list is newer than all that waits, but for what it says of Services in `keep`: nothing.
  /// Neighbouring addresses come together, since their rules share chains; what is removed comes
  /// last, so that an address that moves to another Service is not without rules.
  void replace(ListChanges changes, const std::vector<std::string>& keep);

  /// The oldest changes, of about `count` external addresses (a Service without one counts as one);
  /// returns of how many. None in the first call after a large list: to find what it changes was
  /// enough for one turn.
  std::size_t move_to(Catalog& catalog, std::size_t count);
  /// There was a list, and nothing of the last one waits.
  [[nodiscard]] bool list_taken() const { return of_list_ == 0; }
  /// Nothing was given to it.
  [[nodiscard]] bool untouched() const { return waiting_.empty() && !of_list_; }
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }
  [[nodiscard]] bool empty() const { return waiting_.empty(); }

 private:
  using Change = std::variant<Service, std::string>;  // a string: the key of a removed one
  static const std::string& key_of(const Change& change);

  std::deque<Change> waiting_;
  std::optional<std::size_t> of_list_;  // so many of them, the oldest, are no newer than the list
  bool just_listed_ = false;
};

}  // namespace nmanager::services
