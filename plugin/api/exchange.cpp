#include "plugin/api/exchange.h"

#include <cstdint>
#include <utility>

namespace nmanager::api {

void Exchange::on_head(ResponseHead head) {
  const std::lock_guard lock(mutex_);
  head_ = head;
  changed_.notify_all();
}

bool Exchange::on_data(std::span<const std::uint8_t> data) {
  const std::lock_guard lock(mutex_);
  if (stopped_ || data_.size() + data.size() > kMaxUnread) return false;
  data_.append(reinterpret_cast<const char*>(data.data()), data.size());
  changed_.notify_all();
  return true;
}

void Exchange::on_end(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  ended_ = true;
  error_ = std::move(error);
  changed_.notify_all();
}

void Exchange::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

Exchange::Event Exchange::wait(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const auto head_ready = [&] { return head_ && !head_taken_; };
  const auto data_ready = [&] { return head_taken_ && !data_.empty(); };
  const bool in_time = changed_.wait_until(
      lock, deadline, [&] { return stopped_ || head_ready() || data_ready() || ended_; });
  if (stopped_) return Event::kStopped;
  if (!in_time) return Event::kTimeout;
  if (head_ready()) {
    head_taken_ = true;
    return Event::kHead;
  }
  return data_ready() ? Event::kData : Event::kEnd;
}

ResponseHead Exchange::head() const {
  const std::lock_guard lock(mutex_);
  return head_.value_or(ResponseHead{});
}

std::string Exchange::take_data() {
  const std::lock_guard lock(mutex_);
  return std::exchange(data_, {});
}

std::optional<Error> Exchange::end_error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

bool Exchange::wait_end(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return ended_; });
}

}  // namespace nmanager::api
