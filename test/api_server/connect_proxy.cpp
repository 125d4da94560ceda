#include "test/api_server/connect_proxy.h"

#include <poll.h>
#include <sys/socket.h>

#include <utility>  // Asio 1.74 uses it without including it

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <mutex>
#include <set>
#include <thread>

namespace nmanager::test {

namespace asio = boost::asio;
using asio::ip::tcp;

struct ConnectProxy::Shared {
  Shared(std::uint16_t to, int answer)
      : target(asio::ip::address_v4::loopback(), to),
        status(answer),
        acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

  const tcp::endpoint target;
  const int status;
  asio::io_context context;
  tcp::acceptor acceptor;
  std::thread accepting;
  std::atomic<bool> stopping{false};

  std::mutex mutex;
  // All protected by mutex.
  std::vector<std::string> asked;
  std::set<int> open;
  std::vector<std::thread> threads;
};

namespace {

/// True: something was passed on.
bool pass_on(tcp::socket& from, tcp::socket& to) {
  std::array<char, 16'384> piece{};
  boost::system::error_code error;
  const std::size_t size = from.read_some(asio::buffer(piece), error);
  if (error) return false;
  asio::write(to, asio::buffer(piece.data(), size), error);
  return !error;
}

void relay(tcp::socket& one, tcp::socket& other) {
  std::array<pollfd, 2> ends{
      {{one.native_handle(), POLLIN, 0}, {other.native_handle(), POLLIN, 0}}};
  while (::poll(ends.data(), ends.size(), -1) > 0) {
    if (ends[0].revents != 0 && !pass_on(one, other)) return;
    if (ends[1].revents != 0 && !pass_on(other, one)) return;
  }
}

}  // namespace

ConnectProxy::ConnectProxy(std::uint16_t to, int status)
    : shared_(std::make_unique<Shared>(to, status)) {
  Shared& shared = *shared_;
  const auto serve = [&shared](tcp::socket client) {
    try {
      std::string head;
      asio::read_until(client, asio::dynamic_buffer(head), "\r\n\r\n");
      {
        const std::lock_guard lock(shared.mutex);
        shared.asked.push_back(head.substr(0, head.find("\r\n")));
      }
      asio::write(client,
                  asio::buffer("HTTP/1.1 " + std::to_string(shared.status) + " Status\r\n" +
                               (shared.status == 200 ? "" : "Content-Length: 0\r\n") + "\r\n"));
      if (shared.status == 200) {
        tcp::socket server(shared.context);
        server.connect(shared.target);
        relay(client, server);
      }
    } catch (const boost::system::system_error&) {
      // One of the two has closed.
    }
    const std::lock_guard lock(shared.mutex);
    shared.open.erase(client.native_handle());
  };
  shared.accepting = std::thread([&shared, serve] {
    while (!shared.stopping) {
      boost::system::error_code error;
      tcp::socket client(shared.context);
      shared.acceptor.accept(client, error);
      if (error || shared.stopping) continue;
      const std::lock_guard lock(shared.mutex);
      shared.open.insert(client.native_handle());
      shared.threads.emplace_back(serve, std::move(client));
    }
  });
}

ConnectProxy::~ConnectProxy() {
  shared_->stopping = true;
  ::shutdown(shared_->acceptor.native_handle(), SHUT_RDWR);  // wakes accept()
  shared_->accepting.join();
  {
    const std::lock_guard lock(shared_->mutex);
    for (const int fd : shared_->open) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : shared_->threads) thread.join();
}

std::string ConnectProxy::url() const {
  return "http://127.0.0.1:" + std::to_string(shared_->acceptor.local_endpoint().port());
}

std::vector<std::string> ConnectProxy::asked() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->asked;
}

}  // namespace nmanager::test
