// Changes by others are detected, our own are not, and the cache of our chains stays correct.
#include <dirent.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <sstream>
#include <thread>

#include "hooks/chains/sync.h"
#include "hooks/iptables_nft/chain_cache.h"
#include "test/support/tables.h"
#include "test/unit/iptables_nft/rival.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
namespace {

bool readable(int fd, int milliseconds = 0) {
  pollfd waiting{fd, POLLIN, 0};
  return poll(&waiting, 1, milliseconds) == 1;
}

/// The netlink sockets of this process.
std::set<int> netlink_sockets() {
  std::set<int> result;
  DIR* const directory = opendir("/proc/self/fd");
  REQUIRE(directory != nullptr);
  while (const dirent* entry = readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    int domain = 0;
    socklen_t size = sizeof domain;
    if (entry->d_name[0] != '.' && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
        domain == AF_NETLINK) {
      result.insert(fd);
    }
  }
  closedir(directory);
  return result;
}

/// The names of the chains that differ from `desired`; a '-' before those that are missing.
std::set<std::string> differences(ChainBackend& backend, TableId id, const DesiredTable& desired) {
  auto transaction = backend.begin_expecting(id, digests_of(desired), {});
  if (!transaction) FAIL(transaction.error().message);
  const ObservedTable& observed = (*transaction)->observed();
  REQUIRE(observed.only_differences);
  std::set<std::string> result;
  for (const auto& [name, rules] : observed.chains) result.insert(name.str());
  for (const ChainName& name : observed.missing) result.insert('-' + name.str());
  return result;
}

/// Repairs like the reconciler; true if everything is in place afterwards.
bool repair(ChainBackend& backend, TableId id, const DesiredTable& desired) {
  const ChainDigests digests = digests_of(desired);
  const SyncReport report = sync_table(backend, id, desired, {}, {}, &digests);
  if (report.error) MESSAGE(report.error->message);
  return report.verified && in_place(backend, id, desired);
}

TEST_CASE("a change by another process is reported with its name, ours are not") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto [nft, watch] = backend();
  CHECK(watch->poll_interval().count() == 1000);
  CHECK_FALSE(readable(watch->fd()));
  apply(*nft, kNat4, desired(kNat4));
  CHECK_FALSE(readable(watch->fd()));
  CHECK(watch->drain().empty());

  must("iptables-nft -t nat -A POSTROUTING -j RETURN");
  REQUIRE(readable(watch->fd(), 1000));
  const auto changes = watch->drain();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].writer == "iptables-nft");
  CHECK(changes[0].writer_pid > 0);
  CHECK(changes[0].certain);
  CHECK_FALSE(readable(watch->fd()));
  CHECK(watch->drain().empty());

  // Our commit between those of others.
  must("ip6tables-nft -A INPUT -j RETURN");
  apply(*nft, kNat4, DesiredTable{});
  must("nft add table ip some");
  std::set<std::string> writers;
  for (const TableChange& change : watch->drain()) writers.insert(change.writer);
  CHECK(writers == std::set<std::string>{"ip6tables-nft", "nft"});
}

TEST_CASE("a change that was already read is still reported") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto [nft, watch] = backend();
  must("iptables-nft -A INPUT -j RETURN");
  CHECK(nft->begin(kNat4).ok());
  CHECK(nft->begin({Family::kIpv6, Table::kFilter}).ok());
  REQUIRE(readable(watch->fd()));
  const auto changes = watch->drain();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].writer == "iptables-nft");
}

/// Damage to the tables of desired(kNat4), and the differences that must be detected.
struct Damage {
  const char* command;
  std::set<std::string> noticed;
};

const Damage kDamages[] = {
    {"iptables-nft -t nat -F NMANAGER_CONTENT", {"NMANAGER_CONTENT"}},
    {"iptables-nft -t nat -A NMANAGER_CONTENT -j RETURN", {"NMANAGER_CONTENT"}},
    {"iptables-nft -t nat -I NMANAGER_OUTPUT -p tcp -j RETURN", {"NMANAGER_OUTPUT"}},
    {"iptables-nft -t nat -R NMANAGER_OUTPUT 1 -j RETURN", {"NMANAGER_OUTPUT"}},
    {"iptables-nft -t nat -D NMANAGER_OUTPUT -j NMANAGER_CONTENT", {"NMANAGER_OUTPUT"}},
    {"iptables-nft -t nat -N NMANAGER_MORE", {"NMANAGER_MORE"}},
    {"iptables-nft -t nat -N NMANAGER_28_CHARACTERS_LONG_", {"NMANAGER_28_CHARACTERS_LONG_"}},
    {"iptables-nft -t nat -N NMANAGE_; iptables-nft -t nat -N KUBE-NMANAGER_X; "
     "iptables-nft -t filter -N NMANAGER_ELSEWHERE; ip6tables-nft -t nat -N NMANAGER_V6; "
     "iptables-nft -t mangle -N NMANAGER_MANGLE",
     {}},
    {"iptables-nft -t nat -Z NMANAGER_CONTENT", {}},
    {"iptables-nft -t nat -F", {"NMANAGER_CONTENT", "NMANAGER_OUTPUT", "NMANAGER_PREROUTING"}},
    {"iptables-nft -t nat -F; iptables-nft -t nat -X",
     {"-NMANAGER_CONTENT", "-NMANAGER_OUTPUT", "-NMANAGER_PREROUTING"}},
    {"nft delete table ip nat", {"-NMANAGER_CONTENT", "-NMANAGER_OUTPUT", "-NMANAGER_PREROUTING"}},
    {"nft flush ruleset", {"-NMANAGER_CONTENT", "-NMANAGER_OUTPUT", "-NMANAGER_PREROUTING"}},
    {"iptables-nft -t nat -F NMANAGER_OUTPUT; iptables-nft -t nat -F OUTPUT; "
     "iptables-nft -t nat -X NMANAGER_OUTPUT",
     {"-NMANAGER_OUTPUT"}},
    // After many other changes in one transaction.
    {"iptables-nft-restore --noflush", {"NMANAGER_CONTENT"}},
};

std::string big_restore() {
  std::string text = "*nat\n";
  for (int i = 0; i < 300; ++i) text += ":KUBE-SVC-" + std::to_string(i) + " - [0:0]\n";
  for (int i = 0; i < 300; ++i) {
    text += "-A KUBE-SVC-" + std::to_string(i) + " -p tcp -j RETURN\n";
    if (i == 150) text += "-A NMANAGER_CONTENT -j RETURN\n";
  }
  return text + "COMMIT\n";
}

TEST_CASE("any change of our chains is known at the next read, and nothing else is read") {
  for (const bool poll_only : {false, true}) {
    for (const Damage& damage : kDamages) {
      const std::string command = damage.command;
      CAPTURE(command);
      CAPTURE(poll_only);
      const Sandbox sandbox;
      if (!sandbox.usable()) return;
      NftOptions options;
      options.poll_only = poll_only;
      const auto [nft, watch] = backend(options);
      const DesiredTable wanted = desired(kNat4);
      apply(*nft, kNat4, wanted);
      CHECK(differences(*nft, kNat4, wanted).empty());
      must(command, command.find("restore") == std::string::npos ? "" : big_restore());
      if (poll_only && !damage.noticed.empty() && damage.noticed.begin()->find("28") == 9) continue;
      const auto noticed = differences(*nft, kNat4, wanted);
      // Without events, new chains are found only by the next list.
      if (!poll_only || command.find(" -N ") == std::string::npos) {
        CHECK(noticed == damage.noticed);
      }
      CHECK(repair(*nft, kNat4, wanted));
      CHECK(differences(*nft, kNat4, wanted).empty());
    }
  }
}

TEST_CASE("a renamed chain and, without events, a new one are found by the sweep") {
  for (const bool poll_only : {false, true}) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    NftOptions options;
    options.poll_only = poll_only;
    const auto [nft, watch] = backend(options);
    const DesiredTable wanted = desired(kNat4);
    apply(*nft, kNat4, wanted);
    CHECK(differences(*nft, kNat4, wanted).empty());
    must("iptables-nft -t nat -E NMANAGER_CONTENT SOMETHING");
    bool found = false;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!found && std::chrono::steady_clock::now() < deadline) {
      if (!readable(watch->fd(), static_cast<int>(watch->poll_interval().count()))) {
        static_cast<void>(watch->drain());
      } else if (!watch->drain().empty()) {
        found = differences(*nft, kNat4, wanted).contains("-NMANAGER_CONTENT");
      }
      found = found || differences(*nft, kNat4, wanted).contains("-NMANAGER_CONTENT");
    }
    CHECK(found);
    CHECK(repair(*nft, kNat4, wanted));
  }
}

TEST_CASE("of a bulk writer's messages only the end of the transaction is received") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  ChainCache session({});
  REQUIRE(session.open().ok());
  Events& events = *session.events();
  must("iptables-nft-restore --noflush", "*nat\n:NMANAGER_CONTENT - [0:0]\nCOMMIT\n");
  events.receive();
  static_cast<void>(events.take_changes());
  const auto before = events.counts();
  std::string text = "*nat\n";
  for (int i = 0; i < 5000; ++i) {
    text += ":KUBE-SVC-" + std::to_string(i) + " - [0:0]\n-A KUBE-SVC-" + std::to_string(i) +
            " -d 10.0.0.1/32 -m comment --comment \"NMANAGER_ NMANAGER_\" -j RETURN\n";
  }
  must("iptables-nft-restore --noflush", text + "COMMIT\n");
  events.receive();
  CHECK(events.counts().datagrams == before.datagrams + 1);
  CHECK(events.counts().lost == 0);
  CHECK(events.take_changes().size() == 1);

  must("iptables-nft-restore --noflush", big_restore());
  events.receive();
  CHECK(events.counts().datagrams == before.datagrams + 3);  // the one with our chain, and the end
  must("iptables-nft-restore", "*nat\nCOMMIT\n");            // deletes everything
  events.receive();
  CHECK(events.counts().lost == 0);
  CHECK(events.counts().datagrams < before.datagrams + 20);
}

TEST_CASE("after a queue overflow the cache is discarded") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  ChainCache session({});
  REQUIRE(session.open().ok());
  const auto [nft, watch] = backend();
  const DesiredTable wanted = desired(kNat4);
  apply(*nft, kNat4, wanted);
  REQUIRE(differences(*nft, kNat4, wanted).empty());
  static_cast<void>(watch->drain());
  session.events()->receive();
  REQUIRE(session.events()->counts().lost == 0);

  Rival rival(kNat4);
  rival.commit([](ChainWriter& writer) { writer.create_chain("THEIRS"); });
  for (int i = 0; i < 5000; ++i) {
    rival.commit([](ChainWriter& writer) {
      writer.flush_chain("THEIRS");
      writer.insert_rule("THEIRS", jump_to("NMANAGER_CONTENT"), std::nullopt);
    });
  }
  rival.commit([](ChainWriter& writer) { writer.flush_chain("NMANAGER_CONTENT"); });
  session.events()->receive();
  CHECK(session.events()->counts().lost > 0);  // the same has happened to the watch
  bool hint = false;
  for (const TableChange& change : watch->drain()) hint = hint || !change.certain;
  CHECK(hint);
  CHECK(differences(*nft, kNat4, wanted) == std::set<std::string>{"NMANAGER_CONTENT"});
  CHECK(repair(*nft, kNat4, wanted));
  // Events are received again.
  must("iptables-nft -t nat -F NMANAGER_OUTPUT");
  CHECK(readable(watch->fd(), 1000));
  CHECK(differences(*nft, kNat4, wanted) == std::set<std::string>{"NMANAGER_OUTPUT"});
}

TEST_CASE("sockets closed by other code are opened again") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const std::set<int> before = netlink_sockets();
  const auto [nft, watch] = backend();
  const DesiredTable wanted = desired(kNat4);
  for (int round = 0; round < 3; ++round) {
    apply(*nft, kNat4, wanted);
    int closed = 0;
    for (const int fd : netlink_sockets()) {
      if (before.contains(fd)) continue;
      close(fd);
      ++closed;
    }
    CHECK(closed == 2);
    must("iptables-nft -t nat -F NMANAGER_OUTPUT");
    CHECK(differences(*nft, kNat4, wanted) == std::set<std::string>{"NMANAGER_OUTPUT"});
    CHECK_FALSE(watch->drain().empty());
    CHECK(repair(*nft, kNat4, wanted));
    must("iptables-nft -t nat -F NMANAGER_CONTENT");
    CHECK(readable(watch->fd(), 1000));
    const auto changes = watch->drain();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].writer == "iptables-nft");
    CHECK(repair(*nft, kNat4, wanted));
  }
}

TEST_CASE("a watch without events still detects a change within a second") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto [nft, watch] = backend();
  static_cast<void>(watch->drain());
  // Remove the socket from the multicast group: no event, no error.
  const int group = 7;  // NFNLGRP_NFTABLES
  for (const int fd : netlink_sockets()) {
    setsockopt(fd, SOL_NETLINK, 2 /* NETLINK_DROP_MEMBERSHIP */, &group, sizeof group);
  }
  must("iptables-nft -t nat -N THEIRS");
  CHECK_FALSE(readable(watch->fd(), static_cast<int>(watch->poll_interval().count())));
  CHECK_FALSE(watch->drain().empty());
  CHECK(watch->drain().empty());
}

TEST_CASE("polling alone detects others' commits and not our own") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  NftOptions options;
  options.poll_only = true;
  const std::set<int> before = netlink_sockets();
  const auto [nft, watch] = backend(options);
  CHECK(netlink_sockets().size() == before.size() + 1);  // no event socket
  CHECK(watch->fd() == -1);
  CHECK(watch->poll_interval().count() == 50);
  CHECK(watch->drain().empty());
  apply(*nft, kNat4, desired(kNat4));
  CHECK(watch->drain().empty());
  must("iptables-nft -A INPUT -j RETURN");
  REQUIRE(watch->drain().size() == 1);
  CHECK(watch->drain().empty());
  must("iptables-nft -A INPUT -j RETURN");
  apply(*nft, kNat4, DesiredTable{});
  REQUIRE(watch->drain().size() == 1);
  CHECK(watch->drain().empty());
}

}  // namespace
}  // namespace nmanager::test
