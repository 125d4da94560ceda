#include "test/scenarios/network.h"

#include <unistd.h>

namespace nmanager::test {

namespace {

/// One link from the node to a namespace: `name` is also the node's interface.
std::string link(const std::string& where, const std::string& name, const std::string& v4,
                 const std::string& v6) {
  const std::string inside = "ip -n " + where + " ";
  return "ip link add " + name + " type veth peer name eth0 netns " + where + " && ip addr add " +
         v4 + ".1/24 dev " + name + " && ip addr add " + v6 + "::1/64 dev " + name +
         " nodad && ip link set " + name + " up && " + inside + "link set lo up && " + inside +
         "addr add " + v4 + ".2/24 dev eth0 && " + inside + "addr add " + v6 +
         "::2/64 dev eth0 nodad && " + inside + "link set eth0 up && " + inside +
         "route add default via " + v4 + ".1 && " + inside + "-6 route add default via " + v6 +
         "::1 && ";
}

}  // namespace

Network::Network(const Node& node)
    : pod_("nm" + std::to_string(getpid()) + "p"),
      outside_("nm" + std::to_string(getpid()) + "o"),
      node_(node) {
  node.sh("ip netns add " + pod_ + " && ip netns add " + outside_ + " && " +
          link(pod_, "pod0", "10.244.0", "fd44") + link(outside_, "out0", "203.0.113", "fd13") +
          "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && "
          "iptables -t nat -A POSTROUTING -s 10.244.0.0/16 -o out0 -j MASQUERADE && "
          "ip6tables -t nat -A POSTROUTING -s fd44::/64 -o out0 -j MASQUERADE");
}

Network::~Network() {
  if (!pids_.empty()) run("kill" + pids_);
  run("ip netns del " + pod_ + "; ip netns del " + outside_);
  if (!second_pod_.empty()) run("ip netns del " + second_pod_);
}

std::string Network::in_pod(const std::string& command) const {
  return "ip netns exec " + pod_ + " " + command;
}

std::string Network::outside(const std::string& command) const {
  return "ip netns exec " + outside_ + " " + command;
}

void Network::add_second_pod() {
  second_pod_ = "nm" + std::to_string(getpid()) + "q";
  node_.sh("ip netns add " + second_pod_ + " && " +
           link(second_pod_, "pod1", "10.244.2", "fd44:0:0:2") + "true");
}

std::string Network::in_second_pod(const std::string& command) const {
  return "ip netns exec " + second_pod_ + " " + command;
}

void Network::start(const std::string& command) {
  const std::string pipe = node_.folder() + "/started";
  pids_ += " " + must("mkfifo " + pipe + "; " + command + " >" + pipe +
                      " 2>&1 </dev/null & pid=$!; read line <" + pipe + "; rm " + pipe +
                      "; test \"$line\" = listening && echo -n $pid");
}

int Network::connection_with_forged_segment(const std::string& address, int port) {
  const std::string program =
      std::string(NMANAGER_SOURCE_DIR) + "/test/scenarios/forged_segment.py ";
  const std::string where = " " + address + " " + std::to_string(port);
  start_outside(program + "server" + where);
  return run(in_pod(program + "client" + where)).exit_code;
}

}  // namespace nmanager::test
