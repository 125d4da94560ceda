// Every Service of the cluster, and what follows from them kept up to date Service by Service: the
// external addresses, and why some have none. qualify_all() and external_cluster() make the same
// from all of them at once; that is what it has to equal. Owner thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hooks/intent/external_addresses.h"
#include "plugin/services/qualify.h"
#include "plugin/services/store.h"

namespace nmanager::services {

class Catalog {
 public:
  /// As those of ServiceStore.
  [[nodiscard]] ListChanges changes_to(std::vector<Service> services,
                                       const std::vector<std::string>& keep) const {
    return store_.changes_to(std::move(services), keep);
  }
  bool upsert(Service service);
  bool remove(const std::string& key);
  void set_listed() { store_.set_listed(); }
  [[nodiscard]] bool listed() const { return store_.listed(); }
  [[nodiscard]] std::size_t size() const { return store_.size(); }
  /// By key.
  [[nodiscard]] const Services& services() const { return store_.services(); }

  /// Other settings: every Service is gone through again.
  void configure(const QualifySettings& settings);
  /// Decides about what was claimed or given up since the last call. To be called before anything
  /// below is asked.
  void settle();

  [[nodiscard]] const ExternalAddresses& addresses(Family family) const;
  [[nodiscard]] std::map<std::string, std::size_t> skipped() const;
  [[nodiscard]] std::size_t services_with_rules() const { return services_with_rules_; }
  [[nodiscard]] std::vector<std::string> examples() const;

  /// Makes the external addresses from all Services at once, the `part`-th of `parts` of them, so
  /// that no check of many takes long. What differs, one line, and then everything is made again;
  /// nothing: all is equal.
  [[nodiscard]] std::optional<std::string> check(std::size_t part = 0, std::size_t parts = 1);

 private:
  using Owners = std::set<std::string>;  // keys of Services
  /// More than one Service claims an address: who does, and who does not get all that it claims.
  struct Contested {
    Owners owners;
    Owners losers;
  };
  struct Unsettled {
    Owners owners;
    std::vector<ExternalAddress> claims;
  };

  void changed(const Service* before, const Service* after);
  Owners& unsettled_owners(const Address& address);
  void settle(const Address& address, Unsettled& unsettled, Owners& concerned);
  void note(const std::string& key);
  void count(const std::vector<Skip>& skips, std::ptrdiff_t sign);
  void make_again();
  [[nodiscard]] std::optional<std::string> difference(std::size_t part, std::size_t parts) const;

  ServiceStore store_;
  QualifySettings settings_;
  std::array<ExternalAddresses, kFamilies.size()> addresses_;
  std::map<Address, Contested> contested_;
  std::map<Address, Unsettled> unsettled_;
  std::map<SkipReason, std::size_t> skipped_;
  std::size_t services_with_rules_ = 0;
  Owners concerned_;  // whose part in notable_ is out of date
  /// By Service, what `nmanager status` shows of it; only those that have something to show.
  std::map<std::string, std::vector<std::string>> notable_;
};

}  // namespace nmanager::services
