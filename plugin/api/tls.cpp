#include "plugin/api/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "hooks/values/address.h"
#include "hooks/values/text.h"

namespace nmanager::api {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<&::BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<&::X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<&::EVP_PKEY_free>>;

Bio memory(std::string_view text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// Never prompts on a terminal, which is the library's default.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) {
  return 0;
}

/// Calls `take` for each certificate of a PEM text. As Go reads bundles, other blocks and broken
/// certificates are skipped.
template <class Take>
void each_certificate(std::string_view pem, Take take) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  while (true) {
    const auto begin = pem.find(kBegin);
    if (begin == std::string_view::npos) break;
    const auto end = pem.find(kEnd, begin);
    const auto next = pem.find(kBegin, begin + kBegin.size());
    if (end != std::string_view::npos && end < next) {
      const Bio bio = memory(pem.substr(begin, end + kEnd.size() - begin));
      Certificate one{::PEM_read_bio_X509(bio.get(), nullptr, &no_passphrase, nullptr)};
      if (one) take(std::move(one));
    }
    if (next == std::string_view::npos) break;
    pem.remove_prefix(next);
  }
  ::ERR_clear_error();
}

std::string text_of(const X509_NAME* name) {
  const Bio bio(::BIO_new(::BIO_s_mem()));
  ::X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = ::BIO_get_mem_data(bio.get(), &data);
  return in_quotes({data, static_cast<std::size_t>(std::max(size, 0L))});
}

std::string text_of(const ASN1_TIME* time) {
  const Bio bio(::BIO_new(::BIO_s_mem()));
  ::ASN1_TIME_print(bio.get(), time);
  char* data = nullptr;
  const long size = ::BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(std::max(size, 0L))};
}

std::string refusal_in_words(X509_STORE_CTX* store, const std::string& name) {
  const int error = ::X509_STORE_CTX_get_error(store);
  std::string text = std::string("the server's certificate is not accepted: ") +
                     ::X509_verify_cert_error_string(error);
  if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    text += " (asked for " + in_quotes(name) + ')';
  }
  const X509* certificate = ::X509_STORE_CTX_get_current_cert(store);
  if (certificate == nullptr) return text;
  if (error == X509_V_ERR_CERT_HAS_EXPIRED) {
    text += " (on " + text_of(::X509_get0_notAfter(certificate)) + ')';
  } else if (error == X509_V_ERR_CERT_NOT_YET_VALID) {
    text += " (before " + text_of(::X509_get0_notBefore(certificate)) + ')';
  }
  return text + "; subject " + text_of(::X509_get_subject_name(certificate)) + ", issuer " +
         text_of(::X509_get_issuer_name(certificate));
}

/// The settings of a context, found again by its callbacks.
struct Hooked {
  std::shared_ptr<TlsReport> report = {};
  std::string server_name;
  bool client_certificate = false;
};

int hooked_index() {
  static const int index = ::SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void* /*parent*/, void* value, CRYPTO_EX_DATA* /*data*/, int /*index*/, long /*argl*/,
         void* /*argp*/) { delete static_cast<Hooked*>(value); });
  return index;
}

const Hooked& hooked(const SSL* ssl) {
  return *static_cast<const Hooked*>(::SSL_CTX_get_ex_data(::SSL_get_SSL_CTX(ssl), hooked_index()));
}

/// Verifies every certificate of a context, whatever the library sets on its streams: the library
/// turns verification off, or checks a name that is not always the right one, and accepts a common
/// name if the alternative names do not match.
int verify_always(X509_STORE_CTX* store, void* /*unused*/) {
  auto* ssl = static_cast<SSL*>(
      ::X509_STORE_CTX_get_ex_data(store, ::SSL_get_ex_data_X509_STORE_CTX_idx()));
  ::SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);  // so that the result counts
  const int result = ::X509_verify_cert(store);
  if (result != 1) {
    const Hooked& hooks = hooked(ssl);
    hooks.report->tell(refusal_in_words(store, hooks.server_name));
  }
  return result;
}

std::string alert_in_words(int alert, bool client_certificate) {
  const std::string name = ::SSL_alert_desc_string_long(alert);
  switch (alert & 0xff) {
    case SSL3_AD_BAD_CERTIFICATE:
    case SSL3_AD_HANDSHAKE_FAILURE:
    case TLS13_AD_CERTIFICATE_REQUIRED:
      if (!client_certificate) {
        return "the server wants a client certificate (alert \"" + name + "\")";
      }
      [[fallthrough]];
    case TLS1_AD_UNKNOWN_CA:
    case SSL3_AD_CERTIFICATE_UNKNOWN:
    case SSL3_AD_CERTIFICATE_EXPIRED:
    case SSL3_AD_UNSUPPORTED_CERTIFICATE:
      if (client_certificate) {
        return "the server refuses the client certificate (alert \"" + name + "\")";
      }
      [[fallthrough]];
    default:
      return "the server ended TLS with alert \"" + name + '"';
  }
}

std::string failure_in_words() {
  const unsigned long error = ::ERR_peek_error();
  if (error == 0 || ERR_GET_LIB(error) != ERR_LIB_SSL) return {};
  switch (ERR_GET_REASON(error)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return {};  // verify_always() checks the name
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_UNEXPECTED_MESSAGE:
      return "the server speaks no TLS";
    default: {
      const char* reason = ::ERR_reason_error_string(error);
      return std::string("TLS: ") + (reason == nullptr ? "unknown failure" : reason);
    }
  }
}

void on_info(const SSL* ssl, int where, int value) {
  const Hooked& hooks = hooked(ssl);
  if ((where & SSL_CB_HANDSHAKE_START) != 0 && !hooks.server_name.empty() &&
      !Address::parse(hooks.server_name)) {  // addresses are never sent (RFC 6066, 3.)
    ::SSL_set_tlsext_host_name(const_cast<SSL*>(ssl), hooks.server_name.c_str());
  }
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0) hooks.report->on_connected();
  if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (value & 0xff) != SSL3_AD_CLOSE_NOTIFY) {
    hooks.report->tell(alert_in_words(value, hooks.client_certificate));
  }
  if (where == SSL_CB_CONNECT_EXIT && value <= 0) hooks.report->tell(failure_in_words());
}

/// Counts the records with data: the library buffers a head or a chunk without bound.
void on_message(int writing, int /*version*/, int type, const void* data, std::size_t size,
                SSL* ssl, void* /*argument*/) {
  constexpr std::size_t kHeaderSize = 5;
  if (writing != 0 || type != SSL3_RT_HEADER || size != kHeaderSize) return;
  const auto* header = static_cast<const std::uint8_t*>(data);
  if (header[0] != SSL3_RT_APPLICATION_DATA) return;
  hooked(ssl).report->on_received(static_cast<std::size_t>(header[3]) << 8 | header[4]);
}

void require_name(SSL_CTX* context, const std::string& name) {
  X509_VERIFY_PARAM* parameters = ::SSL_CTX_get0_param(context);
  // As Go: a certificate in the file is trusted, whether it is a root or not.
  ::X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  if (Address::parse(name)) {
    ::X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
  } else {
    ::X509_VERIFY_PARAM_set_hostflags(
        parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    ::X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
  }
}

Error unusable(const std::string& what) {
  ::ERR_clear_error();
  return {ErrorKind::kBadInput, "TLS material: " + what};
}

Status use_authorities(SSL_CTX* context, const std::string& pem) {
  X509_STORE* store = ::X509_STORE_new();    // otherwise the system's CAs would stay trusted
  ::SSL_CTX_set_cert_store(context, store);  // takes ownership
  int count = 0;
  each_certificate(pem, [&](const Certificate& one) {
    if (::X509_STORE_add_cert(store, one.get()) == 1) ++count;
  });
  if (count == 0) return unusable("certificate authority: no certificate in it");
  return {};
}

/// Certificate and key may be in one text, in any order.
Status use_client_certificate(SSL_CTX* context, const TlsMaterial& tls) {
  int count = 0;
  bool usable = true;
  each_certificate(tls.certificate, [&](Certificate one) {
    if (count++ == 0) {
      usable = ::SSL_CTX_use_certificate(context, one.get()) == 1;
    } else {
      usable = ::SSL_CTX_add1_chain_cert(context, one.get()) == 1 && usable;
    }
  });
  if (count == 0) return unusable("client certificate: no certificate in it");
  if (!usable) return unusable("client certificate: it cannot be used (too weak?)");
  const Bio bio = memory(tls.key);
  const Key key{::PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_passphrase, nullptr)};
  if (!key) return unusable("client key: no key in it that can be read without a passphrase");
  if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return unusable("client key: not that of the client certificate");
  }
  return {};
}

Result<std::string> read_or_empty(const PemSource& source) {
  if (!source.given()) return std::string();
  return source.read();
}

}  // namespace

Result<TlsMaterial> read_tls_material(const ApiAccess& access) {
  auto ca = read_or_empty(access.ca);
  if (!ca) return ca.error();
  auto certificate = read_or_empty(access.client_certificate);
  if (!certificate) return certificate.error();
  auto key = read_or_empty(access.client_key);
  if (!key) return key.error();
  return TlsMaterial{std::move(*ca), std::move(*certificate), std::move(*key)};
}

void TlsReport::attach(std::weak_ptr<Exchange> exchange) {
  const std::lock_guard lock(mutex_);
  exchange_ = std::move(exchange);
}

void TlsReport::on_connected() {
  std::shared_ptr<Exchange> exchange;
  {
    const std::lock_guard lock(mutex_);
    exchange = exchange_.lock();
  }
  if (exchange) exchange->on_connected();
}

void TlsReport::on_received(std::size_t count) {
  std::shared_ptr<Exchange> exchange;
  {
    const std::lock_guard lock(mutex_);
    exchange = exchange_.lock();
  }
  if (exchange) exchange->on_received(count);
}

void TlsReport::tell(std::string problem) {
  const std::lock_guard lock(mutex_);
  if (problem_.empty()) problem_ = std::move(problem);
}

std::string TlsReport::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

Status set_up_tls(SSL_CTX* context, const TlsSettings& settings,
                  std::shared_ptr<TlsReport> report) {
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // As Go's offer: forward secrecy; AES-CBC for old servers. The level refuses RSA keys below 2048
  // bits and SHA-1.
  constexpr int kLevel = 2;
  ::SSL_CTX_set_security_level(context, kLevel);
  ::SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL");
  if (!settings.material.ca.empty()) {
    if (Status status = use_authorities(context, settings.material.ca); !status) return status;
  }
  if (!settings.material.certificate.empty()) {
    Status status = use_client_certificate(context, settings.material);
    if (!status) return status;
  }
  if (report == nullptr) return {};
  auto hooks = std::make_unique<Hooked>();
  *hooks = {std::move(report), settings.server_name, !settings.material.certificate.empty()};
  ::SSL_CTX_set_ex_data(context, hooked_index(), hooks.release());
  ::SSL_CTX_set_info_callback(context, &on_info);
  ::SSL_CTX_set_msg_callback(context, &on_message);
  if (settings.insecure) return {};
  require_name(context, settings.server_name);
  ::SSL_CTX_set_cert_verify_callback(context, &verify_always, nullptr);
  return {};
}

}  // namespace nmanager::api
