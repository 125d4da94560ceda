#include "plugin/api/session.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "hooks/values/text.h"

namespace nmanager::api {

namespace {

using Clock = std::chrono::steady_clock;
using Kind = Ending::Kind;
using std::chrono::milliseconds;

constexpr std::size_t kMaxStatusBody = std::size_t{64} << 10;
/// If there is another address to try.
constexpr milliseconds kConnectPatience{3'000};
constexpr milliseconds kResolvePatience{5'000};
constexpr const char* kBadProxy =
    "the proxy's URL is not http://HOST:PORT; user and password are not supported";

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // the environment is never changed
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

ApiSession::ApiSession(ApiAccess access, ApiClientOptions options)
    : access_(std::move(access)),
      options_(std::move(options)),
      proxy_(proxy_of(access_, &environment)),
      random_(std::random_device{}()) {}

ApiSession::~ApiSession() {
  close();
}

void ApiSession::close() {
  constexpr std::chrono::seconds kPatience{60};  // the library needs milliseconds
  http_.reset();
  const auto exchange = std::exchange(exchange_, nullptr);
  if (!exchange) return;
  exchange->stop();
  exchange->wait_released(Clock::now() + kPatience);
}

void ApiSession::stop() {
  const std::lock_guard lock(stop_mutex_);
  stopped_ = true;
  if (to_stop_) to_stop_->stop();
  if (lookup_) lookup_->stop();
  stop_changed_.notify_all();
}

bool ApiSession::sleep(milliseconds delay) {
  std::unique_lock lock(stop_mutex_);
  return !stop_changed_.wait_for(lock, delay, [&] { return stopped_; });
}

/// Read for every request. A watch lasts minutes at most, so a rotated token is always used.
std::optional<Ending> ApiSession::read_token(std::string& token) {
  token = access_.token;
  if (!access_.token_file.empty()) {
    auto content = read_credential_file(access_.token_file);
    if (!content) return make_ending(Kind::kUnreachable, content.error().message);
    token = std::move(*content);
  }
  token = trimmed(token);
  for (const char c : token) {
    if (c < 0x21 || c > 0x7e)
      return make_ending(Kind::kUnreachable, "the token holds control characters");
  }
  return std::nullopt;
}

std::optional<Ending> ApiSession::find_addresses() {
  if (!addresses_.empty()) return std::nullopt;
  const auto url = parse_server_url(proxy_.empty()                            ? access_.server
                                    : proxy_.find("://") == std::string::npos ? "http://" + proxy_
                                                                              : proxy_);
  if (!url) {
    return make_ending(Kind::kUnreachable, proxy_.empty() ? url.error().message : kBadProxy);
  }
  const auto lookup = Lookup::start(url->host);
  {
    const std::lock_guard lock(stop_mutex_);
    if (stopped_) return make_ending(Kind::kStopped, "");
    lookup_ = lookup;
  }
  auto found = lookup->wait(Clock::now() + kResolvePatience);
  if (!found) return make_ending(Kind::kStopped, "");
  if (!found->ok()) return make_ending(Kind::kUnreachable, found->error().message);
  addresses_ = std::move(**found);
  return std::nullopt;
}

std::optional<Ending> ApiSession::make_client(TlsMaterial tls, std::size_t piece) {
  auto url = parse_server_url(access_.server);
  if (!url) return make_ending(Kind::kUnreachable, url.error().message);
  const std::string name = access_.tls_server_name.empty() ? url->host : access_.tls_server_name;
  Target target{std::move(*url),     addresses_.front(),
                std::nullopt,        {tls, name, access_.insecure},
                options_.user_agent, piece};
  if (!proxy_.empty()) {
    auto via =
        parse_server_url(proxy_.find("://") == std::string::npos ? "http://" + proxy_ : proxy_);
    if (!via || via->tls) {
      return make_ending(Kind::kUnreachable, kBadProxy);
    }
    target.proxy = std::move(*via);
  }
  auto client = make_http_client(target);
  if (!client) return make_ending(Kind::kUnreachable, client.error().message);
  http_ = std::move(*client);
  tls_ = std::move(tls);
  piece_ = piece;
  return std::nullopt;
}

/// Sends the request and waits for the head; nullopt: status 200, and the body follows. The
/// addresses of a name are tried one after another until a connection is established.
std::optional<Ending> ApiSession::begin(const std::string& path_and_query, milliseconds silence) {
  auto tls = read_tls_material(access_);
  if (!tls) return make_ending(Kind::kUnreachable, tls.error().message);
  // An event is passed on at once even if the body is not chunked; a list may wait for more data.
  constexpr std::size_t kListPiece = std::size_t{64} << 10;
  const std::size_t piece = path_and_query.find("&watch=1") == std::string::npos ? kListPiece : 1;
  if (!(*tls == tls_) || piece != piece_) http_.reset();  // fixed for a client
  std::string token;
  if (auto ending = read_token(token)) return ending;
  while (true) {
    if (auto ending = find_addresses()) return ending;
    if (!http_) {
      if (auto ending = make_client(*tls, piece)) return ending;
    }
    auto ending = attempt(path_and_query, token, silence);
    if (!ending) return std::nullopt;
    if (ending->kind == Kind::kUnreachable) addresses_.erase(addresses_.begin());
    if (ending->kind != Kind::kUnreachable || addresses_.empty()) return ending;
  }
}

std::optional<Ending> ApiSession::attempt(const std::string& path_and_query,
                                          const std::string& token, milliseconds silence) {
  splitter_.clear();
  lines_.clear();
  overlong_ = false;
  const auto exchange = std::make_shared<Exchange>();
  {
    const std::lock_guard lock(stop_mutex_);
    if (stopped_) return make_ending(Kind::kStopped, "");
    to_stop_ = exchange;
  }
  exchange_ = exchange;  // from here on the library ends it
  http_->get(path_and_query, token, exchange_);
  const auto start = Clock::now();
  std::optional<Deadline> connect_by;  // without TLS the library does not report the connection
  if (addresses_.size() > 1 && access_.server.starts_with("https")) {
    connect_by = start + kConnectPatience;
  }
  switch (exchange_->wait(start + silence, connect_by)) {
    case Exchange::Event::kHead:
      break;
    case Exchange::Event::kStopped:
      return give_up(make_ending(Kind::kStopped, ""));
    case Exchange::Event::kNotConnected:
      return give_up(
          make_ending(Kind::kUnreachable, to_string(addresses_.front()) + ": no connection in " +
                                              std::to_string(kConnectPatience.count()) + " ms"));
    case Exchange::Event::kTimeout:
      return give_up(make_ending(Kind::kSilent, silence_text(silence)));
    default: {
      Ending ending = ended();
      if (ending.kind == Kind::kDone)
        ending = make_ending(Kind::kGarbled, "an answer without a head");
      if (ending.kind == Kind::kLost && !exchange_->connected()) ending.kind = Kind::kUnreachable;
      return give_up(std::move(ending));
    }
  }
  return exchange_->head().status == 200 ? std::nullopt : refused(silence);
}

std::optional<Ending> ApiSession::refused(milliseconds silence) {
  const ResponseHead head = exchange_->head();
  std::string body;
  std::string piece;
  std::optional<Ending> end;
  while (body.size() < kMaxStatusBody && !(end = next_piece(piece, silence))) body += piece;
  if (!end) end = give_up(Ending{});
  if (end->kind == Kind::kStopped) return end;
  if (head.status >= 300 && head.status < 400) {
    const auto host = head.location.find("://");
    const auto to = parse_server_url(
        host == std::string::npos ? ""
                                  : std::string_view(head.location)
                                        .substr(0, head.location.find_first_of("/?#", host + 3)));
    return make_ending(Kind::kRefused, "HTTP " + std::to_string(head.status) + ": a redirect" +
                                           (to ? " to " + authority_of(*to, true) : std::string()) +
                                           ", which is never followed");
  }
  return ending_of_status(
      head.status, head.retry_after,
      body.empty() ? services::ApiStatus{}
                   : services::decode_status(std::string_view(body).substr(0, kMaxStatusBody)));
}

/// After kEnd.
Ending ApiSession::ended() const {
  const auto error = exchange_->end_error();
  if (!error) return Ending{};
  return make_ending(exchange_->too_much() ? Kind::kTooMuch : Kind::kLost, error->message);
}

/// Also closes the connection, so that leftover data is not read as a later answer.
Ending ApiSession::give_up(Ending ending) {
  exchange_->stop();
  http_.reset();
  return ending;
}

std::optional<Ending> ApiSession::next_piece(std::string& piece, milliseconds silence) {
  switch (exchange_->wait(Clock::now() + silence)) {
    case Exchange::Event::kHead:
    case Exchange::Event::kData:
      piece = exchange_->take_data();
      return std::nullopt;
    case Exchange::Event::kEnd: {
      Ending ending = ended();
      return ending.kind == Kind::kDone ? ending : give_up(std::move(ending));
    }
    case Exchange::Event::kStopped:
      return give_up(make_ending(Kind::kStopped, ""));
    default:
      return give_up(make_ending(Kind::kSilent, silence_text(silence)));
  }
}

}  // namespace nmanager::api
