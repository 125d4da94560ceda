#include "test/unit/api/follower.h"

#include "plugin/api/http_client.h"

namespace nmanager::test {
using namespace nmanager::api;

ApiSink Follower::sink() {
  return [this](ApiEvent event) {
    const std::lock_guard lock(mutex_);
    take(std::move(event));
    changed_.notify_all();
  };
}

void Follower::take(ApiEvent event) {
  if (auto* listed = std::get_if<ServicesListed>(&event)) {
    ++known_.lists;
    known_.services.clear();
    for (Service& service : listed->services) {
      known_.services.emplace(service.key, std::move(service));
    }
  } else if (auto* changed = std::get_if<ServiceChanged>(&event)) {
    known_.services.insert_or_assign(changed->service.key, std::move(changed->service));
  } else if (auto* deleted = std::get_if<ServiceDeleted>(&event)) {
    known_.services.erase(deleted->key);
  } else if (auto* bad = std::get_if<ServiceUndecodable>(&event)) {
    known_.undecodable.push_back(std::move(*bad));
  } else if (auto* node = std::get_if<NodePodCidrs>(&event)) {
    known_.node = std::move(node->cidrs);
  } else if (auto* state = std::get_if<ApiState>(&event)) {
    if (state->phase == ApiState::Phase::kBackingOff) {
      known_.errors.push_back(state->last_error);
      known_.delays.push_back(state->retry_in);
    }
    known_.api = std::move(*state);
  }
}

bool Follower::wait_for(const std::function<bool(const Known&)>& condition) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return condition(known_); });
}

Follower::Known Follower::known() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

std::string service_json(const std::string& name, const std::string& ip,
                         const std::string& labels) {
  return R"({"metadata":{"namespace":"default","name":")" + name + R"(","labels":)" + labels +
         R"(},"spec":{"type":"LoadBalancer","clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],)"
         R"("externalTrafficPolicy":"Local","ports":[{"protocol":"TCP","port":80}]},)"
         R"("status":{"loadBalancer":{"ingress":[{"ip":")" +
         ip + R"("}]}}})";
}

ApiClientOptions impatient() {
  ApiClientOptions options;
  options.watch_silence = std::chrono::milliseconds(400);
  options.list_silence = std::chrono::milliseconds(400);
  return options;
}

std::unique_ptr<ServiceSource> client_of(const ApiAccess& access, ApiClientOptions options) {
  options.stop_patience = std::chrono::seconds(60);
  return make_api_client(access, std::move(options));
}

void start_library_once() {
  [[maybe_unused]] static const bool started = [] {
    start_http_library();
    return true;
  }();
}

}  // namespace nmanager::test
