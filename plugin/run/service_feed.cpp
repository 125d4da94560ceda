#include "plugin/run/service_feed.h"

#include <utility>

namespace nmanager::run {

bool ServiceFeed::follow(const Settings& settings) {
  const auto access = server_.access(settings);
  if (!access) {
    report(access.error());
    return false;
  }
  problem_.clear();
  if (access_ == *access) return false;
  stop();
  start(*access);
  return true;
}

void ServiceFeed::start(const api::ApiAccess& access) {
  access_ = access;
  mailbox_.post(ApiServersKnown{api::server_endpoints(access)});
  gate_ = std::make_shared<Gate>();
  source_ =
      what_ == What::kServices ? server_.make_source(access) : server_.make_node_source(access);
  source_->start([&mailbox = mailbox_, gate = gate_](ApiEvent event) {
    const std::lock_guard lock(gate->mutex);
    if (gate->open) mailbox.post(std::move(event));
  });
}

/// Closes the gate first, so that a client that ends slowly or never cannot post any more.
void ServiceFeed::stop() {
  problem_.clear();
  access_.reset();
  if (!source_) return;
  {
    const std::lock_guard lock(gate_->mutex);
    gate_->open = false;
  }
  source_.reset();
}

/// Without a client, this reports the state of the connection.
void ServiceFeed::report(const Error& error) {
  if (std::exchange(problem_, error.message) == error.message || source_) return;
  ApiState state;
  state.phase = ApiState::Phase::kBackingOff;
  state.last_error = error.message;
  state.last_error_kind = error.kind;
  mailbox_.post(ApiEvent(std::move(state)));
}

}  // namespace nmanager::run
