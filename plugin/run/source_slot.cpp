#include "plugin/run/source_slot.h"

#include <utility>

#include "plugin/api/api_client.h"
#include "plugin/run/access.h"

namespace nmanager::run {

SourceSlot::~SourceSlot() {
  retire();
}

bool SourceSlot::follow(const Settings& settings) {
  const auto access = choose_access(settings);
  if (!access) {
    tell(access.error());
    return false;
  }
  problem_.clear();
  if (access_ == *access) return false;
  retire();
  start(*access);
  return true;
}

void SourceSlot::start(const api::ApiAccess& access) {
  access_ = access;
  gate_ = std::make_shared<Gate>();
  api::ApiClientOptions options;
  options.node_name = node_name();
  source_ = api::make_api_client(access, std::move(options));
  source_->start([&mailbox = mailbox_, gate = gate_](ApiEvent event) {
    const std::lock_guard lock(gate->mutex);
    if (gate->open) mailbox.post(std::move(event));
  });
}

void SourceSlot::retire() {
  if (!source_) return;
  {
    const std::lock_guard lock(gate_->mutex);
    gate_->open = false;
  }
  // Its thread may hang in an answer for a moment; the owner does not wait for it.
  retiring_ = std::jthread([old = std::move(source_)]() mutable { old.reset(); });
}

/// Without a client there is nobody else to tell the state of the connection.
void SourceSlot::tell(const Error& error) {
  if (std::exchange(problem_, error.message) == error.message || source_) return;
  ApiState state;
  state.phase = ApiState::Phase::kBackingOff;
  state.last_error = error.message;
  state.last_error_kind = error.kind;
  mailbox_.post(ApiEvent(std::move(state)));
}

}  // namespace nmanager::run
