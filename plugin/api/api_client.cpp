#include "plugin/api/api_client.h"

#include <malloc.h>

#include <utility>

#include "plugin/api/background.h"
#include "plugin/api/session.h"

namespace nmanager::api {

namespace {

class Worker final : public BackgroundWork {
 public:
  Worker(const ApiAccess& access, const ApiClientOptions& options, ApiSink sink)
      : BackgroundWork(std::move(sink)),
        session_(access, options),
        node_session_(access, options),
        pace_(options.pace),
        schedule_(std::random_device{}()) {
    state_.server = server_in_words(access, session_.proxy());
    state_.warnings = warnings_of(access);
  }

 private:
  using What = NextStep::What;

  void interrupt() override {
    session_.stop();
    node_session_.stop();
  }

  void close() override {
    session_.close();
    node_session_.close();
  }

  /// Follows the schedule.
  void work() override {
    NextStep next = schedule_.first();
    while (next.what != What::kStop) {
      if (!session_.sleep(
              std::chrono::duration_cast<std::chrono::milliseconds>(next.delay * pace_)))
        return;
      const Ending ending = do_step(next);
      next = schedule_.after(next.what, ending);
      if (next.failed) tell_failure(ending, next);
    }
  }

  Ending do_step(const NextStep& step) {
    if (is_list(step.what)) return list(step);
    const auto take = [this](services::WatchEvent event) { this->take(std::move(event)); };
    if (step.what == What::kFollow) {
      tell_success();
      return session_.follow(resource_version_, take);
    }
    ++state_.watches;
    return session_.watch(
        resource_version_, [this] { tell_success(); }, take);
  }

  Ending list(const NextStep& step) {
    tell(ApiState::Phase::kListing);
    ServicesListed listed;
    Ending ending = session_.list(step, listed, [this](services::Undecodable bad) {
      post(ServiceUndecodable{std::move(bad.key), std::move(bad.reason)});
    });
    if (ending.kind != Ending::Kind::kDone) return ending;
    if (state_.lists++ > 0) ++state_.relists;
    if (step.what == What::kStreamList) {
      ++state_.streamed_lists;
      ++state_.watches;
    }
    resource_version_ = listed.resource_version;
    state_.last_error.clear();
    heard();
    post(std::move(listed));
    ::malloc_trim(0);  // returns the memory used for reading the list
    if (auto node = node_session_.node()) post(std::move(*node));
    return ending;
  }

  void take(services::WatchEvent event) {
    heard();
    if (auto* changed = std::get_if<services::WatchAddedOrModified>(&event.body)) {
      ++state_.events;
      post(ServiceChanged{std::move(changed->service)});
    } else if (auto* deleted = std::get_if<services::WatchDeleted>(&event.body)) {
      ++state_.events;
      post(ServiceDeleted{std::move(deleted->key)});
    } else if (auto* bad = std::get_if<services::Undecodable>(&event.body)) {
      ++state_.events;
      post(ServiceUndecodable{std::move(bad->key), std::move(bad->reason)});
    } else {
      ++state_.bookmarks;
    }
    tell(ApiState::Phase::kWatching);
  }

  void heard() {
    state_.last_word = std::chrono::system_clock::now();
    state_.last_word_at = std::chrono::steady_clock::now();
  }

  void tell_success() {
    state_.last_error.clear();
    tell(ApiState::Phase::kWatching);
  }

  void tell(ApiState::Phase phase) {
    state_.phase = phase;
    state_.retry_in = {};
    post(state_);
  }

  void tell_failure(const Ending& ending, const NextStep& next) {
    ++state_.errors;
    ++state_.errors_by_kind[std::string(name_of(ending.kind))];
    state_.phase = ApiState::Phase::kBackingOff;
    state_.last_error = ending.message;
    state_.last_error_kind = error_kind(ending.kind);
    state_.retry_in = next.delay;
    post(state_);
  }

  ApiSession session_;
  ApiSession node_session_;  // separate, since an answer may still be open in the first session
  const double pace_;
  // Worker's thread.
  Schedule schedule_;
  ApiState state_;
  std::string resource_version_;
};

}  // namespace

std::unique_ptr<ServiceSource> make_api_client(const ApiAccess& access,
                                               const ApiClientOptions& options) {
  return make_background_source(options.stop_patience, [access, options](ApiSink sink) {
    return std::make_shared<Worker>(access, options, std::move(sink));
  });
}

Result<ServicesListed> list_once(const ApiAccess& access, ApiClientOptions options) {
  ApiSession session(access, std::move(options));
  const auto ignore = [](const services::Undecodable&) {};
  Ending ending;
  for (const auto what : {NextStep::What::kCachedList, NextStep::What::kPagedList}) {
    ServicesListed listed;
    NextStep step{what};
    step.page_size = Schedule::kPageSize;
    ending = session.list(step, listed, ignore);
    if (ending.kind == Ending::Kind::kDone) return listed;
    if (error_kind(ending.kind) == ErrorKind::kDenied ||
        ending.kind == Ending::Kind::kUnreachable) {
      break;
    }
  }
  return Error{error_kind(ending.kind),
               server_in_words(access, session.proxy()) + ": " + ending.message};
}

}  // namespace nmanager::api
