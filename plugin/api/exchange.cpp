#include "plugin/api/exchange.h"

#include <algorithm>
#include <utility>

namespace nmanager::api {

void Exchange::on_connected() {
  const std::lock_guard lock(mutex_);
  connected_ = true;
}

void Exchange::on_received(std::size_t count) {
  const std::lock_guard lock(mutex_);
  held_ += count;
  const bool body = body_begun_ || head_;
  if (ended_ || held_ <= (body ? kMaxChunk : kMaxHead)) return;
  ended_ = too_much_ = true;
  error_ = Error{ErrorKind::kBadInput,
                 std::string("more than ") + (body ? "24 MiB in one chunk" : "1 MiB of header")};
  changed_.notify_all();
}

void Exchange::on_head(ResponseHead head) {
  const std::lock_guard lock(mutex_);
  head_ = std::move(head);
  connected_ = true;
  changed_.notify_all();
}

void Exchange::on_data(std::span<const std::uint8_t> data, std::function<void(bool)> resume) {
  bool go_on = false;
  {
    const std::lock_guard lock(mutex_);
    connected_ = body_begun_ = true;
    held_ = 0;
    if (!stopped_ && !ended_) {
      data_.append(reinterpret_cast<const char*>(data.data()), data.size());
      changed_.notify_all();
      if (data_.size() >= kHighWater) {
        resume_ = std::move(resume);
        return;
      }
      go_on = true;
    }
  }
  resume(go_on);
}

void Exchange::on_end(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  released_ = true;
  if (!ended_) error_ = std::move(error);
  ended_ = true;
  changed_.notify_all();
}

void Exchange::stop() {
  std::function<void(bool)> resume;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    resume = std::exchange(resume_, nullptr);
    changed_.notify_all();
  }
  if (resume) resume(false);
}

Exchange::Event Exchange::wait(std::chrono::steady_clock::time_point deadline,
                               std::optional<std::chrono::steady_clock::time_point> connect_by) {
  std::unique_lock lock(mutex_);
  const auto head_ready = [&] { return head_ && !head_taken_; };
  const auto data_ready = [&] { return head_taken_ && !data_.empty(); };
  const auto ready = [&] { return stopped_ || head_ready() || data_ready() || ended_; };
  if (connect_by && *connect_by < deadline && !changed_.wait_until(lock, *connect_by, ready) &&
      !connected_) {
    return Event::kNotConnected;
  }
  const bool in_time = changed_.wait_until(lock, deadline, ready);
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
  std::function<void(bool)> resume;
  std::string data;
  {
    const std::lock_guard lock(mutex_);
    data = std::exchange(data_, {});
    resume = std::exchange(resume_, nullptr);
  }
  if (resume) resume(true);
  return data;
}

std::optional<Error> Exchange::end_error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

bool Exchange::too_much() const {
  const std::lock_guard lock(mutex_);
  return too_much_;
}

bool Exchange::connected() const {
  const std::lock_guard lock(mutex_);
  return connected_;
}

bool Exchange::wait_released(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return released_; });
}

}  // namespace nmanager::api
