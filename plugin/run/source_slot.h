// The API client in use; another one when the settings lead to another server or other credentials.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "plugin/api/api_access.h"
#include "plugin/api/service_source.h"
#include "plugin/model/event.h"
#include "plugin/model/settings.h"
#include "plugin/run/mailbox.h"

namespace nmanager::run {

/// Owner thread only.
class SourceSlot {
 public:
  /// `mailbox` must live longer.
  explicit SourceSlot(Mailbox<Event>& mailbox) : mailbox_(mailbox) {}
  ~SourceSlot();
  SourceSlot(const SourceSlot&) = delete;
  SourceSlot& operator=(const SourceSlot&) = delete;

  /// To be called at the start and when a file may have changed. An access that cannot be read (a
  /// kubeconfig that is half written) leaves the client that runs alone; see problem(). True: a
  /// client was started. After that nothing of an earlier one comes to the mailbox any more.
  bool follow(const Settings& settings);

  /// Why the settings lead to no client, one line; empty: nothing is wrong.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  /// Between a client's thread and the mailbox: closed, nothing passes.
  struct Gate {
    std::mutex mutex;
    bool open = true;  // protected by mutex
  };

  void start(const api::ApiAccess& access);
  void retire();
  void tell(const Error& error);

  Mailbox<Event>& mailbox_;
  std::optional<api::ApiAccess> access_;
  std::shared_ptr<Gate> gate_;
  std::unique_ptr<api::ServiceSource> source_;
  std::jthread retiring_;  // the end of an earlier client, which may take a moment
  std::string problem_;
};

}  // namespace nmanager::run
