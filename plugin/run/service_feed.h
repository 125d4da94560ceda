// The API client in use, for Services or for this node's Node object: it exists only while that is
// wanted, and is replaced when the settings name another server or other credentials. Owner thread
// only.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "plugin/model/event.h"
#include "plugin/run/mailbox.h"
#include "plugin/run/world.h"

namespace nmanager::run {

class ServiceFeed {
 public:
  enum class What : std::uint8_t { kServices, kNode };

  /// `mailbox` must live longer.
  ServiceFeed(ApiServer& server, Mailbox<Event>& mailbox, What what)
      : server_(server), mailbox_(mailbox), what_(what) {}
  ~ServiceFeed() { stop(); }
  ServiceFeed(const ServiceFeed&) = delete;
  ServiceFeed& operator=(const ServiceFeed&) = delete;

  /// Call this while a client is wanted: at the start and when a file may have changed. If the
  /// access cannot be read (an incomplete kubeconfig), the running client continues; see problem().
  /// True: a client was started; an earlier one posts nothing to the mailbox any more.
  bool follow(const Settings& settings);
  /// Nothing is posted to the mailbox any more.
  void stop();
  [[nodiscard]] bool running() const { return source_ != nullptr; }

  /// Why no client can be started with the settings, one line; empty: no problem.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  /// Between a client's thread and the mailbox: if closed, events are dropped.
  struct Gate {
    std::mutex mutex;
    bool open = true;  // protected by mutex
  };

  void start(const api::ApiAccess& access);
  void report(const Error& error);

  ApiServer& server_;
  Mailbox<Event>& mailbox_;
  const What what_;
  std::optional<api::ApiAccess> access_;
  std::shared_ptr<Gate> gate_;
  std::unique_ptr<api::ServiceSource> source_;
  std::string problem_;
};

}  // namespace nmanager::run
