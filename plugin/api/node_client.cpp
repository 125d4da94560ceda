// The client that requests only one Node object.
#include <algorithm>
#include <random>
#include <utility>

#include "plugin/api/api_client.h"
#include "plugin/api/background.h"
#include "plugin/api/session.h"

namespace nmanager::api {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{60'000};
constexpr int kTriesUntilTold = 6;  // half a minute

class NodeWorker final : public BackgroundWork {
 public:
  NodeWorker(const ApiAccess& access, const ApiClientOptions& options, ApiSink sink)
      : BackgroundWork(std::move(sink)),
        session_(access, options),
        pace_(options.pace),
        random_(std::random_device{}()) {}

 private:
  void interrupt() override { session_.stop(); }
  void close() override { session_.close(); }

  void work() override {
    milliseconds pause = kFirstPause;
    for (int tries = 1;; ++tries) {
      auto node = session_.node();
      if (node && !node->cidrs.empty()) return post(ApiEvent(std::move(*node)));
      const bool refused = session_.node_is_refused();
      if (refused || node || tries == kTriesUntilTold) post(ApiEvent(NodePodCidrs{}));
      if (refused || !session_.sleep(jittered(pause))) return;
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  /// Jitter, so that nodes that start together do not send their requests together.
  milliseconds jittered(milliseconds pause) {
    std::uniform_real_distribution<double> spread(0.5, 1.5);
    return std::chrono::duration_cast<milliseconds>(pause * pace_ * spread(random_));
  }

  ApiSession session_;
  const double pace_;
  std::mt19937_64 random_;
};

}  // namespace

std::unique_ptr<ServiceSource> make_node_client(const ApiAccess& access,
                                                const ApiClientOptions& options) {
  return make_background_source(options.stop_patience, [access, options](ApiSink sink) {
    return std::make_shared<NodeWorker>(access, options, std::move(sink));
  });
}

std::optional<NodePodCidrs> node_once(const ApiAccess& access, ApiClientOptions options) {
  return ApiSession(access, std::move(options)).node();
}

}  // namespace nmanager::api
