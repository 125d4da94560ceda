// nmanager-test-apiserver: serves a recorded list of Services and then a recorded watch, until it
// is stopped. For trying the program without a cluster.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "test/api_server/api_server.h"

namespace {

using namespace nmanager::test;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void load_list(ServiceLog& log, const std::string& path) {
  const auto list = nlohmann::ordered_json::parse(read_file(path), nullptr, false);
  if (!list.is_object() || !list.contains("items")) throw std::runtime_error(path + ": not a list");
  for (const auto& item : list["items"]) log.put(item.dump());
}

void write_kubeconfig(const std::string& path, const ApiServer& server, const std::string& ca) {
  std::ofstream out(path);
  out << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
      << "contexts: [{name: c, context: {cluster: c}}]\n"
      << "clusters:\n- name: c\n  cluster:\n    server: " << server.url() << "\n";
  if (!ca.empty()) {
    std::ofstream(path + ".ca") << ca;
    out << "    certificate-authority: " << path << ".ca\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A stand-in for kube-apiserver that serves recorded Services");
  std::string list, watch, kubeconfig;
  ApiServerOptions options;
  int interval_ms = 2000;
  app.add_option("--list", list, "recorded ServiceList")->required();
  app.add_option("--watch", watch, "recorded watch, one event per line");
  app.add_option("--interval", interval_ms, "ms between two events of the watch");
  app.add_option("--host", options.host, "address to listen on");
  app.add_option("--port", options.port, "port to listen on; 0: any");
  app.add_flag("--tls", options.tls, "use TLS with a certificate created for this run");
  app.add_option("--kubeconfig-out", kubeconfig, "kubeconfig to write once the server listens")
      ->required();
  CLI11_PARSE(app, argc, argv);
  try {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    std::string ca;
    if (options.tls) {
      const PemPair authority = make_authority("stand-in authority");
      options.certificate = make_certificate(authority, "stand-in", {options.host, "localhost"});
      ca = authority.certificate;
    }
    ApiServer server(options);
    load_list(server.services(), list);
    write_kubeconfig(kubeconfig, server, ca);
    std::ifstream events(watch);
    const timespec pause{interval_ms / 1000, (interval_ms % 1000) * 1'000'000L};
    for (std::string line; !watch.empty() && std::getline(events, line);) {
      if (sigtimedwait(&ends, nullptr, &pause) > 0) return 0;
      server.services().replay(line);
    }
    int signal = 0;
    sigwait(&ends, &signal);
  } catch (const std::exception& error) {
    std::cerr << "nmanager-test-apiserver: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
