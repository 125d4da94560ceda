#include "plugin/status/server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <utility>

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
constexpr std::chrono::milliseconds kCountersPatience{1'000};  // for the owner thread's answer
constexpr std::chrono::milliseconds kExplainPatience{5'000};   // likewise

class Connection;
/// The connection that was idle longest is first; a new connection replaces it.
using Connections = std::list<std::weak_ptr<Connection>>;

/// One connection; requests one after the other. Server thread only.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, StatusBoard& board, Questions& questions, Connections& all)
      : stream_(std::move(socket)), board_(board), questions_(questions), all_(all) {}

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

  struct Request {
    std::string method;
    std::string target;
    bool keep_alive = false;
  };

  void on_read(beast::error_code error) {
    if (error == http::error::end_of_stream || error == beast::error::timeout ||
        error == asio::error::operation_aborted) {
      return close();
    }
    if (error)
      return answer({400, "text/plain", "not a request: " + error.message() + '\n'}, false);
    was_used();
    const auto& request = parser_->get();
    const auto method = request.method_string();
    const Request read{{method.data(), method.size()},
                       {request.target().data(), request.target().size()},
                       request.keep_alive()};
    head_ = request.method() == http::verb::head;
    if (request.method() == http::verb::get) {
      if (auto question = explain_request(read.target)) return explain(*question, read.keep_alive);
    }
    if (shows_counters(read.target)) return when_fresh(read);
    answer(respond_to(read), read.keep_alive);
  }

  [[nodiscard]] Answer respond_to(const Request& request) const {
    return respond(request.method, request.target, board_, std::chrono::steady_clock::now());
  }

  /// An answer with counters waits for current ones, with a deadline.
  void when_fresh(const Request& request) {
    const int number = ++asked_;
    board_.ask([weak = weak_from_this(), request, number] {
      const auto self = weak.lock();
      if (!self) return;
      asio::post(self->stream_.get_executor(), [self, request, number] {
        self->answered(number, self->respond_to(request), request.keep_alive);
      });
    });
    wait(kCountersPatience, [self = shared_from_this(), request, number] {
      self->answered(number, self->respond_to(request), request.keep_alive);
    });
  }

  /// The owner thread answers in its next turn, or the deadline passes.
  void explain(const Result<ExplainRequest>& request, bool keep_alive) {
    if (!request) return answer({400, "text/plain", request.error().message + '\n'}, keep_alive);
    const int number = ++asked_;
    const bool taken = questions_.ask(
        {request->question,
         [weak = weak_from_this(), request = *request, number, keep_alive](Explanation found) {
           const auto self = weak.lock();
           if (!self) return;
           asio::post(self->stream_.get_executor(),
                      [self, request, number, keep_alive, found = std::move(found)] {
                        self->answered(number, answer_of(request, found), keep_alive);
                      });
         }});
    if (!taken) return answer({503, "text/plain", "too many questions at once\n"}, keep_alive);
    wait(kExplainPatience, [self = shared_from_this(), number, keep_alive] {
      self->answered(number, {503, "text/plain", "the loop is busy, try again\n"}, keep_alive);
    });
  }

  /// `give_up` keeps the connection alive while it waits for the owner thread.
  void wait(std::chrono::milliseconds patience, std::function<void()> give_up) {
    patience_.expires_after(patience);
    patience_.async_wait([give_up = std::move(give_up)](beast::error_code) { give_up(); });
  }

  void answered(int number, Answer content, bool keep_alive) {
    if (number != asked_) return;  // already answered
    ++asked_;
    patience_.cancel();
    answer(std::move(content), keep_alive);
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
  asio::steady_timer patience_{stream_.get_executor()};
  StatusBoard& board_;
  Questions& questions_;
  Connections& all_;
  int asked_ = 0;
  beast::flat_buffer buffer_{kMaxHeaderBytes * 2};
  std::optional<http::request_parser<http::empty_body>> parser_;
  Response response_;
  bool head_ = false;
};

class Server final : public StatusServer {
 public:
  Server(const tcp::endpoint& endpoint, StatusBoard& board, Questions& questions)
      : acceptor_(io_, endpoint), board_(board), questions_(questions) {
    port_ = acceptor_.local_endpoint().port();
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Server() override {
    io_.stop();
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
      // Probably out of descriptors: an immediate retry would fail again.
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
        std::make_shared<Connection>(std::move(socket), board_, questions_, connections_);
    connections_.push_back(connection);
    connection->read();
  }

  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer pause_{io_};
  StatusBoard& board_;
  Questions& questions_;
  Connections connections_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

tcp::endpoint endpoint_of(const Address& address, std::uint16_t port) {
  return {asio::ip::make_address(to_string(address)), port};
}

}  // namespace

Result<std::unique_ptr<StatusServer>> StatusServer::start(const Address& address,
                                                          std::uint16_t port, StatusBoard& board,
                                                          Questions& questions) {
  if (!address.is_loopback()) {
    return Error{ErrorKind::kBadInput, to_string(address) + " is not a loopback address"};
  }
  try {
    return std::unique_ptr<StatusServer>(
        std::make_unique<Server>(endpoint_of(address, port), board, questions));
  } catch (const boost::system::system_error& error) {
    return Error{ErrorKind::kUnavailable, "cannot listen on " + to_string(address) + " port " +
                                              std::to_string(port) + ": " + error.code().message()};
  }
}

}  // namespace nmanager::status
