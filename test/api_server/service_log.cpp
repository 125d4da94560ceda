#include "test/api_server/service_log.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace nmanager::test {

namespace {

using Json = nlohmann::ordered_json;

Json parsed(const std::string& json) {
  Json object = Json::parse(json, nullptr, false);
  if (!object.is_object()) {
    throw std::invalid_argument("not a JSON object: " + json.substr(0, 200));
  }
  return object;
}

std::string key_of(const Json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->contains("name")) {
    throw std::invalid_argument("the object has no metadata.name");
  }
  const std::string name = metadata->at("name");
  return metadata->contains("namespace")
             ? metadata->at("namespace").get<std::string>() + ("/" + name)
             : name;
}

std::string with_version(Json& object, Version version) {
  object["metadata"]["resourceVersion"] = std::to_string(version);
  return object.dump();
}

/// Like the selector "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless".
bool selects(const Json& object) {
  const Json labels = object["metadata"].value("labels", Json::object());
  return !labels.contains("service.kubernetes.io/service-proxy-name") &&
         !labels.contains("service.kubernetes.io/headless");
}

}  // namespace

void ServiceLog::put(const std::string& json) {
  Json object = parsed(json);
  const std::string key = key_of(object);
  const bool selected = selects(object);
  const std::lock_guard lock(mutex_);
  const Version version = ++version_;
  const auto found = objects_.find(key);
  const bool existed = found != objects_.end();
  Change change{version, with_version(object, version),     existed,
                true,    existed && found->second.selected, selected};
  objects_[key] = {change.json, selected};
  changes_.push_back(std::move(change));
  changed_.notify_all();
}

bool ServiceLog::remove(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return false;
  Json object = parsed(found->second.json);
  const Version version = ++version_;
  changes_.push_back(
      {version, with_version(object, version), true, false, found->second.selected, false});
  objects_.erase(found);
  changed_.notify_all();
  return true;
}

void ServiceLog::replay(const std::string& watch_line) {
  const Json event = parsed(watch_line);
  const std::string type = event["type"];
  const Json& object = event["object"];
  if (type == "ADDED" || type == "MODIFIED") put(object.dump());
  if (type == "DELETED") remove(key_of(object));
}

void ServiceLog::compact() {
  const std::lock_guard lock(mutex_);
  changes_.clear();
  compacted_ = ++version_;
  changed_.notify_all();
}

void ServiceLog::rewind(Version version) {
  const std::lock_guard lock(mutex_);
  std::erase_if(changes_, [&](const Change& change) { return change.version > version; });
  version_ = version;
  changed_.notify_all();
}

Version ServiceLog::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

LogPage ServiceLog::page(const std::string& after, std::size_t limit, bool selected) const {
  const std::lock_guard lock(mutex_);
  LogPage page;
  page.version = version_;
  std::string last;
  for (auto it = objects_.upper_bound(after); it != objects_.end(); ++it) {
    if (selected && !it->second.selected) continue;
    if (limit != 0 && page.items.size() == limit) {
      page.next = last;
      ++page.remaining;
      continue;
    }
    page.items.push_back(it->second.json);
    last = it->first;
  }
  return page;
}

/// The event type for a watcher that sees only objects of its selector; nullopt: it does not see
/// the change.
std::optional<std::string_view> ServiceLog::type_of(const Change& change, bool selected) {
  const bool before = change.existed && (!selected || change.selected_before);
  const bool after = change.exists && (!selected || change.selected_after);
  if (before && after) return "MODIFIED";
  if (before) return "DELETED";
  if (after) return "ADDED";
  return std::nullopt;
}

std::optional<LogEvents> ServiceLog::events_since(Version since, bool selected,
                                                  std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience,
                    [&] { return stopped_ || version_ > since || since < compacted_; });
  if (since < compacted_) return std::nullopt;
  LogEvents result;
  result.version = version_;
  for (const Change& change : changes_) {
    if (change.version <= since) continue;
    if (const auto type = type_of(change, selected)) {
      result.events.push_back({change.version, *type, change.json});
    }
  }
  return result;
}

void ServiceLog::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace nmanager::test
