#include "plugin/api/http_client.h"

#include <cpprest/http_client.h>
#include <pplx/threadpool.h>

#include <charconv>

#include "hooks/values/text.h"
#include "plugin/api/body_sink.h"

namespace nmanager::api {

namespace {

namespace client = web::http::client;

constexpr const char* kUserAgent = "nmanager/" NMANAGER_VERSION " (linux/" NMANAGER_ARCH ")";

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
  // A backstop only: an idle timer of the library for each piece. The exchange's reader has its
  // own.
  config.set_timeout(std::chrono::seconds(600));
  // A body without chunks is passed on when this much of it is there: a watch's event at once.
  config.set_chunksize(1);
  config.set_max_redirects(0);              // the token would go with it
  config.set_validate_certificates(false);  // set_up_tls() does
  config.set_tlsext_sni_enabled(false);     // so too
  if (target.proxy) config.set_proxy(proxy_of(target));
  // The configuration lives as long as any request, and with it the report.
  config.set_ssl_context_callback(
      [settings = target.tls, report = std::move(report)](boost::asio::ssl::context& context) {
        // The material was checked: a failure here leaves a context that verifies nothing.
        if (!set_up_tls(context.native_handle(), settings, report.get())) {
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
        client_(base_of(target), config_of(target, report_)) {}
  ~RestClient() override { RestClient::cancel(); }

  void get(const std::string& path_and_query, const std::string& token,
           std::shared_ptr<Exchange> exchange) override {
    RestClient::cancel();
    source_ = pplx::cancellation_token_source();  // one for each request: a long-lived one leaks
    report_->attach(exchange);
    try {
      send(path_and_query, token, exchange);
    } catch (const std::exception& exception) {
      exchange->on_end(error_of(exception, *report_));
    }
  }

  void cancel() override { source_.cancel(); }

 private:
  void send(const std::string& path_and_query, const std::string& token,
            const std::shared_ptr<Exchange>& exchange) {
    web::http::http_request request(web::http::methods::GET);
    request.set_request_uri(web::uri(path_and_query));
    request.headers().add("Host", host_);
    request.headers().add("User-Agent", kUserAgent);
    request.headers().add("Accept", "application/json");
    if (!token.empty()) request.headers().add("Authorization", "Bearer " + token);
    request.set_response_stream(body_sink(exchange));
    client_.request(request, source_.get_token())
        .then([exchange](web::http::http_response response) {
          const auto& headers = response.headers();
          exchange->on_head({response.status_code(), seconds_of(header(headers, "Retry-After")),
                             header(headers, "Location")});
          return response.content_ready();
        })
        .then([exchange, report = report_](const pplx::task<web::http::http_response>& task) {
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
  client::http_client client_;
  pplx::cancellation_token_source source_;
};

/// Loads the material into a context that is thrown away, so that a fault is told by its name here.
Status check_material(const TlsSettings& settings) {
  const std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context(
      ::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  return set_up_tls(context.get(), settings, nullptr);
}

}  // namespace

void start_http_library() {
  crossplat::threadpool::initialize_with_threads(2);
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
