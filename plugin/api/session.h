// One list or one watch, from request to ending. Client's thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "plugin/api/api_client.h"
#include "plugin/api/http_client.h"
#include "plugin/api/schedule.h"
#include "plugin/services/decode.h"

namespace nmanager::api {

/// Makes the requests; knows credentials and time-outs, and can be stopped from any thread.
class ApiSession {
 public:
  ApiSession(ApiAccess access, ApiClientOptions options);

  /// All pages. `undecodable` is told at once for each object that is left out.
  Ending list(ServicesListed& listed,
              const std::function<void(services::Undecodable)>& undecodable);

  /// From `resource_version` on, which moves with each event. `opened`: the server has begun to
  /// answer.
  Ending watch(std::string& resource_version, const std::function<void()>& opened,
               const std::function<void(services::WatchEvent)>& take);

  /// Of options.node_name; nothing: it could not be had.
  std::optional<NodePodCidrs> node();

  /// Any thread; whatever runs ends with kStopped in well under a second.
  void stop();

  /// False: stopped before `delay` was over.
  bool sleep(std::chrono::milliseconds delay);

 private:
  std::optional<Ending> begin(const std::string& path_and_query, std::chrono::milliseconds silence);
  Ending page(const std::string& query, services::ServicePage& page);
  Ending read_body(std::string& body, std::chrono::milliseconds silence);
  Ending follow(std::string& resource_version,
                const std::function<void(services::WatchEvent)>& take);
  std::optional<Ending> take_lines(std::vector<std::string>& lines, std::string& resource_version,
                                   const std::function<void(services::WatchEvent)>& take,
                                   bool& progressed);
  Ending give_up(Ending ending);
  Ending ended() const;
  std::optional<Ending> refresh_client();
  std::optional<Ending> read_token(std::string& token);

  const ApiAccess access_;
  const ApiClientOptions options_;
  std::mt19937_64 random_;
  TlsMaterial tls_;
  std::unique_ptr<HttpClient> http_;
  std::shared_ptr<Exchange> exchange_;
  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  bool stopped_ = false;               // protected by stop_mutex_
  std::shared_ptr<Exchange> to_stop_;  // protected by stop_mutex_
};

}  // namespace nmanager::api
