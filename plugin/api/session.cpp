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

// As kube-proxy selects: what another proxy serves, and what is headless by label, is not ours.
constexpr std::string_view kServices =
    "/api/v1/services?labelSelector=%21service.kubernetes.io%2Fheadless%2C"
    "%21service.kubernetes.io%2Fservice-proxy-name";

constexpr std::size_t kMaxStatusBody = std::size_t{64} << 10;
/// While there is another address to try.
constexpr milliseconds kConnectPatience{3'000};
constexpr milliseconds kResolvePatience{5'000};

Ending make(Kind kind, std::string message) {
  Ending ending;
  ending.kind = kind;
  ending.message = std::move(message);
  return ending;
}

std::string query_escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      result += c;
    } else {
      result += {'%', kDigits[byte >> 4], kDigits[byte & 0xf]};
    }
  }
  return result;
}

std::string silence_text(milliseconds silence) {
  return "no answer for " + std::to_string(silence.count()) + " ms";
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // the environment is never changed
  return value == nullptr ? std::string() : std::string(value);
}

/// Bounds what is sent back to the server and kept.
bool is_sane(const std::string& version) {
  constexpr std::size_t kMost = 16 * 1024;
  return version.size() <= kMost;
}

}  // namespace

ApiSession::ApiSession(ApiAccess access, ApiClientOptions options)
    : access_(std::move(access)),
      options_(std::move(options)),
      proxy_(proxy_of(access_, &environment)),
      random_(std::random_device{}()) {}

ApiSession::~ApiSession() {
  if (exchange_) exchange_->stop();
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

/// Read for every request, and a watch lasts minutes at most: a rotated token is never missed.
std::optional<Ending> ApiSession::read_token(std::string& token) {
  token = access_.token;
  if (!access_.token_file.empty()) {
    auto content = read_credential_file(access_.token_file);
    if (!content) return make(Kind::kUnreachable, content.error().message);
    token = std::move(*content);
  }
  token = trimmed(token);
  for (const char c : token) {
    if (c < 0x21 || c > 0x7e) return make(Kind::kUnreachable, "the token holds control characters");
  }
  return std::nullopt;
}

std::optional<Ending> ApiSession::find_addresses() {
  if (!addresses_.empty()) return std::nullopt;
  const auto url = parse_server_url(proxy_.empty()                            ? access_.server
                                    : proxy_.find("://") == std::string::npos ? "http://" + proxy_
                                                                              : proxy_);
  if (!url) return make(Kind::kUnreachable, url.error().message);
  const auto lookup = Lookup::start(url->host);
  {
    const std::lock_guard lock(stop_mutex_);
    if (stopped_) return make(Kind::kStopped, "");
    lookup_ = lookup;
  }
  auto found = lookup->wait(Clock::now() + kResolvePatience);
  if (!found) return make(Kind::kStopped, "");
  if (!found->ok()) return make(Kind::kUnreachable, found->error().message);
  addresses_ = std::move(**found);
  return std::nullopt;
}

std::optional<Ending> ApiSession::make_client(TlsMaterial tls, std::size_t piece) {
  auto url = parse_server_url(access_.server);
  if (!url) return make(Kind::kUnreachable, url.error().message);
  const std::string name = access_.tls_server_name.empty() ? url->host : access_.tls_server_name;
  Target target{
      std::move(*url), addresses_.front(), std::nullopt, {tls, name, access_.insecure}, piece};
  if (!proxy_.empty()) {
    auto via =
        parse_server_url(proxy_.find("://") == std::string::npos ? "http://" + proxy_ : proxy_);
    if (!via || via->tls) {
      return make(Kind::kUnreachable, "the proxy's URL is not http://HOST:PORT");
    }
    target.proxy = std::move(*via);
  }
  auto client = make_http_client(target);
  if (!client) return make(Kind::kUnreachable, client.error().message);
  http_ = std::move(*client);
  tls_ = std::move(tls);
  piece_ = piece;
  return std::nullopt;
}

/// Sends the request and waits for the head; nothing: it is a 200 and the body follows. Addresses
/// of one name are tried one after another until there is a connection.
std::optional<Ending> ApiSession::begin(const std::string& path_and_query, milliseconds silence) {
  auto tls = read_tls_material(access_);
  if (!tls) return make(Kind::kUnreachable, tls.error().message);
  // An event is passed on at once also where the body is not chunked; a list may wait for more.
  constexpr std::size_t kListPiece = std::size_t{64} << 10;
  const std::size_t piece = path_and_query.find("&watch=1") == std::string::npos ? kListPiece : 1;
  if (!(*tls == tls_) || piece != piece_) http_.reset();  // a client cannot change these
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
  splitter_ = LineSplitter();
  lines_.clear();
  overlong_ = false;
  exchange_ = std::make_shared<Exchange>();
  {
    const std::lock_guard lock(stop_mutex_);
    if (stopped_) return make(Kind::kStopped, "");
    to_stop_ = exchange_;
  }
  http_->get(path_and_query, token, exchange_);
  const auto start = Clock::now();
  std::optional<Deadline> connect_by;  // without TLS the library does not say when it has connected
  if (addresses_.size() > 1 && access_.server.starts_with("https")) {
    connect_by = start + kConnectPatience;
  }
  switch (exchange_->wait(start + silence, connect_by)) {
    case Exchange::Event::kHead:
      break;
    case Exchange::Event::kStopped:
      return give_up(make(Kind::kStopped, ""));
    case Exchange::Event::kNotConnected:
      return give_up(
          make(Kind::kUnreachable, to_string(addresses_.front()) + ": no connection in " +
                                       std::to_string(kConnectPatience.count()) + " ms"));
    case Exchange::Event::kTimeout:
      return give_up(make(Kind::kSilent, silence_text(silence)));
    default: {
      Ending ending = ended();
      if (ending.kind == Kind::kDone) ending = make(Kind::kGarbled, "an answer without a head");
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
    return make(Kind::kRefused, "HTTP " + std::to_string(head.status) + ": a redirect" +
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
  return make(exchange_->too_much() ? Kind::kTooMuch : Kind::kLost, error->message);
}

/// The connection goes with it: nothing that is left on it can be taken for a later answer.
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
      return give_up(make(Kind::kStopped, ""));
    default:
      return give_up(make(Kind::kSilent, silence_text(silence)));
  }
}

Ending ApiSession::page(const std::string& query, services::ServicePage& page) {
  if (auto ending = begin(std::string(kServices) + query, options_.list_silence)) return *ending;
  services::PageDecoder decoder;
  std::string piece;
  std::size_t size = 0;
  std::optional<Ending> end;
  const auto latest = Clock::now() + options_.list_patience;
  while (!(end = next_piece(piece, options_.list_silence))) {
    size += piece.size();
    if (size > options_.max_list || Clock::now() > latest) {
      return give_up(make(Kind::kTooMuch, "a list without end"));
    }
    if (decoder.add(piece)) continue;
    const auto problem = decoder.end();
    return give_up(make(Kind::kGarbled, problem ? "a list without end" : problem.error().message));
  }
  if (end->kind != Kind::kDone) return *end;
  auto decoded = decoder.end();
  if (!decoded) return make(Kind::kGarbled, decoded.error().message);
  page = std::move(*decoded);
  return *end;
}

Ending ApiSession::pages(const std::string& query, ServicesListed& listed,
                         const Undecodables& undecodable) {
  std::string token;
  do {
    services::ServicePage one;
    Ending ending = page(query + (token.empty() ? "" : "&continue=" + query_escaped(token)), one);
    if (ending.kind != Kind::kDone) {
      ending.progressed = !token.empty();
      return ending;
    }
    if (listed.services.empty()) {
      listed.services = std::move(one.services);
    } else {
      std::ranges::move(one.services, std::back_inserter(listed.services));
    }
    for (services::Undecodable& bad : one.undecodable) undecodable(std::move(bad));
    if ((one.continue_token == token && !token.empty()) || !is_sane(one.continue_token) ||
        listed.services.size() > services::PageDecoder::kMaxServices) {
      return make(Kind::kGarbled, "list of Services: pages without end");
    }
    token = one.continue_token;
    // Of the last page: the first ones' versions are of the same list.
    listed.resource_version = one.resource_version;
  } while (!token.empty());
  if (listed.resource_version.empty() || !is_sane(listed.resource_version)) {
    return make(Kind::kGarbled, "list of Services without a usable resourceVersion");
  }
  Ending done;
  done.progressed = true;
  return done;
}

Ending ApiSession::list(const NextStep& step, ServicesListed& listed,
                        const Undecodables& undecodable) {
  const auto limit = [](int size) { return "&limit=" + std::to_string(size); };
  switch (step.what) {
    case NextStep::What::kStreamList:
      return stream_list(listed, undecodable);
    case NextStep::What::kCachedList:
      // The limit counts where the server has no watch cache.
      return pages(limit(Schedule::kPageSize) + "&resourceVersion=0", listed, undecodable);
    case NextStep::What::kPagedList:
      return pages(limit(step.page_size), listed, undecodable);
    default:
      return pages("", listed, undecodable);
  }
}

std::string ApiSession::watch_query(const std::string& more) {
  std::uniform_int_distribution<std::int64_t> spread(0, options_.watch_timeout.count());
  const auto timeout = options_.watch_timeout.count() + spread(random_);
  return std::string(kServices) +
         "&watch=1&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(timeout) + more;
}

std::variant<services::WatchEvent, Ending> ApiSession::next_event(milliseconds silence) {
  std::string piece;
  while (lines_.empty()) {
    if (overlong_) {
      return give_up(make(Kind::kTooMuch, "a watch event longer than " +
                                              std::to_string(LineSplitter::kMaxLine) + " bytes"));
    }
    if (auto end = next_piece(piece, silence)) {
      if (end->kind == Kind::kDone && splitter_.partial()) {
        return make(Kind::kLost, "the watch ended within an event");
      }
      return std::move(*end);
    }
    std::vector<std::string> lines;
    overlong_ = !splitter_.add(piece, lines);
    std::ranges::move(lines, std::back_inserter(lines_));
  }
  const std::string line = std::move(lines_.front());
  lines_.pop_front();
  auto event = services::decode_watch_line(line);
  if (!event) return give_up(make(Kind::kGarbled, event.error().message));
  if (!is_sane(event->resource_version)) {
    return give_up(make(Kind::kGarbled, "watch event: a resourceVersion without end"));
  }
  const auto* status = std::get_if<services::ApiStatus>(&event->body);
  if (status == nullptr) return std::move(*event);
  Ending ending = ending_of_status(status->code, std::nullopt, *status);
  if (ending.kind == Kind::kDone) ending.kind = Kind::kRefused;  // an error with code 200
  ending.message = "the watch was ended: " + status->message;
  return give_up(std::move(ending));
}

/// A watch that begins with all that exists, up to a bookmark that says so.
Ending ApiSession::stream_list(ServicesListed& listed, const Undecodables& undecodable) {
  const std::string query =
      watch_query("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
  const auto unsupported = [](Ending ending) {
    ending.kind = Kind::kUnsupported;
    return ending;
  };
  if (auto ending = begin(query, options_.list_silence)) {
    const int status = exchange_ ? exchange_->head().status : 0;
    return status == 400 || status == 422 ? unsupported(std::move(*ending)) : *ending;
  }
  if (!exchange_->head().chunked) {  // all that exists would come byte by byte
    return unsupported(give_up(make(Kind::kUnsupported, "a streaming list without chunks")));
  }
  std::size_t bad_ones = 0;
  bool progressed = false;
  const auto latest = Clock::now() + options_.list_patience;
  while (true) {
    if (Clock::now() > latest) {  // changes keep it from being silent
      return unsupported(give_up(make(Kind::kUnsupported, "a streaming list without end")));
    }
    auto next = next_event(options_.list_silence);
    if (auto* ending = std::get_if<Ending>(&next)) {
      // ERROR 500: its etcd is too old; 400 and 422 as above. A server that does not know the
      // parameter at all sends what exists, and then nothing that would end it.
      if (ending->kind == Kind::kDone) *ending = make(Kind::kLost, "the list ended within");
      const bool silent = ending->kind == Kind::kSilent && progressed;
      if (ending->kind == Kind::kRefused || silent) return unsupported(std::move(*ending));
      return *ending;
    }
    auto& event = std::get<services::WatchEvent>(next);
    progressed = true;
    if (auto* changed = std::get_if<services::WatchAddedOrModified>(&event.body)) {
      listed.services.push_back(std::move(changed->service));
    } else if (auto* bad = std::get_if<services::Undecodable>(&event.body)) {
      ++bad_ones;
      undecodable(std::move(*bad));
    } else if (const auto* mark = std::get_if<services::WatchBookmark>(&event.body)) {
      if (!mark->initial_events_end) {  // comes before that one only where the parameter is not
                                        // known
        return unsupported(give_up(make(Kind::kUnsupported, "a bookmark that ends no list")));
      }
      if (event.resource_version.empty()) {
        return give_up(make(Kind::kGarbled, "list of Services without a usable resourceVersion"));
      }
      listed.resource_version = event.resource_version;
      Ending done;
      done.progressed = true;
      return done;
    }
    if (listed.services.size() > services::PageDecoder::kMaxServices ||
        bad_ones > services::PageDecoder::kMaxUndecodable) {
      return give_up(make(Kind::kGarbled, "a list of Services, or of what is none, without end"));
    }
  }
}

std::optional<NodePodCidrs> ApiSession::node() {
  auto cidrs = ask_node();
  http_.reset();  // it is asked for again after the next list, at the earliest
  return cidrs;
}

std::optional<NodePodCidrs> ApiSession::ask_node() {
  if (options_.node_name.empty() || node_forbidden_) return std::nullopt;
  // A list of one: the role system:node-proxier may list Nodes, in every version.
  const std::string path = "/api/v1/nodes?fieldSelector=metadata.name%3D" +
                           query_escaped(options_.node_name) + "&limit=1";
  if (const auto ending = begin(path, options_.node_silence)) {
    node_forbidden_ = ending->kind == Kind::kForbidden;
    return std::nullopt;
  }
  std::string body;
  std::string piece;
  std::optional<Ending> end;
  while (!(end = next_piece(piece, options_.node_silence))) {
    body += piece;
    if (body.size() > LineSplitter::kMaxLine) {
      give_up(Ending{});
      return std::nullopt;
    }
  }
  if (end->kind != Kind::kDone) return std::nullopt;
  auto cidrs = services::decode_node_pod_cidrs(body);
  if (!cidrs) return std::nullopt;
  return NodePodCidrs{std::move(*cidrs)};
}

Ending ApiSession::watch(std::string& resource_version, const std::function<void()>& opened,
                         const Events& take) {
  const std::string query = watch_query("&resourceVersion=" + query_escaped(resource_version));
  if (auto ending = begin(query, options_.list_silence)) return *ending;
  opened();
  return follow(resource_version, take);
}

Ending ApiSession::follow(std::string& resource_version, const Events& take) {
  const auto start = Clock::now();
  std::size_t bad_ones = 0;
  bool progressed = false;
  while (true) {
    auto next = next_event(options_.watch_silence);
    if (auto* ending = std::get_if<Ending>(&next)) {
      ending->progressed = progressed;
      ending->lasted = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
      return std::move(*ending);
    }
    auto& event = std::get<services::WatchEvent>(next);
    if (std::holds_alternative<services::Undecodable>(event.body) &&
        ++bad_ones > services::PageDecoder::kMaxUndecodable) {
      return give_up(make(Kind::kGarbled, "a watch of nothing but objects that cannot be read"));
    }
    if (!event.resource_version.empty()) resource_version = event.resource_version;
    progressed = true;
    take(std::move(event));
  }
}

}  // namespace nmanager::api
