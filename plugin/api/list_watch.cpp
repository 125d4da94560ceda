// The lists and watches of ApiSession.
#include "plugin/api/session.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "hooks/values/text.h"

namespace nmanager::api {

namespace {

using Clock = std::chrono::steady_clock;
using Kind = Ending::Kind;
using std::chrono::milliseconds;

// As kube-proxy selects: without Services of another proxy and those labelled headless.
constexpr std::string_view kServices =
    "/api/v1/services?labelSelector=%21service.kubernetes.io%2Fheadless%2C"
    "%21service.kubernetes.io%2Fservice-proxy-name";

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

/// Bounds the values that are kept and sent back to the server.
bool is_sane(const std::string& version) {
  constexpr std::size_t kMost = 16 * 1024;
  return version.size() <= kMost;
}

}  // namespace

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
      return give_up(make_ending(Kind::kTooMuch, "an unbounded list"));
    }
    if (decoder.add(piece)) continue;
    const auto problem = decoder.end();
    return give_up(
        make_ending(Kind::kGarbled, problem ? "an unbounded list" : problem.error().message));
  }
  if (end->kind != Kind::kDone) return *end;
  auto decoded = decoder.end();
  if (!decoded) return make_ending(Kind::kGarbled, decoded.error().message);
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
      return make_ending(Kind::kGarbled, "list of Services: an unbounded number of pages");
    }
    token = one.continue_token;
    // Of the last page; the earlier pages have the version of the same list.
    listed.resource_version = one.resource_version;
  } while (!token.empty());
  if (listed.resource_version.empty() || !is_sane(listed.resource_version)) {
    return make_ending(Kind::kGarbled, "list of Services without a usable resourceVersion");
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
      // The limit takes effect if the server has no watch cache.
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
      return give_up(make_ending(
          Kind::kTooMuch,
          "a watch event longer than " + std::to_string(LineSplitter::kMaxLine) + " bytes"));
    }
    if (auto end = next_piece(piece, silence)) {
      if (end->kind == Kind::kDone && splitter_.partial()) {
        return make_ending(Kind::kLost, "the watch ended within an event");
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
  if (!event) return give_up(make_ending(Kind::kGarbled, event.error().message));
  if (!is_sane(event->resource_version)) {
    return give_up(make_ending(Kind::kGarbled, "watch event: an unbounded resourceVersion"));
  }
  const auto* status = std::get_if<services::ApiStatus>(&event->body);
  if (status == nullptr) return std::move(*event);
  Ending ending = ending_of_status(status->code, std::nullopt, *status);
  if (ending.kind == Kind::kDone) ending.kind = Kind::kRefused;  // an error with code 200
  ending.message = "the watch was ended: " + status->message;
  return give_up(std::move(ending));
}

/// A watch that begins with all objects, up to the bookmark that marks their end.
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
  if (!exchange_->head().chunked) {  // all objects would arrive byte by byte
    return unsupported(give_up(make_ending(Kind::kUnsupported, "a streaming list without chunks")));
  }
  std::size_t bad_ones = 0;
  bool progressed = false;
  const auto latest = Clock::now() + options_.list_patience;
  while (true) {
    if (Clock::now() > latest) {  // changes prevent the silence time-out
      return unsupported(give_up(make_ending(Kind::kUnsupported, "an unbounded streaming list")));
    }
    auto next = next_event(options_.list_silence);
    if (auto* ending = std::get_if<Ending>(&next)) {
      // ERROR 500: its etcd is too old; 400 and 422 as above. A server that does not know the
      // parameter sends all objects, and then nothing that marks the end.
      if (ending->kind == Kind::kDone) *ending = make_ending(Kind::kLost, "the list ended within");
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
      if (!mark->initial_events_end) {  // precedes the end mark only if the server does not
                                        // know the parameter
        return unsupported(
            give_up(make_ending(Kind::kUnsupported, "a bookmark that ends no list")));
      }
      if (event.resource_version.empty()) {
        return give_up(
            make_ending(Kind::kGarbled, "list of Services without a usable resourceVersion"));
      }
      listed.resource_version = event.resource_version;
      Ending done;
      done.progressed = true;
      return done;
    }
    if (listed.services.size() > services::PageDecoder::kMaxServices ||
        bad_ones > services::PageDecoder::kMaxUndecodable) {
      return give_up(
          make_ending(Kind::kGarbled, "an unbounded list of Services, or of other objects"));
    }
  }
}

std::optional<NodePodCidrs> ApiSession::node() {
  auto cidrs = ask_node();
  http_.reset();  // the next request is after the next list, at the earliest
  return cidrs;
}

std::optional<NodePodCidrs> ApiSession::ask_node() {
  if (node_is_refused()) return std::nullopt;
  // A list with one item: the role system:node-proxier is allowed to list Nodes, in every version.
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
      return give_up(
          make_ending(Kind::kGarbled, "a watch of nothing but objects that cannot be read"));
    }
    if (!event.resource_version.empty()) resource_version = event.resource_version;
    progressed = true;
    take(std::move(event));
  }
}

}  // namespace nmanager::api
