// What a client of the API server has been told, put together as the owner thread would.
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

/// Must outlive the client that calls sink().
class Follower {
 public:
  struct Known {
    std::map<std::string, Service> services;
    std::vector<ServiceUndecodable> undecodable;
    int lists = 0;
    std::vector<Prefix> node;
    ApiState api;
    std::vector<std::string> errors;  // every message told, in order
    std::vector<std::chrono::milliseconds> delays;
  };

  [[nodiscard]] api::ApiSink sink();

  /// False: not within a minute, which no test waits for unless it fails.
  bool wait_for(const std::function<bool(const Known&)>& condition) const;
  [[nodiscard]] Known known() const;

 private:
  void take(ApiEvent event);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Known known_;  // protected by mutex_
};

/// A Service as the API server has it: LoadBalancer with one ingress address and one TCP port.
std::string service_json(const std::string& name, const std::string& ip,
                         const std::string& labels = "{}");

/// Short times, so that silence is noticed soon.
api::ApiClientOptions impatient();

/// Once in the process; the library's threads.
void start_library_once();

}  // namespace nmanager::test
