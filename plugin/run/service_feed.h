// An API client in use, for Services or for this node's Node object: there is one only while that
// is wanted, and another one when the settings lead to another server or other credentials. Owner
// thread only.
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

  /// To be called while it is wanted: at the start and when a file may have changed. An
  /// access that cannot be read (a kubeconfig that is half written) leaves the client that runs
  /// alone; see problem(). True: a client was started. After that nothing of an earlier one comes
  /// to the mailbox any more.
  bool follow(const Settings& settings);
  /// Nothing comes to the mailbox any more.
  void stop();
  [[nodiscard]] bool running() const { return source_ != nullptr; }

  /// Why the settings lead to no client, one line; empty: nothing is wrong.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  /// Between a client's thread and the mailbox: closed, nothing passes.
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
