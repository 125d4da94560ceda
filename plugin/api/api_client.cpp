#include "plugin/api/api_client.h"

#include <malloc.h>

#include <thread>
#include <utility>

#include "plugin/api/session.h"

namespace nmanager::api {

namespace {

class ApiClient final : public ServiceSource {
 public:
  ApiClient(const ApiAccess& access, ApiClientOptions options)
      : session_(access, std::move(options)), schedule_(std::random_device{}()) {
    state_.server = access.server;
  }

  ~ApiClient() override {
    session_.stop();
    if (thread_.joinable()) thread_.join();
  }

  void start(ApiSink sink) override {
    sink_ = std::move(sink);
    thread_ = std::thread([this] { run(); });
  }

 private:
  void run() {
    NextStep next{NextStep::What::kList, {}, false};
    while (next.what != NextStep::What::kStop) {
      if (!session_.sleep(next.delay)) return;
      const bool listing = next.what == NextStep::What::kList;
      const Ending ending = listing ? list() : watch();
      next = listing ? schedule_.after_list(ending) : schedule_.after_watch(ending);
      tell_ending(ending, next);
    }
  }

  Ending list() {
    tell(ApiState::Phase::kListing);
    ServicesListed listed;
    const Ending ending = session_.list(listed, [this](services::Undecodable bad) {
      sink_(ServiceUndecodable{std::move(bad.key), std::move(bad.reason)});
    });
    if (ending.kind == Ending::Kind::kDone) {
      if (state_.lists++ > 0) ++state_.relists;
      resource_version_ = listed.resource_version;
      state_.last_error.clear();
      sink_(std::move(listed));
      ::malloc_trim(0);  // pages of megabytes were parsed
      if (auto node = session_.node()) sink_(std::move(*node));
    }
    return ending;
  }

  Ending watch() {
    ++state_.watches;
    return session_.watch(
        resource_version_, [this] { tell_success(); },
        [this](services::WatchEvent event) { take(std::move(event)); });
  }

  void take(services::WatchEvent event) {
    if (auto* changed = std::get_if<services::WatchAddedOrModified>(&event.body)) {
      ++state_.events;
      sink_(ServiceChanged{std::move(changed->service)});
    } else if (auto* deleted = std::get_if<services::WatchDeleted>(&event.body)) {
      ++state_.events;
      sink_(ServiceDeleted{std::move(deleted->key)});
    } else if (auto* bad = std::get_if<services::Undecodable>(&event.body)) {
      ++state_.events;
      sink_(ServiceUndecodable{std::move(bad->key), std::move(bad->reason)});
    } else {
      ++state_.bookmarks;
    }
    tell(ApiState::Phase::kWatching);
  }

  void tell_success() {
    state_.last_error.clear();
    tell(ApiState::Phase::kWatching);
  }

  void tell(ApiState::Phase phase) {
    state_.phase = phase;
    state_.retry_in = {};
    sink_(state_);
  }

  void tell_ending(const Ending& ending, const NextStep& next) {
    if (!next.failed) return;
    ++state_.errors;
    state_.phase = ApiState::Phase::kBackingOff;
    state_.last_error = ending.message;
    state_.last_error_kind = error_kind(ending.kind);
    state_.retry_in = next.delay;
    sink_(state_);
  }

  ApiSession session_;
  Schedule schedule_;
  ApiSink sink_;
  ApiState state_;
  std::string resource_version_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<ServiceSource> make_api_client(const ApiAccess& access, ApiClientOptions options) {
  return std::make_unique<ApiClient>(access, std::move(options));
}

Result<ServicesListed> list_once(const ApiAccess& access, ApiClientOptions options) {
  ApiSession session(access, std::move(options));
  ServicesListed listed;
  const Ending ending = session.list(listed, [](const services::Undecodable&) {});
  if (ending.kind == Ending::Kind::kDone) return listed;
  return Error{error_kind(ending.kind), access.server + ": " + ending.message};
}

}  // namespace nmanager::api
