// What the drop in FORWARD costs a good packet.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>

#include "hooks/nftables/nftables_backend.h"
#include "test/bench/benches.h"
#include "test/bench/figure.h"
#include "test/bench/tables.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"
#include "test/support/tables.h"

namespace nmanager::bench {

namespace {

using test::kFilter4;

/// Of many short rounds, those that nothing else on the machine disturbed.
constexpr double kUndisturbed = 0.02;
constexpr const char* kReceiver = "10.99.0.2";
constexpr std::uint16_t kDiscard = 9;  // RFC 863

sockaddr_in receiver() {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kDiscard);
  ::inet_pton(AF_INET, kReceiver, &to.sin_addr);
  return to;
}

/// A socket in the named namespace; a namespace belongs to a thread.
int socket_in(const std::string& name) {
  int made = -1;
  std::thread([&] {
    const int fd = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && ::setns(fd, CLONE_NEWNET) == 0) made = ::socket(AF_INET, SOCK_DGRAM, 0);
    ::close(fd);
  }).join();
  if (made < 0) throw std::runtime_error("no socket in " + name);
  return made;
}

/// A sender, the node, and a receiver that drops everything; kube-proxy's nftables mode on the
/// node, as far as a forwarded packet of an established flow meets it.
class Path {
 public:
  Path() {
    for (const std::string side : {"s", "r"}) {
      const std::string inside = "ip -n " + name(side) + " ";
      const std::string net = side == "s" ? "10.244.0" : "10.99.0";
      test::must("ip netns add " + name(side) + " && ip link add " + side +
                 "0 type veth peer name eth0 netns " + name(side) + " && ip addr add " + net +
                 ".1/24 dev " + side + "0 && ip link set " + side + "0 up && " + inside +
                 "addr add " + net + ".2/24 dev eth0 && " + inside + "link set eth0 up && " +
                 inside + "route add default via " + net + ".1");
    }
    test::must("sysctl -qw net.ipv4.ip_forward=1; ip netns exec " + name("r") + " nft -f -",
               "table ip d {\nchain c {\ntype filter hook prerouting priority -300\ndrop\n}\n}\n");
    test::must("nft -f -",
               "table ip kube-proxy {\nchain services {\n}\nchain nat-prerouting {\ntype nat hook "
               "prerouting priority -100\njump services\n}\nchain filter-forward {\ntype filter "
               "hook forward priority 0\nct state new jump services\n}\n}\n");
    const sockaddr_in to = receiver();
    const auto* address = reinterpret_cast<const sockaddr*>(&to);
    socket_ = socket_in(name("s"));
    if (::connect(socket_, address, sizeof to) != 0) {
      throw std::runtime_error("the receiver is not reachable");
    }
  }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;
  ~Path() {
    ::close(socket_);
    for (const char* side : {"s", "r"}) test::run("ip netns del " + name(side));
  }

  /// Microseconds for each packet, which is forwarded within the call that sends it.
  [[nodiscard]] double flood() const {
    constexpr int kPackets = 5'000;
    const std::array<char, 64> payload{};
    const double time = micros([&] {
      for (int i = 0; i < kPackets; ++i) {
        (void)::send(socket_, payload.data(), payload.size(), 0);
      }
    });
    return time / kPackets;
  }

 private:
  static std::string name(const std::string& side) {
    return "nmb" + std::to_string(::getpid()) + side;
  }

  int socket_ = -1;
};

void keep(Backend& backend, const TableSpec& spec) {
  sync(backend, {kFilter4, std::make_shared<const TableSpec>(spec)});
}

/// The least that can drop the same packets.
class OneRule {
 public:
  explicit OneRule(const std::string& pods) {
    test::must("nft -f -",
               "table ip one {\nchain c {\ntype filter hook forward priority 0\nip "
               "saddr " +
                   pods + " ct state invalid drop\n}\n}\n");
  }
  OneRule(const OneRule&) = delete;
  OneRule& operator=(const OneRule&) = delete;
  ~OneRule() { test::run("nft delete table ip one"); }
};

/// Rounds with and without the rules alternate, so that other load on the machine affects both.
void compare(const std::string& name, Backend& backend, const char* pods, const Path& path) {
  const TableSpec rules(drop_invalid_forward(InvalidAction::kDrop, *Prefix::parse(pods), {}));
  std::vector<double> with, without, one;
  for (int round = 0; round < 200; ++round) {
    keep(backend, {});
    without.push_back(path.flood());
    {
      const OneRule rule(pods);
      one.push_back(path.flood());
    }
    keep(backend, rules);
    with.push_back(path.flood());
  }
  const double ours = quantile(with, kUndisturbed);
  print_ratio("forward " + name, ours, "no rule", quantile(without, kUndisturbed), 1.01);
  print_ratio("forward " + name, ours, "one rule of nft", quantile(one, kUndisturbed), 1.01);
}

void bench(const std::string& name, Backend& backend) {
  const Path path;
  (void)path.flood();
  compare(name + ", from a pod", backend, "10.244.0.0/16", path);
  compare(name + ", not from a pod", backend, "10.245.0.0/16", path);
}

}  // namespace

void bench_forward(Variant variant) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  Door door = open_door(variant);
  bench(name_of(variant), *door.backend);
}

void bench_forward_native() {
  const test::NetNamespace space;
  if (!space.usable()) return;
  auto native = nftables::make_nftables_backend({});
  if (!native) throw std::runtime_error(native.error().message);
  bench("nftables", *native->backend);
}

}  // namespace nmanager::bench
