// One list or one watch, from request to ending. Client's thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "plugin/api/api_client.h"
#include "plugin/api/http_client.h"
#include "plugin/api/line_splitter.h"
#include "plugin/api/resolve.h"
#include "plugin/api/schedule.h"
#include "plugin/services/decode.h"

namespace nmanager::api {

/// Makes the requests; knows credentials and time-outs, and can be stopped from any thread.
class ApiSession {
 public:
  using Undecodables = std::function<void(services::Undecodable)>;
  using Events = std::function<void(services::WatchEvent)>;

  ApiSession(ApiAccess access, ApiClientOptions options);
  ~ApiSession();
  ApiSession(const ApiSession&) = delete;
  ApiSession& operator=(const ApiSession&) = delete;

  /// In the form that `step` names. Each skipped object is reported to `undecodable` at once.
  /// After a streaming list the answer stays open for follow().
  Ending list(const NextStep& step, ServicesListed& listed, const Undecodables& undecodable);

  /// From `resource_version` on, which moves with each event. `opened`: the server has begun to
  /// answer.
  Ending watch(std::string& resource_version, const std::function<void()>& opened,
               const Events& take);
  /// The rest of a streaming list's answer.
  Ending follow(std::string& resource_version, const Events& take);

  /// Of options.node_name; nullopt: not available. After one 403 it is not requested again. Not
  /// while an answer is open.
  std::optional<NodePodCidrs> node();

  /// Any thread; the running operation ends with kStopped at once.
  void stop();
  /// Abandons an open answer and waits until the library holds nothing of it. A request that is
  /// still pending when the process ends is never freed.
  void close();

  /// No (further) request for the Node is needed.
  [[nodiscard]] bool node_is_refused() const {
    return options_.node_name.empty() || node_forbidden_;
  }

  /// False: stopped before `delay` was over.
  bool sleep(std::chrono::milliseconds delay);

  [[nodiscard]] const std::string& proxy() const { return proxy_; }

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  std::optional<Ending> begin(const std::string& path_and_query, std::chrono::milliseconds silence);
  std::optional<Ending> attempt(const std::string& path_and_query, const std::string& token,
                                std::chrono::milliseconds silence);
  std::optional<Ending> refused(std::chrono::milliseconds silence);
  std::optional<Ending> find_addresses();
  std::optional<Ending> make_client(TlsMaterial tls, std::size_t piece);
  std::optional<Ending> read_token(std::string& token);

  std::optional<NodePodCidrs> ask_node();
  Ending stream_list(ServicesListed& listed, const Undecodables& undecodable);
  Ending page(const std::string& query, services::ServicePage& page);
  Ending pages(const std::string& query, ServicesListed& listed, const Undecodables& undecodable);

  /// The next piece of the body; an ending after the last one.
  std::optional<Ending> next_piece(std::string& piece, std::chrono::milliseconds silence);
  std::variant<services::WatchEvent, Ending> next_event(std::chrono::milliseconds silence);
  [[nodiscard]] std::string watch_query(const std::string& more);
  Ending give_up(Ending ending);
  [[nodiscard]] Ending ended() const;

  const ApiAccess access_;
  const ApiClientOptions options_;
  const std::string proxy_;
  std::mt19937_64 random_;
  TlsMaterial tls_;                   // of http_
  std::size_t piece_ = 0;             // of http_
  std::unique_ptr<HttpClient> http_;  // for addresses_.front(); null after any failure
  std::vector<Address> addresses_;    // of the server or proxy, those not tried yet
  std::shared_ptr<Exchange> exchange_;
  LineSplitter splitter_;
  std::deque<std::string> lines_;  // complete, not decoded yet
  bool overlong_ = false;          // the line after lines_ is too long
  bool node_forbidden_ = false;

  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  // All protected by stop_mutex_.
  bool stopped_ = false;
  std::shared_ptr<Exchange> to_stop_;
  std::shared_ptr<Lookup> lookup_;
};

}  // namespace nmanager::api
