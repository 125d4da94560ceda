#include "plugin/api/http_client.h"

#include <cpprest/http_client.h>
#include <pplx/threadpool.h>

#include <charconv>

#include "hooks/values/text.h"
#include "plugin/api/body_sink.h"

namespace nmanager::api {

namespace {

namespace client = web::http::client;

/// The library wants IPv6 addresses without brackets: "https://[::1]:6443" never resolves in it,
/// "https://::1:6443" does.
web::uri base_of(const Target& target) {
  const ServerUrl& server = target.server;
  const std::string host = target.proxy ? server.host : to_string(target.address);
  return {(server.tls ? "https://" : "http://") + host + ':' + std::to_string(server.port) +
          server.path};
}

web::web_proxy proxy_of(const Target& target) {
  return web::web_proxy(
      web::uri("http://" + to_string(target.address) + ':' + std::to_string(target.proxy->port)));
}

std::string header(const web::http::http_headers& headers, const char* name) {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

std::optional<std::chrono::seconds> seconds_of(const std::string& text) {
  unsigned seconds = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

Error error_of(const std::exception& exception, const TlsReport& report) {
  const std::string problem = report.problem();
  return {ErrorKind::kUnavailable, one_line(problem.empty() ? exception.what() : problem)};
}

client::http_client_config config_of(const Target& target, std::shared_ptr<TlsReport> report) {
  client::http_client_config config;
  // Only a fallback: the library's idle timer for each piece. The exchange's reader has its own
  // timers.
  config.set_timeout(std::chrono::seconds(600));
  config.set_chunksize(target.piece);
  config.set_max_redirects(0);              // a redirect would receive the token
  config.set_validate_certificates(false);  // set_up_tls() does
  config.set_tlsext_sni_enabled(false);     // set_up_tls() does
  if (target.proxy) config.set_proxy(proxy_of(target));
  config.set_ssl_context_callback(
      [settings = target.tls, report = std::move(report)](boost::asio::ssl::context& context) {
        // The material was checked: a failure here leaves a context that verifies nothing.
        if (!set_up_tls(context.native_handle(), settings, report)) {
          throw boost::system::system_error(
              boost::system::errc::make_error_code(boost::system::errc::invalid_argument),
              "TLS material");
        }
      });
  return config;
}

class RestClient final : public HttpClient {
 public:
  explicit RestClient(const Target& target)
      : report_(std::make_shared<TlsReport>()),
        host_(authority_of(target.server, false)),
        user_agent_(target.user_agent),
        client_(base_of(target), config_of(target, report_)) {}
  ~RestClient() override { RestClient::cancel(); }

  void get(const std::string& path_and_query, const std::string& token,
           std::shared_ptr<Exchange> exchange) override {
    RestClient::cancel();
    source_ = pplx::cancellation_token_source();  // one for each request: a long-lived one leaks
    report_->attach(exchange);
    on_library_thread([client = client_, request = request_for(path_and_query, token, exchange),
                       exchange, report = report_, token = source_.get_token()]() mutable {
      try {
        send(client, request, token, exchange, report);
      } catch (const std::exception& exception) {
        exchange->on_end(error_of(exception, *report));
      }
    });
  }

  void cancel() override {
    on_library_thread([source = source_] { source.cancel(); });
  }

 private:
  /// A connection of the library is safe only on one thread: cancelling closes it, and if another
  /// thread is between two steps of reading from it at that time, Asio crashes. So there is one
  /// thread for everything.
  template <class Work>
  static void on_library_thread(Work work) {
    boost::asio::post(crossplat::threadpool::shared_instance().service(), std::move(work));
  }

  web::http::http_request request_for(const std::string& path_and_query, const std::string& token,
                                      const std::shared_ptr<Exchange>& exchange) const {
    web::http::http_request request(web::http::methods::GET);
    request.set_request_uri(web::uri(path_and_query));
    request.headers().add("Host", host_);
    request.headers().add("User-Agent", user_agent_);
    request.headers().add("Accept", "application/json");
    if (!token.empty()) request.headers().add("Authorization", "Bearer " + token);
    request.set_response_stream(body_sink(exchange));
    return request;
  }

  static void send(client::http_client& client, const web::http::http_request& request,
                   const pplx::cancellation_token& token, const std::shared_ptr<Exchange>& exchange,
                   const std::shared_ptr<TlsReport>& report) {
    client.request(request, token)
        .then([exchange](web::http::http_response response) {
          const auto& headers = response.headers();
          exchange->on_head({response.status_code(), seconds_of(header(headers, "Retry-After")),
                             header(headers, "Location"),
                             equal_ignoring_case(header(headers, "Transfer-Encoding"), "chunked")});
          return response.content_ready();
        })
        .then([exchange, report](const pplx::task<web::http::http_response>& task) {
          try {
            task.get();
            exchange->on_end(std::nullopt);
          } catch (const std::exception& exception) {
            exchange->on_end(error_of(exception, *report));
          }
        });
  }

  std::shared_ptr<TlsReport> report_;
  std::string host_;
  std::string user_agent_;
  client::http_client client_;
  pplx::cancellation_token_source source_;
};

/// Loads the material into a temporary context, so that an error is reported by its name here.
Status check_material(const TlsSettings& settings) {
  const std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context(
      ::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  return set_up_tls(context.get(), settings, nullptr);
}

}  // namespace

void start_http_library() {
  crossplat::threadpool::initialize_with_threads(1);
}

Result<std::unique_ptr<HttpClient>> make_http_client(const Target& target) {
  if (target.server.tls) {
    if (Status status = check_material(target.tls); !status) return status.error();
  }
  try {
    return std::unique_ptr<HttpClient>(std::make_unique<RestClient>(target));
  } catch (const std::exception& exception) {
    return Error{ErrorKind::kBadInput, to_string(target.server) + ": " + exception.what()};
  }
}

}  // namespace nmanager::api
