#include "plugin/api/http_client.h"

#include <cpprest/http_client.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pplx/threadpool.h>

#include <charconv>

#include "hooks/values/address.h"
#include "plugin/api/body_sink.h"

namespace nmanager::api {

namespace {

namespace client = web::http::client;
using SslStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<&::BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<&::X509_free>>;

/// Adds every certificate of a PEM text; how many.
int add_certificates(X509_STORE* store, const std::string& pem) {
  const Bio bio(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int count = 0;
  while (const Certificate one{::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (::X509_STORE_add_cert(store, one.get()) == 1) ++count;
  }
  ::ERR_clear_error();  // the end of the text is reported as an error
  return count;
}

/// The verification of every certificate of a context, whatever the library sets on its streams:
/// it turns verification off altogether, or checks a name that is not always the right one, and
/// accepts a common name where the alternative names do not match.
int verify_always(X509_STORE_CTX* store, void* /*unused*/) {
  void* ssl = ::X509_STORE_CTX_get_ex_data(store, ::SSL_get_ex_data_X509_STORE_CTX_idx());
  ::SSL_set_verify(static_cast<SSL*>(ssl), SSL_VERIFY_PEER, nullptr);  // so that the result counts
  return ::X509_verify_cert(store);
}

void require_name(SSL_CTX* context, const std::string& name) {
  X509_VERIFY_PARAM* parameters = ::SSL_CTX_get0_param(context);
  if (Address::parse(name)) {
    ::X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
  } else {
    ::X509_VERIFY_PARAM_set_hostflags(
        parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    ::X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
  }
}

/// An empty `name`: whoever answers is believed. Throws boost::system::system_error when the
/// material cannot be used.
void set_up_tls(boost::asio::ssl::context& context, const TlsMaterial& tls,
                const std::string& name) {
  SSL_CTX* native = context.native_handle();
  ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  if (!tls.ca.empty()) {
    // Without a store of our own the system's CAs would stay trusted.
    X509_STORE* store = ::X509_STORE_new();
    ::SSL_CTX_set_cert_store(native, store);  // takes it over
    if (add_certificates(store, tls.ca) == 0) {
      throw boost::system::system_error(
          boost::system::errc::make_error_code(boost::system::errc::invalid_argument),
          "certificate authority: no certificate in it");
    }
  }
  if (!tls.certificate.empty()) {
    context.use_certificate_chain(boost::asio::buffer(tls.certificate));
    context.use_private_key(boost::asio::buffer(tls.key), boost::asio::ssl::context::pem);
  }
  if (name.empty()) return;
  require_name(native, name);
  ::SSL_CTX_set_cert_verify_callback(native, &verify_always, nullptr);
}

/// "https://[::1]:6443" never resolves in the library, "https://::1:6443" does.
std::string without_brackets(std::string url) {
  std::erase_if(url, [](char c) { return c == '[' || c == ']'; });
  return url;
}

std::string host_of(const std::string& url) {
  const auto start = url.find("://") + 3;
  const auto end = url.find('/', start);
  std::string authority = url.substr(start, end - start);
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.rfind(':'));
}

std::string server_name(const ApiAccess& access) {
  return access.tls_server_name.empty() ? host_of(access.server) : access.tls_server_name;
}

std::optional<std::chrono::seconds> retry_after(const web::http::http_headers& headers) {
  const auto found = headers.find("Retry-After");
  if (found == headers.end()) return std::nullopt;
  unsigned seconds = 0;
  const std::string& text = found->second;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

Error error_of(const std::exception& exception) {
  std::string what = exception.what();
  for (char& c : what) {
    if (c == '\n') c = ' ';
  }
  return {ErrorKind::kUnavailable, std::move(what)};
}

client::http_client_config config_of(const ApiAccess& access, const TlsMaterial& tls) {
  client::http_client_config config;
  // A backstop only: an idle timer of the library for each piece. The exchange's reader has its
  // own.
  config.set_timeout(std::chrono::seconds(600));
  config.set_chunksize(16 * 1024);
  config.set_validate_certificates(false);  // verify_always() does
  const std::string name = server_name(access);
  config.set_ssl_context_callback(
      [tls, name = access.insecure ? "" : name](boost::asio::ssl::context& context) {
        set_up_tls(context, tls, name);
      });
  config.set_tlsext_sni_enabled(false);  // the library would send addresses, too (RFC 6066, 3.)
  if (access.server.starts_with("https://") && !Address::parse(name)) {
    config.set_nativehandle_options([name](client::native_handle handle) {
      ::SSL_set_tlsext_host_name(static_cast<SslStream*>(handle)->native_handle(), name.c_str());
    });
  }
  return config;
}

class RestClient final : public HttpClient {
 public:
  RestClient(const ApiAccess& access, const TlsMaterial& tls)
      : client_(web::uri(without_brackets(access.server)), config_of(access, tls)) {}
  ~RestClient() override { cancel(); }

  void get(const std::string& path_and_query, const std::string& token,
           std::shared_ptr<Exchange> exchange) override {
    cancel();
    source_ = pplx::cancellation_token_source();  // one for each request: a long-lived one leaks
    try {
      send(path_and_query, token, exchange);
    } catch (const std::exception& exception) {
      exchange->on_end(error_of(exception));
    }
  }

  void cancel() override { source_.cancel(); }

 private:
  void send(const std::string& path_and_query, const std::string& token,
            const std::shared_ptr<Exchange>& exchange) {
    web::http::http_request request(web::http::methods::GET);
    request.set_request_uri(web::uri(path_and_query));
    request.headers().add("Accept", "application/json");
    if (!token.empty()) request.headers().add("Authorization", "Bearer " + token);
    request.set_response_stream(body_sink(exchange));
    client_.request(request, source_.get_token())
        .then([exchange](web::http::http_response response) {
          exchange->on_head({response.status_code(), retry_after(response.headers())});
          return response.content_ready();
        })
        .then([exchange](const pplx::task<web::http::http_response>& task) {
          try {
            task.get();
            exchange->on_end(std::nullopt);
          } catch (const std::exception& exception) {
            exchange->on_end(error_of(exception));
          }
        });
  }

  client::http_client client_;
  pplx::cancellation_token_source source_;
};

Result<std::string> read_or_empty(const PemSource& source) {
  if (!source.given()) return std::string();
  return source.read();
}

/// Loads the material into a context that is thrown away, so that a fault is told by its name here.
Status check_material(const TlsMaterial& tls) {
  try {
    boost::asio::ssl::context context(boost::asio::ssl::context::tls_client);
    set_up_tls(context, tls, "");
  } catch (const std::exception& exception) {
    Error error = error_of(exception);
    return Error{ErrorKind::kBadInput, "TLS material: " + error.message};
  }
  return {};
}

}  // namespace

void start_http_library() {
  crossplat::threadpool::initialize_with_threads(2);
}

Result<TlsMaterial> read_tls_material(const ApiAccess& access) {
  TlsMaterial tls;
  auto ca = read_or_empty(access.ca);
  if (!ca) return ca.error();
  auto certificate = read_or_empty(access.client_certificate);
  if (!certificate) return certificate.error();
  auto key = read_or_empty(access.client_key);
  if (!key) return key.error();
  return TlsMaterial{std::move(*ca), std::move(*certificate), std::move(*key)};
}

Result<std::unique_ptr<HttpClient>> make_http_client(const ApiAccess& access,
                                                     const TlsMaterial& tls) {
  if (Status status = check_material(tls); !status) return status.error();
  try {
    return std::unique_ptr<HttpClient>(std::make_unique<RestClient>(access, tls));
  } catch (const std::exception& exception) {
    return Error{ErrorKind::kBadInput, access.server + ": " + exception.what()};
  }
}

}  // namespace nmanager::api
