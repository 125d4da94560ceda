#include "test/api_server/service_log.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <stdexcept>
#include <utility>

namespace nmanager::test {

namespace {

rapidjson::Document parsed(const std::string& json) {
  rapidjson::Document document;
  document.Parse(json.data(), json.size());
  if (document.HasParseError() || !document.IsObject()) {
    throw std::invalid_argument("not a JSON object: " + json.substr(0, 200));
  }
  return document;
}

template <class Json>
std::string written(const Json& json) {
  rapidjson::StringBuffer out;
  rapidjson::Writer writer(out);
  json.Accept(writer);
  return {out.GetString(), out.GetSize()};
}

void set_version(rapidjson::Document& object, Version version) {
  auto& allocator = object.GetAllocator();
  auto& metadata = object["metadata"];
  metadata.RemoveMember("resourceVersion");
  const std::string text = std::to_string(version);
  metadata.AddMember("resourceVersion", rapidjson::Value(text.c_str(), allocator), allocator);
}

std::string key_of(const rapidjson::Document& object) {
  const auto metadata = object.FindMember("metadata");
  if (metadata == object.MemberEnd() || !metadata->value.IsObject() ||
      !metadata->value.HasMember("name")) {
    throw std::invalid_argument("an object without metadata.name");
  }
  const auto& meta = metadata->value;
  const std::string name = meta["name"].GetString();
  return meta.HasMember("namespace") ? meta["namespace"].GetString() + ("/" + name) : name;
}

/// As the selector "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless".
bool selects(const rapidjson::Document& object) {
  const auto& metadata = object["metadata"];
  if (!metadata.HasMember("labels") || !metadata["labels"].IsObject()) return true;
  const auto& labels = metadata["labels"];
  return !labels.HasMember("service.kubernetes.io/service-proxy-name") &&
         !labels.HasMember("service.kubernetes.io/headless");
}

}  // namespace

void ServiceLog::put(const std::string& json) {
  rapidjson::Document object = parsed(json);
  const std::string key = key_of(object);
  const bool selected = selects(object);
  const std::lock_guard lock(mutex_);
  set_version(object, ++version_);
  const auto found = objects_.find(key);
  const bool existed = found != objects_.end();
  Change change{version_, written(object), existed, true, existed && found->second.selected,
                selected};
  objects_[key] = {change.json, selected};
  changes_.push_back(std::move(change));
  changed_.notify_all();
}

bool ServiceLog::remove(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return false;
  rapidjson::Document object = parsed(found->second.json);
  set_version(object, ++version_);
  changes_.push_back({version_, written(object), true, false, found->second.selected, false});
  objects_.erase(found);
  changed_.notify_all();
  return true;
}

void ServiceLog::replay(const std::string& watch_line) {
  const rapidjson::Document event = parsed(watch_line);
  const std::string type = event["type"].GetString();
  const std::string object = written(event["object"]);
  if (type == "ADDED" || type == "MODIFIED") put(object);
  if (type == "DELETED") remove(key_of(parsed(object)));
}

void ServiceLog::compact() {
  const std::lock_guard lock(mutex_);
  changes_.clear();
  compacted_ = ++version_;
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

/// What a watcher is told, who sees only what its selector takes; nothing: it does not see this.
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
