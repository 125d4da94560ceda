// State that the connections of one stand-in API server share.
#pragma once

#include <utility>  // Asio 1.74 uses it without including it

#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <thread>

#include "test/api_server/api_server.h"

namespace nmanager::test {

struct ApiServer::Shared {
  explicit Shared(ApiServerOptions given)
      : options(std::move(given)), acceptor(context), tls(boost::asio::ssl::context::tls_server) {}

  ApiServerOptions options;
  ServiceLog log;
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor acceptor;
  boost::asio::ssl::context tls;
  std::thread accepting;
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> watch_epoch{0};  // when it changes, earlier watches end
  std::atomic<std::size_t> watches{0};

  std::mutex mutex;
  std::condition_variable requested;
  // All protected by mutex.
  std::deque<Fault> faults;
  std::vector<SeenRequest> requests;
  std::map<std::uint64_t, int> sockets;  // open connections
  std::vector<std::thread> threads;
  std::string token;
  std::string nodes;
  int nodes_status = 200;
};

/// Serves one connection until it ends or the server stops. Never throws.
void serve_connection(ApiServer::Shared& shared, boost::asio::ip::tcp::socket socket);

}  // namespace nmanager::test
