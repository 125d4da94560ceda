// Replays the recorded calls of real kube-proxies while nmanager runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "test/scenarios/network.h"

namespace nmanager::test {
namespace {

namespace fs = std::filesystem;

const fs::path kRecordings = fs::path(NMANAGER_SOURCE_DIR) / "test/fixtures/kube-proxy";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE_MESSAGE(in.good(), path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<fs::path> sorted(const fs::path& folder) {
  std::vector<fs::path> entries(fs::directory_iterator(folder), {});
  std::ranges::sort(entries);
  return entries;
}

/// The administrator's command at the beginning of a phase; the recording has only its name.
std::string administrator(const std::string& phase) {
  const std::map<std::string, std::string> deeds{
      {"nat-flush", "iptables -t nat -F"},
      {"mangle-canary-deleted", "iptables -t mangle -X KUBE-PROXY-CANARY"},
      {"firewall-reload",
       "for t in nat filter mangle; do iptables -t $t -F; iptables -t $t -X; done"},
      {"jump-of-kube-proxy-deleted",
       "iptables -t nat -D PREROUTING -m comment --comment 'kubernetes service portals' "
       "-j KUBE-SERVICES"},
  };
  const auto found = deeds.find(phase.substr(phase.find('-') + 1));
  return found == deeds.end() ? "" : found->second;
}

/// "TIME PID rc=N us=N PROGRAM ARGUMENTS" -> the command, and the file with its input.
struct Call {
  std::string command;
  fs::path input;  // empty: none
};

std::vector<Call> calls_of(const fs::path& phase) {
  std::vector<Call> calls;
  std::istringstream lines(read_file(phase / "calls.log"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string time, pid, code, duration;
    words >> time >> pid >> code >> duration;
    Call call;
    std::getline(words >> std::ws, call.command);
    std::erase(time, '.');
    const std::string program = call.command.substr(0, call.command.find(' '));
    const fs::path input = phase / (time + "-" + pid + "-" + program + ".in");
    if (fs::exists(input)) call.input = input;
    calls.push_back(std::move(call));
  }
  return calls;
}

void replay(const Node& node, const Call& call) {
  // As recorded, failures included: -C that finds nothing, -N of a chain that exists.
  run("PATH=" + node.folder() + "/bin:$PATH; " + call.command + " >/dev/null",
      call.input.empty() ? "" : read_file(call.input));
}

}  // namespace

TEST_CASE("kube-proxy in iptables mode: start, syncs, flushes, reload, restart") {
  Node node;
  if (!node.usable()) return;
  node.sh("nfacct add ct_state_invalid_dropped_pkts; nfacct add localhost_nps_accepted_pkts");
  node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
  // The sidecar's settings say IPVS mode, so that all our chains exist next to the recorded ones.
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  CHECK_FALSE(sidecar.ready());
  CHECK(sidecar.get("/readyz?verbose").find("[-]kube-proxy-synced") != std::string::npos);

  int phases = 0;
  for (const fs::path& phase : sorted(kRecordings / ("iptables-1.36-" + variant()))) {
    CAPTURE(phase.filename().string());
    if (const auto deed = administrator(phase.filename()); !deed.empty()) node.sh(deed);
    for (const Call& call : calls_of(phase)) replay(node, call);
    CHECK_MESSAGE(eventually([&] { return node.our_rules() == ours && node.misplaced().empty(); }),
                  node.misplaced());
    CHECK(node.sh("iptables -t nat -S").find("KUBE-SERVICES") != std::string::npos);
    CHECK_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
    ++phases;
  }
  CHECK(phases >= 10);
  CHECK(sidecar.metric("nmanager_kube_resyncs_total").value_or(0) >= 5);
  // Nothing that happens in iptables' tables displaces our native table.
  const double repairs = sidecar.metric("nmanager_table_repairs_total").value_or(0);
  CHECK((native() ? repairs == 0 : repairs >= 3));
}

TEST_CASE("kube-proxy in IPVS mode: 1.20 and 1.36") {
  for (const std::string version : {"1.20", "1.36"}) {
    CAPTURE(version);
    Node node;
    if (!node.usable()) return;
    const fs::path recording = kRecordings / ("ipvs-" + version);
    const auto sets = run("ipset restore", read_file(recording / "ipset-save.txt"));
    REQUIRE_MESSAGE(sets.exit_code == 0, sets.output);
    node.api().services().put(to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}}));
    const Sidecar sidecar(node);
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    const std::string ours = node.our_rules();
    const auto inputs = sorted(recording / "restore");
    auto input = inputs.begin();
    std::istringstream lines(read_file(recording / "commands.txt"));
    int calls = 0;
    for (std::string line; std::getline(lines, line); ++calls) {
      const bool restores = line.find("-restore") != std::string::npos;
      if (!line.starts_with("iptables") && !line.starts_with("ip6tables")) continue;
      replay(node, {line, restores && input != inputs.end() ? *input++ : fs::path()});
    }
    CHECK(calls > 20);
    CHECK(node.sh("iptables -t nat -S").find("KUBE-SERVICES") != std::string::npos);
    CHECK_MESSAGE(eventually([&] { return node.our_rules() == ours && node.misplaced().empty(); }),
                  node.misplaced());
    CHECK_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
  }
}

TEST_CASE("kube-proxy in nftables mode: start over what iptables mode left, syncs, a flush") {
  if (variant() == "legacy") return;  // needs nf_tables
  Node node;
  if (!node.usable()) return;
  Network network(node);
  const Sidecar sidecar(node, {"--proxy-mode", "nftables"});
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string ours = node.our_rules();
  int port = 7200;
  int phases = 0;
  for (const fs::path& phase : sorted(kRecordings / "nftables-1.36")) {
    CAPTURE(phase.filename().string());
    const bool flush = phase.filename().string().find("flush") != std::string::npos;
    const double before = sidecar.metric("nmanager_table_repairs_total").value_or(0);
    if (flush) node.sh("nft flush ruleset");
    std::vector<fs::path> inputs;
    for (const fs::path& file : sorted(phase)) {
      if (file.extension() == ".in") inputs.push_back(file);
    }
    auto input = inputs.begin();
    for (Call call : calls_of(phase)) {
      const bool takes_input = call.command.find("-restore") != std::string::npos ||
                               call.command.find("-f -") != std::string::npos;
      if (takes_input && input != inputs.end()) call.input = *input++;
      replay(node, call);
    }
    CHECK(eventually([&] { return node.our_rules() == ours; }));
    if (native()) {
      const double repairs = sidecar.metric("nmanager_table_repairs_total").value_or(0) - before;
      CHECK((flush ? repairs >= 1 : repairs == 0));
    }
    if (flush) {  // it also removed the pod's translation
      node.sh(
          "iptables -t nat -A POSTROUTING -s 10.244.0.0/16 -o out0 -j MASQUERADE; "
          "ip6tables -t nat -A POSTROUTING -s fd44::/64 -o out0 -j MASQUERADE");
    }
    for (const std::string address : {"203.0.113.2", "fd13::2"}) {
      CHECK(network.connection_with_forged_segment(address, ++port) == 0);
    }
    ++phases;
  }
  CHECK(phases >= 6);
}

}  // namespace nmanager::test
