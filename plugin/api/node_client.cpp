// The client that asks for one Node object and nothing else.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "plugin/api/api_client.h"
#include "plugin/api/session.h"

namespace nmanager::api {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{60'000};
constexpr int kTriesUntilTold = 6;  // half a minute

/// What the client's thread owns; it may outlive the client for the moment that its end takes.
class NodeWorker {
 public:
  NodeWorker(const ApiAccess& access, const ApiClientOptions& options, ApiSink sink)
      : session_(access, options),
        pace_(options.pace),
        random_(std::random_device{}()),
        sink_(std::move(sink)) {}

  void run() {
    ask();
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  /// Any thread, as Worker::stop() of the client for Services.
  void stop(milliseconds patience) {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    session_.stop();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return ended_; });
  }

 private:
  void ask() {
    milliseconds pause = kFirstPause;
    for (int tries = 1;; ++tries) {
      auto node = session_.node();
      if (node && !node->cidrs.empty()) return post(std::move(*node));
      const bool refused = session_.node_is_refused();
      if (refused || node || tries == kTriesUntilTold) post({});
      if (refused || !session_.sleep(jittered(pause))) return;
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  /// Nodes that start together do not ask together.
  milliseconds jittered(milliseconds pause) {
    std::uniform_real_distribution<double> spread(0.5, 1.5);
    return std::chrono::duration_cast<milliseconds>(pause * pace_ * spread(random_));
  }

  void post(NodePodCidrs node) {
    const std::lock_guard lock(mutex_);
    if (!stopped_) sink_(std::move(node));
  }

  ApiSession session_;
  const double pace_;
  std::mt19937_64 random_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // All protected by mutex_.
  ApiSink sink_;
  bool stopped_ = false;
  bool ended_ = false;
};

class NodeClient final : public ServiceSource {
 public:
  NodeClient(ApiAccess access, ApiClientOptions options)
      : access_(std::move(access)), options_(std::move(options)) {}

  ~NodeClient() override {
    constexpr milliseconds kPatience{90};
    if (worker_) worker_->stop(kPatience);
  }

  void start(ApiSink sink) override {
    worker_ = std::make_shared<NodeWorker>(access_, options_, std::move(sink));
    std::thread([worker = worker_] { worker->run(); }).detach();
  }

 private:
  ApiAccess access_;
  ApiClientOptions options_;
  std::shared_ptr<NodeWorker> worker_;
};

}  // namespace

std::unique_ptr<ServiceSource> make_node_client(const ApiAccess& access, ApiClientOptions options) {
  return std::make_unique<NodeClient>(access, std::move(options));
}

std::optional<NodePodCidrs> node_once(const ApiAccess& access, ApiClientOptions options) {
  return ApiSession(access, std::move(options)).node();
}

}  // namespace nmanager::api
