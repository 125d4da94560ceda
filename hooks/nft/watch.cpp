#include "hooks/nft/watch.h"

namespace nmanager {

namespace {

class PollWatch final : public ChangeWatch {
 public:
  PollWatch(std::shared_ptr<Session> session, Generation seen)
      : session_(std::move(session)), seen_(seen) {}

  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] std::chrono::milliseconds poll_interval() const override {
    return std::chrono::milliseconds(50);
  }
  [[nodiscard]] std::vector<TableChange> drain() override {
    const auto now = session_->netlink.generation();
    if (!now || *now == seen_) return {};
    const bool own = session_->own.all_own(seen_, *now);
    seen_ = *now;
    if (own) return {};
    TableChange change;
    change.certain = true;
    return {change};
  }

 private:
  std::shared_ptr<Session> session_;
  Generation seen_;
};

}  // namespace

std::unique_ptr<ChangeWatch> make_watch(std::shared_ptr<Session> session, Generation seen) {
  return std::make_unique<PollWatch>(std::move(session), seen);
}

}  // namespace nmanager
