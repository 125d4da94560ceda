#include "plugin/services/decode.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "hooks/values/text.h"
#include "plugin/services/json.h"

namespace nmanager::services {

namespace {

using json::Value;

constexpr std::size_t kMaxItems = 10'000;  // of one list in one Service; the API allows fewer

std::string indexed(std::string_view field, std::size_t index) {
  return std::string(field) + '[' + std::to_string(index) + ']';
}

/// Reads the fields of one Service object; a field that cannot be read is listed in
/// service_.malformed.
class ServiceReader {
 public:
  explicit ServiceReader(Value object) : object_(object) {}

  Service read(std::string key) {
    service_.key = std::move(key);
    const auto spec = member("spec", object_);
    const auto status = member("status", object_);
    if (spec) read_spec(*spec);
    if (status) read_status(*status);
    auto& ports = service_.ports;
    std::ranges::sort(ports);
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    return std::move(service_);
  }

 private:
  void bad(std::string field) { service_.malformed.push_back(std::move(field)); }

  /// A member that is an object; absent and null are valid.
  std::optional<Value> member(const char* name, Value parent) {
    const auto value = json::find(parent, name);
    if (!value || value->is_object()) return value;
    bad(name);
    return std::nullopt;
  }

  std::string_view text(Value parent, const char* name, const char* field) {
    const auto value = json::find(parent, name);
    if (!value) return {};
    const auto result = json::text(*value);
    if (!result) bad(field);
    return result.value_or(std::string_view());
  }

  template <class Each>
  void each(Value parent, const char* name, std::string_view field, Each take) {
    const auto value = json::find(parent, name);
    if (!value) return;
    const auto list = json::array(*value);
    if (!list) return bad(std::string(field));
    std::size_t index = 0;
    for (const Value item : *list) {
      if (index == kMaxItems) return bad(indexed(field, kMaxItems));
      take(item, indexed(field, index++));
    }
  }

  /// nullopt: it is noted as bad.
  std::optional<Address> address(Value value, const std::string& field) {
    const auto text = json::text(value);
    auto address = text ? Address::parse_sloppy(*text) : std::nullopt;
    if (!address) bad(field);
    return address;
  }

  void read_spec(Value spec) {
    read_type(text(spec, "type", "spec.type"));
    service_.external_policy_local =
        text(spec, "externalTrafficPolicy", "spec.externalTrafficPolicy") == "Local";
    service_.internal_policy_local =
        text(spec, "internalTrafficPolicy", "spec.internalTrafficPolicy") == "Local";
    read_cluster_ips(spec);
    each(spec, "externalIPs", "spec.externalIPs", [&](Value ip, const std::string& field) {
      if (const auto read = address(ip, field)) service_.external_ips.push_back(*read);
    });
    each(spec, "loadBalancerSourceRanges", "spec.loadBalancerSourceRanges",
         [&](Value range, const std::string& field) { add_range(range, field); });
    each(spec, "ports", "spec.ports",
         [&](Value port, const std::string& field) { add_port(port, field); });
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

  void read_cluster_ips(Value spec) {
    const auto value = json::find(spec, "clusterIPs");
    const auto list = value ? json::array(*value) : std::nullopt;
    const auto take = [&](Value ip, const std::string& field) {
      const auto text = json::text(ip);
      if (text == "None") {
        service_.headless = true;
      } else if (text != "") {
        if (const auto read = address(ip, field)) service_.cluster_ips.add(*read);
      }
    };
    if (list && list->size() > 0) return each(spec, "clusterIPs", "spec.clusterIPs", take);
    if (const auto single = json::find(spec, "clusterIP")) take(*single, "spec.clusterIP");
  }

  /// The API server allows white space around a range, including line breaks.
  void add_range(Value value, const std::string& field) {
    const auto text = json::text(value);
    const auto prefix = text ? Prefix::parse_sloppy(trimmed(*text)) : std::nullopt;
    if (prefix) {
      service_.source_ranges.push_back(*prefix);
    } else {
      bad(field);
    }
  }

  void add_port(Value value, const std::string& field) {
    if (!value.is_object()) return bad(field);
    const auto found = json::find(value, "port");
    const auto number = found ? json::integer(*found) : std::nullopt;
    if (!number || *number < 1 || *number > std::numeric_limits<std::uint16_t>::max()) {
      return bad(field + ".port");
    }
    ServicePort port{Protocol::kTcp, static_cast<std::uint16_t>(*number)};
    const auto protocol = json::find(value, "protocol");
    const std::string_view name = protocol ? json::text(*protocol).value_or("") : "TCP";
    if (name == "UDP") {
      port.protocol = Protocol::kUdp;
    } else if (name == "SCTP") {
      port.protocol = Protocol::kSctp;
    } else if (name != "TCP") {
      return bad(field + ".protocol");
    }
    service_.ports.push_back(port);
  }

  void read_status(Value status) {
    const auto balancer = member("loadBalancer", status);
    if (!balancer) return;
    each(*balancer, "ingress", "status.loadBalancer.ingress",
         [&](Value ingress, const std::string& field) { add_ingress(ingress, field); });
  }

  void add_ingress(Value value, const std::string& field) {
    if (!value.is_object()) return bad(field);
    const auto ip = json::find(value, "ip");
    if (!ip || json::text(*ip) == "") {
      if (service_.ingress_without_ip < std::numeric_limits<std::uint8_t>::max()) {
        ++service_.ingress_without_ip;
      }
      return;
    }
    const auto text = json::text(*ip);
    const auto address = text ? Address::parse_sloppy(*text) : std::nullopt;
    if (!address) return bad(field + ".ip");
    const auto mode = json::find(value, "ipMode");
    service_.ingress.push_back({*address, !mode || json::text(*mode) == "VIP"});
  }

  Value object_;
  Service service_;
};

/// RFC 1123, as Kubernetes validates namespaces and the names of Services (before 1.34 these had to
/// begin with a letter). A name that is not a label cannot come from an API server, and must not be
/// copied into a rule, log or response.
bool is_dns_label(std::string_view name) {
  constexpr std::size_t kMost = 63;
  const auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= kMost && std::ranges::all_of(name, inner) &&
         name.front() != '-' && name.back() != '-';
}

/// "namespace/name", or the reason why there is none.
std::variant<std::string, Undecodable> key_of(Value object) {
  const auto metadata = json::find(object, "metadata");
  if (!metadata || !metadata->is_object()) return Undecodable{"", "metadata is missing"};
  const std::string_view ns = json::text(*metadata, "namespace");
  const std::string_view name = json::text(*metadata, "name");
  if (name.empty()) return Undecodable{"", "metadata.name is missing or not a string"};
  if (!is_dns_label(name)) {
    return Undecodable{"", "metadata.name " + in_quotes(name) + " is not a valid Service name"};
  }
  if (ns.empty()) {
    return Undecodable{"", "metadata.namespace of " + std::string(name) + " is missing"};
  }
  if (!is_dns_label(ns)) {
    return Undecodable{"",
                       "metadata.namespace " + in_quotes(ns) + " is not a valid namespace name"};
  }
  return std::string(ns) + '/' + std::string(name);
}

std::variant<Service, Undecodable> service_of(Value object) {
  if (!object.is_object()) return Undecodable{"", "the object is not a JSON object"};
  auto key = key_of(object);
  if (auto* bad = std::get_if<Undecodable>(&key)) return std::move(*bad);
  const auto& name = std::get<std::string>(key);
  const std::string_view kind = json::text(object, "kind");  // absent in a ServiceList
  if (!kind.empty() && kind != "Service") {
    return Undecodable{name, "kind is " + in_quotes(kind)};
  }
  const auto spec = json::find(object, "spec");
  if (!spec || !spec->is_object()) return Undecodable{name, "spec is missing"};
  return ServiceReader(object).read(name);
}

Error bad_input(std::string what) {
  return {ErrorKind::kBadInput, std::move(what)};
}

bool names_too_large_version(Value status) {
  const auto details = json::find(status, "details");
  const auto causes = details ? json::find(*details, "causes") : std::nullopt;
  const auto list = causes ? json::array(*causes) : std::nullopt;
  if (list) {
    for (const Value cause : *list) {
      if (json::text(cause, "reason") == "ResourceVersionTooLarge") return true;
    }
  }
  // Servers before 1.18 report it only in the message.
  return json::text(status, "message").find("Too large resource version") != std::string_view::npos;
}

ApiStatus status_of(Value object) {
  ApiStatus status;
  const auto found = json::find(object, "code");
  const auto code = found ? json::integer(*found) : std::nullopt;
  if (code && *code >= 0 && *code < 1000) status.code = static_cast<int>(*code);
  status.reason = json::printable(json::text(object, "reason"));
  status.message = json::printable(json::text(object, "message"));
  status.too_large_version = names_too_large_version(object);
  return status;
}

WatchBody changed(Value object) {
  auto service = service_of(object);
  if (auto* bad = std::get_if<Undecodable>(&service)) return std::move(*bad);
  return WatchAddedOrModified{std::move(std::get<Service>(service))};
}

WatchBody deleted(Value object) {
  auto key = key_of(object);
  if (auto* bad = std::get_if<Undecodable>(&key)) return std::move(*bad);
  return WatchDeleted{std::move(std::get<std::string>(key))};
}

WatchBookmark bookmark(Value object) {
  const auto metadata = json::find(object, "metadata");
  const auto annotations = metadata ? json::find(*metadata, "annotations") : std::nullopt;
  return {annotations && json::text(*annotations, "k8s.io/initial-events-end") == "true"};
}

}  // namespace

bool ApiStatus::expired() const {
  return code == 410 || reason == "Expired" || reason == "Gone";
}

void PageDecoder::take(std::string_view item) {
  const json::Document document(item);
  auto service =
      document.problem() ? Undecodable{"", *document.problem()} : service_of(document.root());
  if (auto* bad = std::get_if<Undecodable>(&service)) {
    if (page_.undecodable.size() <= kMaxUndecodable) page_.undecodable.push_back(std::move(*bad));
  } else if (page_.services.size() <= kMaxServices) {
    page_.services.push_back(std::move(std::get<Service>(service)));
  }
}

bool PageDecoder::add(std::string_view piece) {
  followed_ = followed_ && splitter_.add(piece, [this](std::string_view item) { take(item); });
  return followed_ && page_.undecodable.size() <= kMaxUndecodable &&
         page_.services.size() <= kMaxServices;
}

Result<ServicePage> PageDecoder::end() {
  if (page_.undecodable.size() > kMaxUndecodable) {
    return bad_input(
        "list of Services: more than " + std::to_string(kMaxUndecodable) +
        " objects that cannot be read, the last one: " + page_.undecodable.back().reason);
  }
  if (page_.services.size() > kMaxServices) {
    return bad_input("list of Services: more than " + std::to_string(kMaxServices));
  }
  if (!followed_) return bad_input("list of Services: malformed JSON, or an object is too large");
  if (!splitter_.complete()) return bad_input("list of Services: truncated");
  const json::Document document(splitter_.frame());
  if (document.problem()) return bad_input("list of Services: " + *document.problem());
  const Value root = document.root();
  if (!root.is_object()) return bad_input("list of Services: not a JSON object");
  const std::string_view kind = json::text(root, "kind");
  if (kind != "ServiceList" && kind != "List") {
    return bad_input("list of Services: kind is " + in_quotes(kind));
  }
  if (const auto metadata = json::find(root, "metadata")) {
    page_.resource_version = json::text(*metadata, "resourceVersion");
    page_.continue_token = json::text(*metadata, "continue");
  }
  const auto items = json::find(root, "items");
  if (items && !items->is_array()) return bad_input("list of Services: items is not a list");
  return std::move(page_);
}

Result<ServicePage> decode_list(std::string_view text) {
  PageDecoder decoder;
  (void)decoder.add(text);  // end() returns the error
  return decoder.end();
}

Result<WatchEvent> decode_watch_line(std::string_view text) {
  const json::Document document(text);
  if (document.problem()) return bad_input("watch event: " + *document.problem());
  const Value root = document.root();
  if (!root.is_object()) return bad_input("watch event: not a JSON object");
  const std::string_view type = json::text(root, "type");
  const auto object = json::find(root, "object");
  if (!object || !object->is_object()) return bad_input("watch event without an object");
  WatchEvent event;
  if (const auto metadata = json::find(*object, "metadata")) {
    event.resource_version = json::text(*metadata, "resourceVersion");
  }
  if (type == "ADDED" || type == "MODIFIED") {
    event.body = changed(*object);
  } else if (type == "DELETED") {
    event.body = deleted(*object);
  } else if (type == "BOOKMARK") {
    event.body = bookmark(*object);
  } else if (type == "ERROR") {
    event.body = status_of(*object);
    event.resource_version.clear();
  } else {
    return bad_input("watch event of unknown type " + in_quotes(type));
  }
  return event;
}

Result<std::vector<Prefix>> decode_node_pod_cidrs(std::string_view text) {
  const json::Document document(text);
  if (document.problem()) return bad_input("list of Nodes: " + *document.problem());
  const Value root = document.root();
  if (json::text(root, "kind") != "NodeList") return bad_input("kind is not NodeList");
  const auto items = json::find(root, "items");
  const auto nodes = items ? json::array(*items) : std::nullopt;
  Value node;
  if (!nodes || nodes->at(0).get(node) || !node.is_object()) {
    return bad_input("list of Nodes: it has no Node");
  }
  std::vector<Prefix> cidrs;
  const auto add = [&](std::string_view cidr) {
    if (const auto block = Prefix::parse(cidr)) cidrs.push_back(*block);
  };
  const auto spec = json::find(node, "spec");
  if (!spec || !spec->is_object()) return cidrs;
  const auto value = json::find(*spec, "podCIDRs");
  const auto all = value ? json::array(*value) : std::nullopt;
  if (!all) {
    add(json::text(*spec, "podCIDR"));
    return cidrs;
  }
  for (const Value one : *all) add(json::text(one).value_or(""));
  return cidrs;
}

ApiStatus decode_status(std::string_view text) {
  const json::Document document(text);
  if (!document.problem() && document.root().is_object()) {
    ApiStatus status = status_of(document.root());
    if (!status.message.empty()) return status;
  }
  ApiStatus status;
  status.message = json::printable(text);
  status.too_large_version = text.find("Too large resource version") != std::string_view::npos;
  return status;
}

}  // namespace nmanager::services
