#include "test/unit/api/owner.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace nmanager::test {

namespace {

using std::chrono::milliseconds;

Settings ipvs_on_nft() {
  Settings settings;
  settings.backend.value = BackendChoice::kNft;
  settings.proxy_mode.value = ProxyMode::kIpvs;
  settings.pod_cidr_ipv4.value = Prefix::parse("10.244.0.0/16");
  return settings;
}

/// A kube-proxy that has synced, so that only the Services decide about readiness.
void kube_proxy_has_synced(FakeWorld& world) {
  world.files.config = settings::KubeProxyConfig{};
  FakeKernel& kernel = world.tables.at(BackendChoice::kNft).kernel;
  for (const Family family : kFamilies) {
    const TableId nat{family, Table::kNat};
    kernel.add_chain(nat, "KUBE-SERVICES");
    kernel.add_chain(nat, "KUBE-MARK-MASQ");
    kernel.append(nat, "KUBE-MARK-MASQ", std::string("-j MARK --set-xmark 0x4000/0x4000"));
  }
}

}  // namespace

Owner::Owner(double speed)
    : speed_(speed),
      driver_(ipvs_on_nft(), kube_proxy_has_synced),
      epoch_(driver_.world.now().mono - driver_.world.elapsed) {
  for (int turns = 0; turns < 100 && driver_.world.sinks.empty(); ++turns) {
    driver_.pass(milliseconds(100));
  }
  if (driver_.world.sinks.empty()) throw std::runtime_error("the loop asks for no Services");
  loop_ = driver_.world.sinks.back();
  thread_ = std::thread([this] { turn_until_stopped(); });
}

Owner::~Owner() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    news_.notify_all();
  }
  thread_.join();
}

api::ApiSink Owner::sink() {
  return [this](ApiEvent event) { take(std::move(event)); };
}

/// After a minute: the time until a client is wanted has passed by then.
milliseconds Owner::scaled(Clock::time_point real) const {
  return std::chrono::minutes(1) +
         std::chrono::duration_cast<milliseconds>((real - start_) * speed_);
}

void Owner::take(ApiEvent event) {
  const std::lock_guard lock(mutex_);
  auto* state = std::get_if<ApiState>(&event);
  const bool word = state != nullptr
                        ? std::exchange(bookmarks_, state->bookmarks) < state->bookmarks
                        : !std::holds_alternative<NodePodCidrs>(event);
  // Before it is posted, so that the loop never knows more than the judge.
  if (word) last_word_ = scaled(Clock::now());
  if (state != nullptr && state->last_word_at) {
    state->last_word_at = epoch_ + scaled(*state->last_word_at);
  }
  loop_(std::move(event));
  posted_ = true;
  news_.notify_all();
}

void Owner::turn_until_stopped() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      news_.wait_for(lock, milliseconds(2), [&] { return stopped_ || posted_; });
      if (stopped_) return;
      posted_ = false;
    }
    driver_.world.elapsed = std::max(driver_.world.elapsed, scaled(Clock::now()));
    driver_.loop->turn();
    if (driver_.world.published.empty()) continue;
    const std::lock_guard lock(mutex_);
    judge(driver_.world.last());
    latest_ = std::move(driver_.world.published.back());
    published_.notify_all();
    driver_.world.published.clear();
    driver_.world.lines.clear();
  }
}

/// With mutex_ held.
void Owner::judge(const Snapshot& snapshot) {
  if (!broken_.empty()) return;
  if (!last_word_) {
    if (snapshot.ready()) broken_ = "ready before anything was listed";
    return;
  }
  const milliseconds age = driver_.world.elapsed - *last_word_;
  if (age <= kServicesStaleAfter) return;
  bool shown = false;
  for (const Check& check : snapshot.checks) {
    if (check.name != "api-server") continue;
    shown = !check.ok && check.detail.find("may be out of date") != std::string::npos;
  }
  if (shown && snapshot.services_stale) return;
  broken_ =
      "the last event is " + std::to_string(age.count()) + " ms old, and this is not reported";
}

bool Owner::wait_for(const std::function<bool(const Snapshot&)>& condition) {
  std::unique_lock lock(mutex_);
  return published_.wait_for(lock, std::chrono::minutes(1),
                             [&] { return latest_ && condition(*latest_); });
}

std::string Owner::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

}  // namespace nmanager::test
