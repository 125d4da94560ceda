#include "test/scenarios/node.h"
#include "test/support/skip.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "test/support/nft_listing.h"

namespace nmanager::test {

namespace {

/// Symbolic links with the plain names, to the variant's programs, for commands as recorded.
void link_programs(const std::filesystem::path& folder) {
  std::filesystem::create_directory(folder);
  for (const std::string tables : {"iptables", "ip6tables"}) {
    for (const std::string what : {"", "-save", "-restore"}) {
      std::filesystem::create_symlink("/usr/sbin/xtables-" + variant() + "-multi",
                                      folder / (tables + what));
    }
  }
}

bool is_ours(const std::string& line) {
  return line.find("NMANAGER") != std::string::npos;
}

/// Policies (":INPUT ACCEPT [7:420]") and jumps to KUBE-* count the traffic of the test itself.
std::string without_busy_counters(const std::string& line) {
  if (line.starts_with(':')) return line.substr(0, line.find(" ["));
  return line.find("-j KUBE-") == std::string::npos ? line : line.substr(line.find(' ') + 1);
}

}  // namespace

std::string backend() {
  const char* const name = std::getenv("TEST_BACKEND");
  return name != nullptr ? name : "iptables-legacy";
}

bool native() {
  return backend() == "nftables";
}

std::string variant() {
  return backend() == "iptables-legacy" ? "legacy" : "nft";
}

bool senseless_natively(const char* word) {
  if (native()) skip(std::string("nftables: ") + word);
  return native();
}

bool translate(const std::string& rules) {
  return rules.find(native() ? "dnat " : "-j DNAT") != std::string::npos;
}

bool drop_invalid(const std::string& rules) {
  return rules.find(native() ? "ct state invalid jump" : "--ctstate INVALID -j DROP") !=
         std::string::npos;
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

std::string to_json(const ServiceSpec& spec) {
  const auto list = [](const std::vector<std::string>& items, const auto& write) {
    std::string text = "[";
    for (const auto& item : items) text += (text.size() > 1 ? "," : "") + write(item);
    return text + "]";
  };
  const auto quoted = [](const std::string& text) { return '"' + text + '"'; };
  const auto port = [&](const std::string& text) {
    const auto colon = text.find(':');
    return R"({"name":")" + text + R"(","protocol":")" + text.substr(0, colon) + R"(","port":)" +
           text.substr(colon + 1) + "}";
  };
  const auto ingress = [](const std::string& ip) { return R"({"ip":")" + ip + R"("})"; };
  return R"({"metadata":{"namespace":"default","name":")" + spec.name +
         R"("},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","clusterIP":")" +
         spec.cluster_ips.front() + R"(","clusterIPs":)" + list(spec.cluster_ips, quoted) +
         R"(,"ports":)" + list(spec.ports, port) + R"(},"status":{"loadBalancer":{"ingress":)" +
         list(spec.ingress, ingress) + "}}}";
}

Node::Node() {
  std::string name = (std::filesystem::temp_directory_path() / "nmanager-node-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  folder_ = name;
  link_programs(folder_ + "/bin");
  setenv("XTABLES_LOCKFILE", (folder_ + "/xtables.lock").c_str(), 1);
  if (!usable()) return;
  must("ip link set lo up");
  api_.emplace();
  std::ofstream(folder_ + "/kubeconfig")
      << "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n"
      << "clusters: [{name: c, cluster: {server: '" << api_->url() << "'}}]\n";
}

Node::~Node() {
  api_.reset();
  unsetenv("XTABLES_LOCKFILE");
  std::filesystem::remove_all(folder_);
}

std::string Node::sh(const std::string& command, const std::string& input) const {
  return must("PATH=" + folder_ + "/bin:$PATH; " + command, input);
}

void Node::kube_proxy_syncs() const {
  for (const std::string tables : {"iptables", "ip6tables"}) {
    sh(tables + "-restore --noflush",
       "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n"
       "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n-A PREROUTING -j KUBE-SERVICES\n"
       "COMMIT\n");
  }
}

namespace {

template <class Keep>
std::string saved(const Node& node, const Keep& keep) {
  std::string command;
  for (const std::string table : {"filter", "nat", "mangle"}) {
    command += "iptables-save -c -t " + table + "; ip6tables-save -c -t " + table + ";";
  }
  std::istringstream lines(node.sh(command));
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#') && keep(line)) result += without_busy_counters(line) + "\n";
  }
  return result;
}

}  // namespace

std::string Node::our_rules() const {
  if (native()) return listing_by_line(run("nft list table inet nmanager 2>/dev/null").output);
  std::istringstream lines(saved(*this, is_ours));
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    // "[3:180] -A ...": our own counters may change with the traffic.
    result += (line.starts_with('[') ? line.substr(line.find(' ') + 1) : line) + "\n";
  }
  return result;
}

std::string Node::foreign_rules() const {
  return saved(*this, [](const std::string& line) { return !is_ours(line); });
}

std::string Node::flush_command(const std::string& table, const std::string& chain) {
  return native() ? "nft flush chain inet nmanager " + chain
                  : "iptables -t " + table + " -F " + chain;
}

std::string Node::misplaced() const {
  std::string wrong;
  const std::string chains = our_rules();
  const bool forward = chains.find("NMANAGER_FORWARD") != std::string::npos;
  if (native()) {
    for (const std::string base : {"type filter hook input priority filter; policy accept;",
                                   "type nat hook prerouting priority dstnat - 1; policy accept;",
                                   "type nat hook output priority -101; policy accept;"}) {
      if (chains.find(base) == std::string::npos) wrong += "no " + base + "\n";
    }
    const std::string base = "type filter hook forward priority filter; policy accept;";
    if (forward && chains.find(base) == std::string::npos) wrong += "no " + base + "\n";
    return wrong;
  }
  for (const std::string tables : {"iptables", "ip6tables"}) {
    std::vector<std::string> hooks{"filter INPUT NMANAGER_INPUT",
                                   "nat PREROUTING NMANAGER_PREROUTING",
                                   "nat OUTPUT NMANAGER_OUTPUT"};
    if (forward) hooks.emplace_back("filter FORWARD NMANAGER_FORWARD");
    for (const std::string& where : hooks) {
      std::istringstream words(where);
      std::string table, hook, chain;
      words >> table >> hook >> chain;
      std::istringstream lines(sh(tables + " -t " + table + " -S " + hook));
      int jumps = 0;
      bool behind = false;
      for (std::string line; std::getline(lines, line);) {
        if (line == "-A " + hook + " -j " + chain) ++jumps;
        if (line.find("KUBE-") != std::string::npos && jumps == 0) behind = true;
      }
      if (jumps != 1 || behind) {
        wrong += tables + " " + where + ": " + std::to_string(jumps) + " jumps" +
                 (behind ? ", behind KUBE-*" : "") + "\n";
      }
    }
  }
  return wrong;
}

std::vector<std::string> base_flags(const Node& node) {
  return {"--backend",       backend(),  "--kubeconfig",    node.folder() + "/kubeconfig",
          "--proxy-mode",    "ipvs",     "--pod-cidr-ipv4", "10.244.0.0/16",
          "--pod-cidr-ipv6", "fd44::/48"};
}

CommandResult nmanager(const Node& node, const std::string& command) {
  return run("cd " + node.folder() + " && " + NMANAGER_BINARY + " " + command);
}

}  // namespace nmanager::test
