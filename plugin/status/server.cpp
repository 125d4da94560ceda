#include "plugin/status/server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <list>
#include <thread>

#include "plugin/status/respond.h"

namespace nmanager::status {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t kMaxConnections = 32;
constexpr std::uint32_t kMaxHeaderBytes = 8 * 1024;
constexpr std::chrono::seconds kIdleTimeout{10};
constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr std::chrono::milliseconds kCountersPatience{1000};

class Connection;
/// The one that was idle longest is first; a new connection takes its place.
using Connections = std::list<std::weak_ptr<Connection>>;

/// One connection; requests one after the other. Server thread only.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const std::shared_ptr<asio::io_context>& io, StatusBoard& board,
             Connections& all)
      : stream_(std::move(socket)), io_(io), patience_(*io), board_(board), all_(all) {}

  void read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    parser_->body_limit(0);
    stream_.expires_after(kIdleTimeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

  void close() {
    beast::error_code ignored;
    stream_.socket().close(ignored);
  }

 private:
  using Response = http::response<http::string_body>;

  /// What shows counters waits for those of now, but no longer than that.
  void on_read(beast::error_code error) {
    if (error == http::error::end_of_stream || error == beast::error::timeout ||
        error == asio::error::operation_aborted) {
      return close();
    }
    if (error)
      return answer({400, "text/plain", "not a request: " + error.message() + '\n'}, false);
    was_used();
    const auto& request = parser_->get();
    const std::string_view target(request.target().data(), request.target().size());
    const auto method = request.method_string();
    head_ = request.method() == http::verb::head;
    method_.assign(method.data(), method.size());
    target_.assign(target);
    if (!shows_counters(target_)) return respond_now();
    waits_ = true;
    patience_.expires_after(kCountersPatience);
    patience_.async_wait([self = shared_from_this()](beast::error_code stopped) {
      if (!stopped) self->respond_now();
    });
    board_.ask([connection = weak_from_this(), io = io_] {
      const auto alive = io.lock();
      if (!alive) return;
      asio::post(*alive, [connection] {
        const auto self = connection.lock();
        if (self && std::exchange(self->waits_, false)) {
          self->patience_.cancel();
          self->respond_now();
        }
      });
    });
  }

  void respond_now() {
    waits_ = false;
    answer(respond(method_, target_, board_, std::chrono::steady_clock::now()),
           parser_->get().keep_alive());
  }

  void was_used() {
    const auto here = std::ranges::find_if(
        all_, [&](const std::weak_ptr<Connection>& one) { return one.lock().get() == this; });
    if (here != all_.end()) all_.splice(all_.end(), all_, here);
  }

  void answer(Answer content, bool keep_alive) {
    response_ = Response(static_cast<http::status>(content.status), 11);
    response_.set(http::field::content_type, content.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.keep_alive(keep_alive);
    response_.content_length(content.body.size());
    if (!head_) response_.body() = std::move(content.body);
    stream_.expires_after(kIdleTimeout);
    http::async_write(
        stream_, response_,
        [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
          if (error || !keep_alive) return self->close();
          self->read();
        });
  }

  beast::tcp_stream stream_;
  std::weak_ptr<asio::io_context> io_;  // which owns this object, by its handlers
  asio::steady_timer patience_;
  bool waits_ = false;  // for fresh counters
  std::string method_, target_;
  StatusBoard& board_;
  Connections& all_;
  beast::flat_buffer buffer_{kMaxHeaderBytes * 2};
  std::optional<http::request_parser<http::empty_body>> parser_;
  Response response_;
  bool head_ = false;
};

class Server final : public StatusServer {
 public:
  Server(const tcp::endpoint& endpoint, StatusBoard& board)
      : acceptor_(*io_, endpoint), board_(board) {
    port_ = acceptor_.local_endpoint().port();
    accept();
    thread_ = std::thread([this] { io_->run(); });
  }

  ~Server() override {
    io_->stop();
    thread_.join();
  }

  [[nodiscard]] std::uint16_t port() const override { return port_; }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        admit(std::move(socket));
        return accept();
      }
      // Out of descriptors, most likely: the next try would fail at once, and so on.
      pause_.expires_after(kAcceptPause);
      pause_.async_wait([this](beast::error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

  void admit(tcp::socket socket) {
    connections_.remove_if([](const std::weak_ptr<Connection>& one) { return one.expired(); });
    if (connections_.size() >= kMaxConnections) {
      if (const auto oldest = connections_.front().lock()) oldest->close();
      connections_.pop_front();
    }
    const auto connection =
        std::make_shared<Connection>(std::move(socket), io_, board_, connections_);
    connections_.push_back(connection);
    connection->read();
  }

  std::shared_ptr<asio::io_context> io_ = std::make_shared<asio::io_context>(1);
  tcp::acceptor acceptor_;
  asio::steady_timer pause_{*io_};
  StatusBoard& board_;
  Connections connections_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

tcp::endpoint endpoint_of(const Address& address, std::uint16_t port) {
  return {asio::ip::make_address(to_string(address)), port};
}

}  // namespace

Result<std::unique_ptr<StatusServer>> StatusServer::start(const Address& address,
                                                          std::uint16_t port, StatusBoard& board) {
  if (!address.is_loopback()) {
    return Error{ErrorKind::kBadInput, to_string(address) + " is not a loopback address"};
  }
  try {
    return std::unique_ptr<StatusServer>(
        std::make_unique<Server>(endpoint_of(address, port), board));
  } catch (const boost::system::system_error& error) {
    return Error{ErrorKind::kUnavailable, "cannot listen on " + to_string(address) + " port " +
                                              std::to_string(port) + ": " + error.code().message()};
  }
}

}  // namespace nmanager::status
