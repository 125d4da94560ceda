#include "plugin/api/session.h"

#include <cstdint>
#include <utility>

#include "plugin/api/line_splitter.h"

namespace nmanager::api {

namespace {

using Clock = std::chrono::steady_clock;
using Kind = Ending::Kind;

// As kube-proxy selects: what another proxy serves, and what is headless by label, is not ours.
constexpr std::string_view kServices =
    "/api/v1/services?labelSelector=%21service.kubernetes.io%2Fheadless%2C"
    "%21service.kubernetes.io%2Fservice-proxy-name";

constexpr std::size_t kMaxPage = std::size_t{256} << 20;

Ending make(Kind kind, std::string message) {
  return {kind, std::move(message), std::nullopt, false};
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

/// A token as it stands in a file: without the line break at its end, and nothing that could end a
/// header line inside.
std::string trimmed_token(std::string token) {
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  return token;
}

std::string silence_text(std::chrono::milliseconds silence) {
  return "no answer for " + std::to_string(silence.count()) + " ms";
}

}  // namespace

ApiSession::ApiSession(ApiAccess access, ApiClientOptions options)
    : access_(std::move(access)), options_(std::move(options)), random_(std::random_device{}()) {}

void ApiSession::stop() {
  const std::lock_guard lock(stop_mutex_);
  stopped_ = true;
  if (to_stop_) to_stop_->stop();
  stop_changed_.notify_all();
}

bool ApiSession::sleep(std::chrono::milliseconds delay) {
  std::unique_lock lock(stop_mutex_);
  return !stop_changed_.wait_for(lock, delay, [&] { return stopped_; });
}

/// A new client when the TLS material on disk is another one: it cannot change its CA.
std::optional<Ending> ApiSession::refresh_client() {
  auto tls = read_tls_material(access_);
  if (!tls) return make(Kind::kUnreachable, tls.error().message);
  if (http_ && *tls == tls_) return std::nullopt;
  auto client = make_http_client(access_, *tls);
  if (!client) return make(Kind::kUnreachable, client.error().message);
  http_ = std::move(*client);
  tls_ = std::move(*tls);
  return std::nullopt;
}

/// Read for every request, and a watch lasts minutes at most: a rotated token is never missed.
std::optional<Ending> ApiSession::read_token(std::string& token) {
  token = access_.token;
  if (!access_.token_file.empty()) {
    auto content = read_credential_file(access_.token_file);
    if (!content) return make(Kind::kUnreachable, content.error().message);
    token = std::move(*content);
  }
  token = trimmed_token(std::move(token));
  for (const char c : token) {
    if (c < 0x21 || c > 0x7e) return make(Kind::kUnreachable, "the token holds control characters");
  }
  return std::nullopt;
}

/// Sends the request and waits for the head; nothing: it is a 200 and the body follows.
std::optional<Ending> ApiSession::begin(const std::string& path_and_query,
                                        std::chrono::milliseconds silence) {
  if (auto ending = refresh_client()) return ending;
  std::string token;
  if (auto ending = read_token(token)) return ending;
  exchange_ = std::make_shared<Exchange>();
  {
    const std::lock_guard lock(stop_mutex_);
    if (stopped_) return make(Kind::kStopped, "");
    to_stop_ = exchange_;
  }
  http_->get(path_and_query, token, exchange_);
  switch (exchange_->wait(Clock::now() + silence)) {
    case Exchange::Event::kHead:
      break;
    case Exchange::Event::kStopped:
      return give_up(make(Kind::kStopped, ""));
    case Exchange::Event::kTimeout:
      return give_up(make(Kind::kUnreachable, silence_text(silence)));
    default:
      return ended();
  }
  const ResponseHead head = exchange_->head();
  if (head.status == 200) return std::nullopt;
  std::string body;
  const Ending read = read_body(body, std::chrono::seconds(5));
  if (read.kind == Kind::kStopped) return read;
  return ending_of_status(
      head.status, head.retry_after,
      body.empty() ? "" : services::decode_status_message(body.substr(0, 64 * 1024)));
}

Ending ApiSession::ended() const {
  const auto error = exchange_->end_error();
  return error ? make(Kind::kUnreachable, error->message) : Ending{};
}

Ending ApiSession::give_up(Ending ending) {
  http_->cancel();
  return ending;
}

Ending ApiSession::read_body(std::string& body, std::chrono::milliseconds silence) {
  while (true) {
    switch (exchange_->wait(Clock::now() + silence)) {
      case Exchange::Event::kHead:
        break;
      case Exchange::Event::kData:
        body += exchange_->take_data();
        if (body.size() > kMaxPage) return give_up(make(Kind::kGarbled, "an answer without end"));
        break;
      case Exchange::Event::kEnd:
        return ended();
      case Exchange::Event::kTimeout:
        return give_up(make(Kind::kUnreachable, silence_text(silence)));
      case Exchange::Event::kStopped:
        return give_up(make(Kind::kStopped, ""));
    }
  }
}

Ending ApiSession::page(const std::string& query, services::ServicePage& page) {
  if (auto ending = begin(std::string(kServices) + query, options_.list_silence)) return *ending;
  std::string body;
  Ending ending = read_body(body, options_.list_silence);
  if (ending.kind != Kind::kDone) return ending;
  auto decoded = services::decode_list(std::move(body));
  if (!decoded) return make(Kind::kGarbled, decoded.error().message);
  page = std::move(*decoded);
  return ending;
}

Ending ApiSession::list(ServicesListed& listed,
                        const std::function<void(services::Undecodable)>& undecodable) {
  std::string token;
  do {
    std::string query = "&limit=" + std::to_string(options_.page_size);
    if (!token.empty()) query += "&continue=" + query_escaped(token);
    services::ServicePage one;
    Ending ending = page(query, one);
    if (ending.kind != Kind::kDone) return ending;
    std::move(one.services.begin(), one.services.end(), std::back_inserter(listed.services));
    for (services::Undecodable& bad : one.undecodable) undecodable(std::move(bad));
    if (one.continue_token == token && !token.empty()) {
      return make(Kind::kGarbled, "list of Services: the same continue token twice");
    }
    token = one.continue_token;
    // Of the last page: the first ones' versions are of the same list.
    listed.resource_version = one.resource_version;
  } while (!token.empty());
  if (listed.resource_version.empty()) {
    return make(Kind::kGarbled, "list of Services without a resourceVersion");
  }
  return {Kind::kDone, "", std::nullopt, true};
}

std::optional<NodePodCidrs> ApiSession::node() {
  if (options_.node_name.empty()) return std::nullopt;
  // A list of one: the role system:node-proxier may list Nodes, in every version.
  const std::string path = "/api/v1/nodes?fieldSelector=metadata.name%3D" +
                           query_escaped(options_.node_name) + "&limit=1";
  if (begin(path, options_.node_silence)) return std::nullopt;
  std::string body;
  if (read_body(body, options_.node_silence).kind != Kind::kDone) return std::nullopt;
  auto cidrs = services::decode_node_pod_cidrs(std::move(body));
  if (!cidrs) return std::nullopt;
  return NodePodCidrs{std::move(*cidrs)};
}

Ending ApiSession::watch(std::string& resource_version, const std::function<void()>& opened,
                         const std::function<void(services::WatchEvent)>& take) {
  std::uniform_int_distribution<std::int64_t> spread(0, options_.watch_timeout.count());
  const auto timeout = options_.watch_timeout.count() + spread(random_);
  const std::string query =
      "&watch=1&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(timeout) +
      "&resourceVersion=" + query_escaped(resource_version);
  if (auto ending = begin(std::string(kServices) + query, options_.list_silence)) return *ending;
  opened();
  return follow(resource_version, take);
}

Ending ApiSession::follow(std::string& resource_version,
                          const std::function<void(services::WatchEvent)>& take) {
  LineSplitter splitter;
  bool progressed = false;
  const auto with_progress = [&](Ending ending) {
    ending.progressed = progressed;
    return ending;
  };
  while (true) {
    switch (exchange_->wait(Clock::now() + options_.watch_silence)) {
      case Exchange::Event::kHead:
        break;
      case Exchange::Event::kData: {
        std::vector<std::string> lines;
        const bool followed = splitter.add(exchange_->take_data(), lines);
        auto ending = take_lines(lines, resource_version, take, progressed);
        if (!ending && !followed) {
          ending = make(Kind::kGarbled, "a watch event longer than " +
                                            std::to_string(LineSplitter::kMaxLine) + " bytes");
        }
        if (ending) return give_up(with_progress(std::move(*ending)));
        break;
      }
      case Exchange::Event::kEnd:
        if (splitter.partial() && !exchange_->end_error()) {
          return with_progress(make(Kind::kUnreachable, "the watch ended within an event"));
        }
        return with_progress(ended());
      case Exchange::Event::kTimeout:
        return give_up(
            with_progress(make(Kind::kUnreachable, silence_text(options_.watch_silence))));
      case Exchange::Event::kStopped:
        return give_up(make(Kind::kStopped, ""));
    }
  }
}

std::optional<Ending> ApiSession::take_lines(std::vector<std::string>& lines,
                                             std::string& resource_version,
                                             const std::function<void(services::WatchEvent)>& take,
                                             bool& progressed) {
  for (std::string& line : lines) {
    auto event = services::decode_watch_line(std::move(line));
    if (!event) return make(Kind::kGarbled, event.error().message);
    if (const auto* error = std::get_if<services::WatchError>(&event->body)) {
      const Kind kind = error->code == 410 ? Kind::kExpired : Kind::kServerError;
      return make(kind, "the watch was ended: " + error->message);
    }
    if (!event->resource_version.empty()) resource_version = event->resource_version;
    progressed = true;
    take(std::move(*event));
  }
  return std::nullopt;
}

}  // namespace nmanager::api
