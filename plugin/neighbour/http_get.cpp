#include "plugin/neighbour/http_get.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/version.hpp>
#include <optional>

namespace nmanager::neighbour {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

asio::ip::tcp::endpoint to_asio(const Endpoint& endpoint) {
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.family() == Family::kIpv4) {
    asio::ip::address_v4::bytes_type v4{};
    std::copy_n(bytes.begin(), v4.size(), v4.begin());
    return {asio::ip::address_v4(v4), endpoint.port};
  }
  asio::ip::address_v6::bytes_type v6{};
  std::copy_n(bytes.begin(), v6.size(), v6.begin());
  return {asio::ip::address_v6(v6), endpoint.port};
}

/// One request and its response; each step waits until it is done, but not beyond the deadline or a
/// stop request.
class Exchange {
 public:
  Exchange(const HttpLimits& limits, const std::stop_token& stop)
      : deadline_(std::chrono::steady_clock::now() + limits.timeout),
        stop_(stop),
        on_stop_(stop_, Stopper{&context_}) {
    parser_.body_limit(limits.max_body);
    parser_.header_limit(16 * 1024);
  }

  [[nodiscard]] error_code run(const Endpoint& endpoint, std::string_view path) {
    error_code error = await([&](auto done) { socket_.async_connect(to_asio(endpoint), done); });
    if (error) return error;
    http::request<http::empty_body> request(
        http::verb::get, boost::beast::string_view(path.data(), path.size()), 11);
    request.set(http::field::host, to_string(endpoint));
    request.set(http::field::user_agent, "nmanager");
    request.set(http::field::connection, "close");
    error = await([&](auto done) { http::async_write(socket_, request, done); });
    if (error) return error;
    // Read the head separately: if body bytes arrive with it, Beast 1.74 ignores that
    // Content-Length exceeds the limit (basic_parser::put continues after finish_header's error).
    error = await([&](auto done) { http::async_read_header(socket_, buffer_, parser_, done); });
    if (error || parser_.is_done()) return error;
    return await([&](auto done) { http::async_read(socket_, buffer_, parser_, done); });
  }

  /// False: the bytes received so far are not the beginning of a response. It depends on timing
  /// whether the parser reports that or the end of the connection.
  [[nodiscard]] bool speaks_http() const {
    constexpr std::string_view kStart = "HTTP/";
    const auto bytes = buffer_.data();
    const std::string_view seen(static_cast<const char*>(bytes.data()),
                                std::min(bytes.size(), kStart.size()));
    return parser_.is_header_done() || kStart.starts_with(seen);
  }
  [[nodiscard]] http::response<http::string_body>& response() { return parser_.get(); }

 private:
  struct Stopper {
    asio::io_context* context;
    void operator()() const { context->stop(); }
  };

  /// Starts an operation and runs it to completion; at the deadline it is cancelled by closing the
  /// socket.
  template <class Start>
  [[nodiscard]] error_code await(Start start) {
    std::optional<error_code> result;
    start([&result](const error_code& error, auto&&...) { result = error; });
    context_.restart();
    if (!stop_.stop_requested()) context_.run_until(deadline_);
    if (result) return *result;
    error_code ignored;
    socket_.close(ignored);
    context_.restart();
    context_.run();  // the handler of the cancelled operation
    return asio::error::make_error_code(asio::error::timed_out);
  }

  asio::io_context context_{1};
  asio::ip::tcp::socket socket_{context_};
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  std::chrono::steady_clock::time_point deadline_;
  std::stop_token stop_;
  std::stop_callback<Stopper> on_stop_;  // last: its target is constructed before it
};

Error describe(const error_code& error, const HttpLimits& limits, bool speaks_http) {
  if (error == http::error::body_limit) {
    return {ErrorKind::kBadInput,
            "the response is larger than " + std::to_string(limits.max_body) + " bytes"};
  }
  if (error == asio::error::timed_out) {
    return {ErrorKind::kUnavailable,
            "no response within " + std::to_string(limits.timeout.count()) + " ms"};
  }
  if (!speaks_http) return {ErrorKind::kBadInput, "not an HTTP response: " + error.message()};
  if (error == http::error::end_of_stream || error == http::error::partial_message) {
    return {ErrorKind::kUnavailable, "the connection was closed before the response was complete"};
  }
  const bool not_http =
      error.category() == http::make_error_code(http::error::bad_version).category();
  return {not_http ? ErrorKind::kBadInput : ErrorKind::kUnavailable,
          (not_http ? "not an HTTP response: " : "") + error.message()};
}

Result<std::string> get(const Endpoint& endpoint, std::string_view path, const HttpLimits& limits,
                        const std::stop_token& stop) {
  Exchange exchange(limits, stop);
  const error_code error = exchange.run(endpoint, path);
  if (stop.stop_requested()) return Error{ErrorKind::kUnavailable, "stopped"};
  if (error) return describe(error, limits, exchange.speaks_http());
  if (exchange.response().result_int() != 200) {
    return Error{ErrorKind::kBadInput,
                 "HTTP status " + std::to_string(exchange.response().result_int())};
  }
  return std::move(exchange.response().body());
}

}  // namespace

Result<std::string> http_get(const Endpoint& endpoint, std::string_view path,
                             const HttpLimits& limits, const std::stop_token& stop) {
  const std::string url = "http://" + to_string(endpoint) + std::string(path);
  try {
    auto body = get(endpoint, path, limits, stop);
    if (!body) return Error{body.error().kind, url + ": " + body.error().message};
    return body;
  } catch (const std::exception& error) {  // no file descriptors left, no memory
    return Error{ErrorKind::kUnavailable, url + ": " + error.what()};
  }
}

}  // namespace nmanager::neighbour
