#include "plugin/run/service_file.h"

#include <yaml-cpp/yaml.h>

#include <iostream>
#include <iterator>
#include <utility>

#include "hooks/sys/small_file.h"
#include "hooks/values/text.h"
#include "plugin/services/decode.h"

namespace nmanager::run {

namespace {

constexpr std::size_t kMostBytes = std::size_t{256} << 20;  // 40,000 Services have 80 MB

Result<std::string> read_text(const std::string& path) {
  if (path != "-") return sys::read_small_file(path, kMostBytes);
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  if (text.size() > kMostBytes) return Error{ErrorKind::kBadInput, "standard input is too large"};
  return text;
}

/// Converts YAML's plain scalars to JSON values; quoted ones stay text.
void add_scalar(const YAML::Node& node, std::string& json) {
  const std::string& text = node.Scalar();
  const bool plain = node.Tag() == "?";
  long long number = 0;
  const bool literal = plain && (text == "true" || text == "false" ||
                                 YAML::convert<long long>::decode(node, number));
  json += literal ? text : '"' + json_escaped(text) + '"';
}

void add_json(const YAML::Node& node, std::string& json, int depth) {
  constexpr int kDeepest = 64;
  if (depth > kDeepest) throw YAML::Exception(node.Mark(), "nested too deep");
  if (node.IsScalar()) return add_scalar(node, json);
  if (!node.IsSequence() && !node.IsMap()) {
    json += "null";
    return;
  }
  const bool map = node.IsMap();
  json += map ? '{' : '[';
  bool first = true;
  for (const auto& child : node) {
    if (!std::exchange(first, false)) json += ',';
    if (map) json += '"' + json_escaped(child.first.Scalar()) + "\":";
    add_json(map ? child.second : YAML::Node(child), json, depth + 1);
  }
  json += map ? '}' : ']';
}

/// A ServiceList with the Services of a kubectl List, or with a single Service.
Result<std::string> as_service_list(const std::string& text, std::vector<std::string>& skipped) {
  try {
    const YAML::Node root = YAML::Load(text + "\n#");  // see settings/kube_proxy_config.cpp
    if (!root.IsMap()) return Error{ErrorKind::kBadInput, "not a list of Services"};
    const std::string kind = root["kind"] ? root["kind"].as<std::string>("") : "";
    std::vector<YAML::Node> items;
    if (kind == "Service") {
      items.push_back(root);
    } else if (kind == "List" || kind == "ServiceList") {
      for (const YAML::Node& item : root["items"]) items.push_back(item);
    } else {
      return Error{ErrorKind::kBadInput,
                   "kind is " + in_quotes(kind) + ", not ServiceList or List"};
    }
    std::string json = R"({"kind":"ServiceList","metadata":{"resourceVersion":"0"},"items":[)";
    bool first = true;
    for (const YAML::Node& item : items) {
      const std::string item_kind =
          item.IsMap() && item["kind"] ? item["kind"].as<std::string>("") : "Service";
      if (item_kind != "Service") {
        skipped.push_back("an object of kind " + in_quotes(item_kind) + " is skipped");
        continue;
      }
      if (!std::exchange(first, false)) json += ',';
      add_json(item, json, 0);
    }
    return json + "]}";
  } catch (const std::exception& error) {
    return Error{ErrorKind::kBadInput, "neither JSON nor YAML: " + one_line(error.what())};
  }
}

}  // namespace

Result<ServicesListed> read_services(const std::string& path, std::vector<std::string>& skipped) {
  const std::string name = path == "-" ? "standard input" : path;
  auto text = read_text(path);
  if (!text) return text.error();
  auto page = services::decode_list(*text);
  if (!page) {
    auto list = as_service_list(*text, skipped);
    if (!list) return Error{list.error().kind, name + ": " + list.error().message};
    page = services::decode_list(std::move(*list));
  }
  if (!page) return Error{page.error().kind, name + ": " + page.error().message};
  for (const services::Undecodable& bad : page->undecodable) {
    skipped.push_back("Service " + one_line(bad.key) + " is skipped: " + bad.reason);
  }
  return ServicesListed{std::move(page->services), page->resource_version};
}

}  // namespace nmanager::run
