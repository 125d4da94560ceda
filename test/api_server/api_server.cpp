#include "test/api_server/api_server.h"

#include <cstdint>

#include <sys/socket.h>

#include "test/api_server/shared.h"

namespace nmanager::test {

namespace {

namespace asio = boost::asio;

void set_up_tls(asio::ssl::context& tls, const ApiServerOptions& options) {
  tls.use_certificate_chain(asio::buffer(options.certificate.certificate));
  tls.use_private_key(asio::buffer(options.certificate.key), asio::ssl::context::pem);
  if (options.tls_1_2) SSL_CTX_set_max_proto_version(tls.native_handle(), TLS1_2_VERSION);
  if (!options.ciphers.empty()) {
    SSL_CTX_set_security_level(tls.native_handle(), 0);
    SSL_CTX_set_cipher_list(tls.native_handle(), options.ciphers.c_str());
  }
  if (options.client_authority.empty()) return;
  tls.add_certificate_authority(asio::buffer(options.client_authority));
  tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
}

void accept_all(ApiServer::Shared& shared) {
  std::uint64_t number = 0;
  while (!shared.stopping) {
    boost::system::error_code error;
    asio::ip::tcp::socket socket(shared.context);
    shared.acceptor.accept(socket, error);
    if (error || shared.stopping) continue;
    const std::lock_guard lock(shared.mutex);
    shared.sockets[++number] = socket.native_handle();
    shared.threads.emplace_back([&shared, number, open = std::move(socket)]() mutable {
      // The number is removed from the map before the descriptor can be reused.
      asio::ip::tcp::socket copy(shared.context, open.local_endpoint().protocol(),
                                 ::dup(open.native_handle()));
      serve_connection(shared, std::move(copy));
      const std::lock_guard unlisted(shared.mutex);
      shared.sockets.erase(number);
    });
  }
}

}  // namespace

ApiServer::ApiServer(ApiServerOptions options)
    : shared_(std::make_shared<Shared>(std::move(options))) {
  Shared& shared = *shared_;
  shared.token = shared.options.token;
  if (shared.options.tls) set_up_tls(shared.tls, shared.options);
  const asio::ip::tcp::endpoint where(asio::ip::make_address(shared.options.host),
                                      shared.options.port);
  shared.acceptor.open(where.protocol());
  shared.acceptor.set_option(asio::socket_base::reuse_address(true));
  shared.acceptor.bind(where);
  shared.acceptor.listen();
  shared.accepting = std::thread([&shared] { accept_all(shared); });
}

ApiServer::~ApiServer() {
  shared_->stopping = true;
  shared_->log.stop();
  ::shutdown(shared_->acceptor.native_handle(), SHUT_RDWR);  // wakes accept()
  shared_->accepting.join();
  drop_connections();
  for (std::thread& thread : shared_->threads) thread.join();
}

std::uint16_t ApiServer::port() const {
  return shared_->acceptor.local_endpoint().port();
}

std::string ApiServer::url() const {
  const auto address = shared_->acceptor.local_endpoint().address();
  const std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return (shared_->options.tls ? "https://" : "http://") + host + ":" + std::to_string(port());
}

ServiceLog& ApiServer::services() {
  return shared_->log;
}

void ApiServer::fail_next(Fault fault) {
  const std::lock_guard lock(shared_->mutex);
  shared_->faults.push_back(std::move(fault));
}

void ApiServer::clear_faults() {
  const std::lock_guard lock(shared_->mutex);
  shared_->faults.clear();
}

void ApiServer::set_nodes(std::string json) {
  const std::lock_guard lock(shared_->mutex);
  shared_->nodes = std::move(json);
}

void ApiServer::set_nodes_status(int status) {
  const std::lock_guard lock(shared_->mutex);
  shared_->nodes_status = status;
}

void ApiServer::set_token(std::string token) {
  const std::lock_guard lock(shared_->mutex);
  shared_->token = std::move(token);
}

void ApiServer::end_watches() {
  ++shared_->watch_epoch;
}

void ApiServer::drop_connections(bool reset) {
  const std::lock_guard lock(shared_->mutex);
  for (const auto& [number, socket] : shared_->sockets) {
    if (reset) {
      const linger at_once{1, 0};
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    ::shutdown(socket, SHUT_RDWR);
  }
}

std::vector<SeenRequest> ApiServer::requests() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->requests;
}

bool ApiServer::wait_for_requests(std::size_t count) {
  std::unique_lock lock(shared_->mutex);
  return shared_->requested.wait_for(lock, std::chrono::minutes(1),
                                     [&] { return shared_->requests.size() >= count; });
}

std::size_t ApiServer::watches() const {
  return shared_->watches;
}

}  // namespace nmanager::test
