#include "test/api_server/tls_identity.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace nmanager::test {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<&X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<&BIO_free_all>>;

void require(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL cannot create a certificate");
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

PemPair to_pem(X509* certificate, EVP_PKEY* key) {
  const Bio out(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509(out.get(), certificate) == 1);
  const Bio key_out(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_PrivateKey(key_out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return {text_of(out.get()), text_of(key_out.get())};
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate blank(const std::string& common_name, EVP_PKEY* key) {
  Certificate certificate(X509_new());
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_set_version(certificate.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86'400);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  return certificate;
}

bool is_address(const std::string& name) {
  boost::system::error_code error;
  boost::asio::ip::make_address(name, error);
  return !error;
}

Key read_key(const std::string& pem) {
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
}

Certificate read_certificate(const std::string& pem) {
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
}

}  // namespace

PemPair make_authority(const std::string& common_name) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = blank(common_name, key.get());
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  require(X509_sign(certificate.get(), key.get(), EVP_sha256()) != 0);
  return to_pem(certificate.get(), key.get());
}

namespace {

PemPair make_signed(const PemPair& authority, const std::string& common_name, Validity validity,
                    const std::vector<std::pair<int, std::string>>& extensions) {
  const Key signer = read_key(authority.key);
  const Certificate issuer = read_certificate(authority.certificate);
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = blank(common_name, key.get());
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), validity.from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), validity.to);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  for (const auto& [nid, value] : extensions) {
    add_extension(certificate.get(), issuer.get(), nid, value);
  }
  require(X509_sign(certificate.get(), signer.get(), EVP_sha256()) != 0);
  return to_pem(certificate.get(), key.get());
}

}  // namespace

PemPair make_certificate(const PemPair& authority, const std::string& common_name,
                         const std::vector<std::string>& names, Validity validity) {
  std::string alternatives;
  for (const std::string& name : names) {
    if (!alternatives.empty()) alternatives += ',';
    alternatives += (is_address(name) ? "IP:" : "DNS:") + name;
  }
  if (names.empty()) return make_signed(authority, common_name, validity, {});
  return make_signed(authority, common_name, validity, {{NID_subject_alt_name, alternatives}});
}

PemPair make_intermediate(const PemPair& authority, const std::string& common_name) {
  return make_signed(authority, common_name, {}, {{NID_basic_constraints, "critical,CA:TRUE"}});
}

}  // namespace nmanager::test
