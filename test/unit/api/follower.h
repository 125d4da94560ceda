// Combines the events of a client of the API server, as the owner thread does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "plugin/api/api_client.h"
#include "test/api_server/api_server.h"

namespace nmanager::test {

[[nodiscard]] inline api::ApiAccess access_to(const ApiServer& server) {
  api::ApiAccess access;
  access.server = server.url();
  return access;
}

/// A client that ends before the test continues, however busy the machine is.
[[nodiscard]] std::unique_ptr<api::ServiceSource> client_of(const api::ApiAccess& access,
                                                            api::ApiClientOptions options = {});

/// Must outlive the client that calls sink().
class Follower {
 public:
  struct Known {
    std::map<std::string, Service> services;
    std::vector<ServiceUndecodable> undecodable;
    int lists = 0;
    std::vector<Prefix> node;
    ApiState api;
    std::vector<std::string> errors;  // every message, in order
    std::vector<std::chrono::milliseconds> delays;
  };

  [[nodiscard]] api::ApiSink sink();

  /// False: not within a minute; only a failing test waits that long.
  bool wait_for(const std::function<bool(const Known&)>& condition) const;
  [[nodiscard]] Known known() const;

 private:
  void take(ApiEvent event);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Known known_;  // protected by mutex_
};

/// A Service as JSON of the API server: LoadBalancer with one ingress address and one TCP port.
std::string service_json(const std::string& name, const std::string& ip,
                         const std::string& labels = "{}");

/// Short times, so that silence is detected soon.
api::ApiClientOptions impatient();

/// Once per process; starts the library's threads.
void start_library_once();

}  // namespace nmanager::test
