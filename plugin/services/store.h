// Every Service of the cluster, by key. Owner thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/model/service.h"
#include "plugin/services/qualify.h"

namespace nmanager::services {

struct ByKey {
  using is_transparent = void;
  bool operator()(const Service& a, const Service& b) const { return a.key < b.key; }
  bool operator()(const Service& a, std::string_view b) const { return a.key < b; }
  bool operator()(std::string_view a, const Service& b) const { return a < b.key; }
};
using Services = std::set<Service, ByKey>;

/// What a list changes.
struct ListChanges {
  std::vector<Service> changed;      // or new, by key
  std::vector<std::string> removed;  // their keys, by address
};

/// nullopt: it has none from outside. By it, changes of neighbours, whose rules share chains, come
/// together.
[[nodiscard]] std::optional<Address> first_address(const Service& service);

/// Called for each Service that came (`before` is null), changed, or went (`after` is null).
using OnChange = std::function<void(const Service* before, const Service* after)>;

class ServiceStore {
 public:
  /// What a list of all Services changes; those in `keep`, whose objects could not be decoded, stay
  /// as they are.
  [[nodiscard]] ListChanges changes_to(std::vector<Service> services,
                                       const std::vector<std::string>& keep) const;
  bool upsert(Service service, const OnChange& on_change = {});         // false: no change
  bool remove(const std::string& key, const OnChange& on_change = {});  // false: not found

  /// What a list changes has been changed: from now on it is every Service.
  void set_listed() { listed_ = true; }
  [[nodiscard]] bool listed() const { return listed_; }
  [[nodiscard]] std::size_t size() const { return services_.size(); }
  [[nodiscard]] const Services& services() const { return services_; }

 private:
  Services services_;
  bool listed_ = false;
};

/// The external addresses of all Services, and how many were skipped for which reason.
struct Qualified {
  std::vector<ExternalAddress> addresses;
  std::map<std::string, std::size_t> skipped;
  std::size_t services_with_rules = 0;
  std::vector<std::string> examples;  // a few "namespace/name [address]: reason in words"
};

inline constexpr std::size_t kMostExamples = 20;

/// Reasons that mean "this Service needs the fix but does not get it".
[[nodiscard]] bool worth_showing(SkipReason reason);
/// One of Qualified::examples.
[[nodiscard]] std::string line_of(const std::string& key, const Skip& skip);

[[nodiscard]] Qualified qualify_all(const ServiceStore& store, const QualifySettings& settings);

}  // namespace nmanager::services
