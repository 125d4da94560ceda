#include "test/bench/tables.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <stdexcept>

#include "hooks/chains/chain_table.h"
#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/iptables_nft/nft_backend.h"
#include "test/support/command.h"

namespace nmanager::bench {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
using namespace nmanager::iptables_nft;

namespace {

template <class... Arguments>
std::string format(const char* text, Arguments... arguments) {
  std::array<char, 512> line;
  const int size = std::snprintf(line.data(), line.size(), text, arguments...);
  return {line.data(), static_cast<std::size_t>(size)};
}

}  // namespace

std::string name_of(Variant variant) {
  return variant == Variant::kLegacy ? "legacy" : "nft";
}

Door open_door(Variant variant, bool poll_only) {
  if (variant == Variant::kLegacy) {
    LegacyOptions options;
    options.create_tables = true;
    return {make_legacy_backend(options), make_legacy_watch(options)};
  }
  NftOptions options;
  options.poll_only = poll_only;
  auto made = make_nft_backend(options);
  if (!made) throw std::runtime_error(made.error().message);
  return {std::move(made->backend), std::move(made->watch)};
}

ExternalCluster our_services(int services, bool changed) {
  std::vector<ExternalAddress> addresses;
  for (int i = 0; i < services; ++i) {
    const auto high = static_cast<std::uint8_t>(i >> 8);
    const auto low = static_cast<std::uint8_t>(i);
    const std::array<std::uint8_t, 4> external{198, 18, high, low};
    const std::array<std::uint8_t, 4> cluster{
        10, static_cast<std::uint8_t>(changed && i == services / 2 ? 97 : 96), high, low};
    addresses.push_back({Address(Family::kIpv4, external),
                         Address(Family::kIpv4, cluster),
                         "default/service-" + std::to_string(i),
                         {{Protocol::kTcp, 80}, {Protocol::kTcp, 443}},
                         {}});
  }
  ExternalClusterSettings settings;
  settings.pod_cidr = Prefix::parse("10.244.0.0/16");
  return external_cluster(Family::kIpv4, std::move(addresses), settings);
}

DesiredTable our_table(int services, bool changed) {
  return external_cluster_chains(our_services(services, changed));
}

std::string kube_table(int services) {
  std::string chains =
      "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-NODEPORTS - [0:0]\n"
      ":KUBE-POSTROUTING - [0:0]\n";
  std::string rules =
      "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
      "-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
      "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n";
  for (int i = 0; i < services; ++i) {
    const std::string svc = format("KUBE-SVC-%016llX", 2654435761ULL * unsigned(i));
    const std::string ip = format("10.%d.%d.%d", 96 + i / 65536, i / 256 % 256, i % 256);
    const std::string name = format("\"default/service-%05d:http", i);
    chains += ":" + svc + " - [0:0]\n";
    const std::string match =
        "-d " + ip + "/32 -p tcp -m comment --comment " + name + " cluster IP\" -m tcp --dport 80";
    rules += "-A KUBE-SERVICES " + match + " -j " + svc + "\n";
    rules += "-A " + svc + " ! -s 10.244.0.0/16 " + match + " -j KUBE-MARK-MASQ\n";
    for (int e = 0; e < 3; ++e) {
      const std::string sep = format("KUBE-SEP-%014llX%02X", 2654435761ULL * unsigned(i), e);
      const int n = i * 3 + e;
      const std::string pod = format("10.244.%d.%d", n / 256 % 256, n % 256);
      chains += ":" + sep + " - [0:0]\n";
      const std::string chance =
          e == 2 ? "" : format("-m statistic --mode random --probability %.11f ", 1.0 / (3 - e));
      rules += "-A " + svc + " -m comment --comment " + name + " -> " + pod + ":8080\" " + chance +
               "-j " + sep + "\n";
      rules += "-A " + sep + " -s " + pod + "/32 -m comment --comment " + name +
               "\" -j KUBE-MARK-MASQ\n";
      rules += "-A " + sep + " -p tcp -m comment --comment " + name +
               "\" -m tcp -j DNAT --to-destination " + pod + ":8080\n";
    }
  }
  return chains + rules + "COMMIT\n";
}

void sync(Backend& backend, const Goal& goal) {
  SyncReport report;
  do {
    report = backend.sync(std::span(&goal, 1), {}).front();
  } while (report.left);
  if (!report.verified) throw std::runtime_error(report.error->message);
}

void reset_nat(Variant variant, const std::string& restore_text) {
  test::must("iptables-" + name_of(variant) + "-restore",
             restore_text.empty() ? "*nat\nCOMMIT\n" : restore_text);
}

}  // namespace nmanager::bench
