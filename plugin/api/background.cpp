#include "plugin/api/background.h"

#include <thread>
#include <utility>

namespace nmanager::api {

namespace {

class BackgroundSource final : public ServiceSource {
 public:
  BackgroundSource(std::chrono::milliseconds patience,
                   std::function<std::shared_ptr<BackgroundWork>(ApiSink)> make)
      : patience_(patience), make_(std::move(make)) {}

  ~BackgroundSource() override {
    if (work_) work_->stop(patience_);
  }

  void start(ApiSink sink) override {
    work_ = make_(std::move(sink));
    std::thread([work = work_] { work->run(); }).detach();
  }

 private:
  std::chrono::milliseconds patience_;
  std::function<std::shared_ptr<BackgroundWork>(ApiSink)> make_;
  std::shared_ptr<BackgroundWork> work_;
};

}  // namespace

BackgroundWork::BackgroundWork(ApiSink sink) : sink_(std::move(sink)) {}

void BackgroundWork::run() {
  work();
  close();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void BackgroundWork::stop(std::chrono::milliseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  interrupt();
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return ended_; });
}

void BackgroundWork::post(ApiEvent event) {
  const std::lock_guard lock(mutex_);
  if (!stopped_) sink_(std::move(event));
}

std::unique_ptr<ServiceSource> make_background_source(
    std::chrono::milliseconds patience,
    std::function<std::shared_ptr<BackgroundWork>(ApiSink)> make) {
  return std::make_unique<BackgroundSource>(patience, std::move(make));
}

}  // namespace nmanager::api
