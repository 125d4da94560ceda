#include "plugin/services/decode.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "plugin/services/json.h"

namespace nmanager::services {

namespace {

using json::Value;

constexpr std::size_t kMaxItems =
    10'000;  // of one list inside one Service; the API allows far fewer

std::string indexed(std::string_view field, std::size_t index) {
  return std::string(field) + '[' + std::to_string(index) + ']';
}

/// Fields of one Service object; what cannot be read is named in service_.malformed.
class ServiceReader {
 public:
  explicit ServiceReader(const Value& object) : object_(object) {}

  Service read(std::string key) {
    service_.key = std::move(key);
    const Value* spec = member("spec", object_);
    const Value* status = member("status", object_);
    if (spec != nullptr) read_spec(*spec);
    if (status != nullptr) read_status(*status);
    std::ranges::sort(service_.ports);
    auto& ports = service_.ports;
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    return std::move(service_);
  }

 private:
  void bad(std::string field) { service_.malformed.push_back(std::move(field)); }

  /// An object-valued member; absent and null are fine.
  const Value* member(const char* name, const Value& parent) {
    const Value* value = json::find(parent, name);
    if (value == nullptr) return nullptr;
    if (value->IsObject()) return value;
    bad(name);
    return nullptr;
  }

  std::string_view text(const Value& parent, const char* name, const char* field) {
    const Value* value = json::find(parent, name);
    if (value == nullptr) return {};
    if (value->IsString()) return json::view(*value);
    bad(field);
    return {};
  }

  template <class Each>
  void each(const Value& parent, const char* name, std::string_view field, Each take) {
    const Value* list = json::find(parent, name);
    if (list == nullptr) return;
    if (!list->IsArray()) return bad(std::string(field));
    const auto size = std::min<std::size_t>(list->Size(), kMaxItems);
    for (std::size_t i = 0; i < size; ++i) {
      take((*list)[static_cast<rapidjson::SizeType>(i)], indexed(field, i));
    }
    if (list->Size() > kMaxItems) bad(indexed(field, kMaxItems));
  }

  void add_address(std::vector<Address>& to, const Value& value, const std::string& field) {
    const auto address = value.IsString() ? Address::parse(json::view(value)) : std::nullopt;
    if (address) {
      to.push_back(*address);
    } else {
      bad(field);
    }
  }

  void read_spec(const Value& spec) {
    read_type(text(spec, "type", "spec.type"));
    service_.external_policy_local =
        text(spec, "externalTrafficPolicy", "spec.externalTrafficPolicy") == "Local";
    service_.internal_policy_local =
        text(spec, "internalTrafficPolicy", "spec.internalTrafficPolicy") == "Local";
    read_cluster_ips(spec);
    each(spec, "externalIPs", "spec.externalIPs", [&](const Value& ip, const std::string& field) {
      add_address(service_.external_ips, ip, field);
    });
    each(spec, "loadBalancerSourceRanges", "spec.loadBalancerSourceRanges",
         [&](const Value& range, const std::string& field) { add_range(range, field); });
    each(spec, "ports", "spec.ports",
         [&](const Value& port, const std::string& field) { add_port(port, field); });
  }

  void read_type(std::string_view type) {
    if (type.empty() || type == "ClusterIP") {
      service_.type = ServiceType::kClusterIp;
    } else if (type == "NodePort") {
      service_.type = ServiceType::kNodePort;
    } else if (type == "LoadBalancer") {
      service_.type = ServiceType::kLoadBalancer;
    } else if (type == "ExternalName") {
      service_.type = ServiceType::kExternalName;
    } else {
      bad("spec.type");
    }
  }

  void read_cluster_ips(const Value& spec) {
    const Value* list = json::find(spec, "clusterIPs");
    const bool listed = list != nullptr && list->IsArray() && !list->Empty();
    const auto take = [&](const Value& ip, const std::string& field) {
      if (ip.IsString() && json::view(ip) == "None") {
        service_.headless = true;
      } else if (!ip.IsString() || !json::view(ip).empty()) {
        add_address(service_.cluster_ips, ip, field);
      }
    };
    if (listed) return each(spec, "clusterIPs", "spec.clusterIPs", take);
    if (const Value* single = json::find(spec, "clusterIP")) take(*single, "spec.clusterIP");
  }

  /// The API server allows blanks around a range.
  void add_range(const Value& value, const std::string& field) {
    std::string_view range = value.IsString() ? json::view(value) : std::string_view();
    while (!range.empty() && range.front() == ' ') range.remove_prefix(1);
    while (!range.empty() && range.back() == ' ') range.remove_suffix(1);
    const auto prefix = Prefix::parse(range);
    if (prefix) {
      service_.source_ranges.push_back(*prefix);
    } else {
      bad(field);
    }
  }

  void add_port(const Value& value, const std::string& field) {
    if (!value.IsObject()) return bad(field);
    const Value* number = json::find(value, "port");
    if (number == nullptr || !number->IsInt() || number->GetInt() < 1 ||
        number->GetInt() > std::numeric_limits<std::uint16_t>::max()) {
      return bad(field + ".port");
    }
    ServicePort port{Protocol::kTcp, static_cast<std::uint16_t>(number->GetInt())};
    const Value* protocol = json::find(value, "protocol");
    const std::string_view name = protocol == nullptr    ? "TCP"
                                  : protocol->IsString() ? json::view(*protocol)
                                                         : "";
    if (name == "UDP") {
      port.protocol = Protocol::kUdp;
    } else if (name == "SCTP") {
      port.protocol = Protocol::kSctp;
    } else if (name != "TCP") {
      return bad(field + ".protocol");
    }
    service_.ports.push_back(port);
  }

  void read_status(const Value& status) {
    const Value* balancer = member("loadBalancer", status);
    if (balancer == nullptr) return;
    each(*balancer, "ingress", "status.loadBalancer.ingress",
         [&](const Value& ingress, const std::string& field) { add_ingress(ingress, field); });
  }

  void add_ingress(const Value& value, const std::string& field) {
    if (!value.IsObject()) return bad(field);
    const Value* ip = json::find(value, "ip");
    if (ip == nullptr || (ip->IsString() && json::view(*ip).empty())) {
      if (service_.ingress_without_ip < std::numeric_limits<std::uint8_t>::max()) {
        ++service_.ingress_without_ip;
      }
      return;
    }
    const auto address = ip->IsString() ? Address::parse(json::view(*ip)) : std::nullopt;
    if (!address) return bad(field + ".ip");
    const Value* mode = json::find(value, "ipMode");
    const bool vip = mode == nullptr || (mode->IsString() && json::view(*mode) == "VIP");
    service_.ingress.push_back({*address, vip});
  }

  const Value& object_;
  Service service_;
};

/// "namespace/name", or what is known of it with the reason it is not enough.
std::variant<std::string, Undecodable> key_of(const Value& object) {
  if (!object.IsObject()) return Undecodable{"", "the object is not a JSON object"};
  const Value* metadata = json::find(object, "metadata");
  if (metadata == nullptr || !metadata->IsObject()) return Undecodable{"", "metadata is missing"};
  const std::string_view ns = json::text(*metadata, "namespace");
  const std::string_view name = json::text(*metadata, "name");
  std::string key = std::string(ns) + '/' + std::string(name);
  if (name.empty()) return Undecodable{"", "metadata.name is missing or no text"};
  if (ns.empty())
    return Undecodable{"", "metadata.namespace of " + std::string(name) + " is missing"};
  constexpr std::size_t kMaxKey = 63 + 1 + 253;  // RFC 1123 label, and subdomain to be generous
  if (key.size() > kMaxKey) return Undecodable{"", "metadata.name is too long"};
  return key;
}

std::variant<Service, Undecodable> service_of(const Value& object) {
  auto key = key_of(object);
  if (auto* bad = std::get_if<Undecodable>(&key)) return std::move(*bad);
  const auto& name = std::get<std::string>(key);
  const Value* spec = json::find(object, "spec");
  if (spec == nullptr || !spec->IsObject()) return Undecodable{name, "spec is missing"};
  return ServiceReader(object).read(name);
}

Error bad_input(std::string what) {
  return {ErrorKind::kBadInput, std::move(what)};
}

WatchError error_of(const Value& object) {
  WatchError error;
  const Value* code = json::find(object, "code");
  if (code != nullptr && code->IsInt()) error.code = code->GetInt();
  error.reason = json::text(object, "reason");
  error.message = json::text(object, "message");
  return error;
}

WatchBody changed(const Value& object) {
  auto service = service_of(object);
  if (auto* bad = std::get_if<Undecodable>(&service)) return std::move(*bad);
  return WatchAddedOrModified{std::move(std::get<Service>(service))};
}

WatchBody deleted(const Value& object) {
  auto key = key_of(object);
  if (auto* bad = std::get_if<Undecodable>(&key)) return std::move(*bad);
  return WatchDeleted{std::move(std::get<std::string>(key))};
}

}  // namespace

Result<ServicePage> decode_list(std::string text) {
  json::Document document(std::move(text));
  if (const auto problem = document.problem()) return bad_input("list of Services: " + *problem);
  const Value& root = document.root();
  if (!root.IsObject()) return bad_input("list of Services: not a JSON object");
  const std::string_view kind = json::text(root, "kind");
  if (kind != "ServiceList") {
    return bad_input("list of Services: kind is '" + json::printable(kind) + "'");
  }
  ServicePage page;
  if (const Value* metadata = json::find(root, "metadata"); metadata && metadata->IsObject()) {
    page.resource_version = json::text(*metadata, "resourceVersion");
    page.continue_token = json::text(*metadata, "continue");
  }
  const Value* items = json::find(root, "items");
  if (items == nullptr) return page;
  if (!items->IsArray()) return bad_input("list of Services: items is not a list");
  page.services.reserve(items->Size());
  for (const Value& item : items->GetArray()) {
    auto service = service_of(item);
    if (auto* bad = std::get_if<Undecodable>(&service)) {
      page.undecodable.push_back(std::move(*bad));
    } else {
      page.services.push_back(std::move(std::get<Service>(service)));
    }
  }
  return page;
}

Result<WatchEvent> decode_watch_line(std::string text) {
  json::Document document(std::move(text));
  if (const auto problem = document.problem()) return bad_input("watch event: " + *problem);
  const Value& root = document.root();
  if (!root.IsObject()) return bad_input("watch event: not a JSON object");
  const std::string_view type = json::text(root, "type");
  const Value* object = json::find(root, "object");
  if (object == nullptr || !object->IsObject()) return bad_input("watch event without an object");
  WatchEvent event;
  if (const Value* metadata = json::find(*object, "metadata"); metadata && metadata->IsObject()) {
    event.resource_version = json::text(*metadata, "resourceVersion");
  }
  if (type == "ADDED" || type == "MODIFIED") {
    event.body = changed(*object);
  } else if (type == "DELETED") {
    event.body = deleted(*object);
  } else if (type == "BOOKMARK") {
    event.body = WatchBookmark{};
  } else if (type == "ERROR") {
    event.body = error_of(*object);
    event.resource_version.clear();
  } else {
    return bad_input("watch event of unknown type '" + json::printable(type) + "'");
  }
  return event;
}

Result<std::vector<Prefix>> decode_node_pod_cidrs(std::string text) {
  json::Document document(std::move(text));
  if (const auto problem = document.problem()) return bad_input("list of Nodes: " + *problem);
  const Value& root = document.root();
  if (!root.IsObject() || json::text(root, "kind") != "NodeList") {
    return bad_input("not a list of Nodes");
  }
  const Value* nodes = json::find(root, "items");
  if (nodes == nullptr || !nodes->IsArray() || nodes->Empty() || !(*nodes)[0].IsObject()) {
    return bad_input("a list without a Node");
  }
  std::vector<Prefix> cidrs;
  const auto add = [&](std::string_view cidr) {
    if (const auto block = Prefix::parse(cidr)) cidrs.push_back(*block);
  };
  const Value* spec = json::find((*nodes)[0], "spec");
  if (spec == nullptr || !spec->IsObject()) return cidrs;
  const Value* all = json::find(*spec, "podCIDRs");
  if (all == nullptr || !all->IsArray()) {
    add(json::text(*spec, "podCIDR"));
    return cidrs;
  }
  for (const Value& one : all->GetArray()) {
    if (one.IsString()) add(json::view(one));
  }
  return cidrs;
}

std::string decode_status_message(std::string text) {
  const std::string start = json::printable(text);
  json::Document document(std::move(text));
  if (document.problem() || !document.root().IsObject()) return start;
  const std::string_view message = json::text(document.root(), "message");
  return message.empty() ? start : json::printable(message);
}

}  // namespace nmanager::services
