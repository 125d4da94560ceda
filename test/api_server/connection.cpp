#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>

#include "test/api_server/shared.h"

namespace nmanager::test {

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Socket = asio::ip::tcp::socket;

struct Request {
  SeenRequest seen;
  [[nodiscard]] std::string query(const std::string& name) const {
    const auto at =
        std::min(seen.target.find("?" + name + "="), seen.target.find("&" + name + "="));
    if (at == std::string::npos) return {};
    const auto start = at + name.size() + 2;
    return decoded(seen.target.substr(start, seen.target.find('&', start) - start));
  }
  static std::string decoded(const std::string& text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
        result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
        i += 2;
      } else {
        result += text[i];
      }
    }
    return result;
  }
};

std::string status_object(int code, const std::string& reason, const std::string& message) {
  return R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":")" +
         message + R"(","reason":")" + reason + R"(","code":)" + std::to_string(code) + "}\n";
}

/// One connection; Stream is a socket or a TLS stream over one. Throws system_error when the
/// connection ends.
template <class Stream>
class Connection {
 public:
  Connection(ApiServer::Shared& shared, Stream& stream, Socket& socket)
      : shared_(shared), stream_(stream), socket_(socket) {}

  void run() {
    while (!shared_.stopping) {
      const Request request = read();
      if (auto fault = fault_for(request)) {
        if (!act(*fault)) return;
      } else if (!answer(request)) {
        return;
      }
    }
  }

 private:
  /// A plain HTTP server that receives a TLS handshake answers like Go's net/http and closes the
  /// connection.
  void refuse_tls() {
    constexpr char kHandshake = 0x16;
    if (!input_.empty()) return;
    asio::read(stream_, asio::dynamic_buffer(input_), asio::transfer_at_least(1));
    if (input_.front() != kHandshake) return;
    asio::write(stream_, asio::buffer(std::string_view("HTTP/1.1 400 Bad Request\r\n\r\n")));
    throw boost::system::system_error(asio::error::eof);
  }

  Request read() {
    refuse_tls();
    const std::size_t size = asio::read_until(stream_, asio::dynamic_buffer(input_), "\r\n\r\n");
    const std::string head = input_.substr(0, size);
    input_.erase(0, size);
    Request request;
    const auto start = head.find(' ') + 1;
    request.seen.target = head.substr(start, head.find(' ', start) - start);
    request.seen.authorization = field(head, "\r\nAuthorization:");
    request.seen.user_agent = field(head, "\r\nUser-Agent:");
    request.seen.host = field(head, "\r\nHost:");
    request.seen.at = Clock::now();
    const std::lock_guard lock(shared_.mutex);
    shared_.requests.push_back(request.seen);
    shared_.requested.notify_all();
    return request;
  }

  static std::string field(const std::string& head, std::string_view name) {
    const auto at = head.find(name);
    if (at == std::string::npos) return {};
    const auto value = head.find_first_not_of(' ', at + name.size());
    return head.substr(value, head.find("\r\n", value) - value);
  }

  static bool is_meant(const Fault& fault, const SeenRequest& seen) {
    switch (fault.on) {
      case Fault::On::kAny:
        return true;
      case Fault::On::kList:
        return seen.is_list();
      case Fault::On::kStream:
        return seen.is_stream_list();
      case Fault::On::kPlain:
        return seen.is_list() && !seen.is_stream_list();
      case Fault::On::kPage:
        return seen.is_list() && seen.has("continue=");
      case Fault::On::kWatch:
        return seen.is_watch();
    }
    return false;
  }

  std::optional<Fault> fault_for(const Request& request) {
    const std::lock_guard lock(shared_.mutex);
    const auto found = std::ranges::find_if(
        shared_.faults, [&](const Fault& fault) { return is_meant(fault, request.seen); });
    if (found == shared_.faults.end()) return std::nullopt;
    Fault fault = *found;
    if (found->times > 0 && --found->times == 0) shared_.faults.erase(found);
    return fault;
  }

  /// False: the connection ends.
  bool act(const Fault& fault) {
    switch (fault.kind) {
      case Fault::Kind::kStatus:
        send_whole(fault.status, fault.headers, fault.body);
        return true;
      case Fault::Kind::kRaw:
        send(fault.body);
        while (!fault.repeat.empty() && !shared_.stopping) send(fault.repeat);
        return false;
      case Fault::Kind::kClose:
        return false;
      case Fault::Kind::kReset:
        return end(Fault::Then::kReset);
      case Fault::Kind::kSilence:
        return end(Fault::Then::kSilence);
      case Fault::Kind::kStream:
        begin_chunks();
        send_chunk(fault.body);
        while (!fault.repeat.empty() && !shared_.stopping) send_chunk(fault.repeat);
        return end(fault.then);
    }
    return false;
  }

  bool end(Fault::Then then) {
    switch (then) {
      case Fault::Then::kEnd:
        return end_chunks();
      case Fault::Then::kClose:
        return false;
      case Fault::Then::kReset: {
        const linger at_once{1, 0};
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::shutdown(socket_.native_handle(), SHUT_RD);
        return false;
      }
      case Fault::Then::kSilence: {
        char byte = 0;  // until the client or the server's destructor closes the connection
        stream_.read_some(asio::buffer(&byte, 1));
        return false;
      }
    }
    return false;
  }

  /// False: the connection ends.
  bool answer(const Request& request) {
    std::string token;
    std::string nodes;
    int nodes_status = 200;
    {
      const std::lock_guard lock(shared_.mutex);
      token = shared_.token;
      nodes = shared_.nodes;
      nodes_status = shared_.nodes_status;
    }
    if (!token.empty() && request.seen.authorization != "Bearer " + token) {
      send_whole(401, "", status_object(401, "Unauthorized", "Unauthorized"));
    } else if (nodes_status != 200 && request.seen.target.starts_with("/api/v1/nodes?")) {
      send_whole(nodes_status, "", status_object(nodes_status, "Forbidden", "nodes is forbidden"));
    } else if (!nodes.empty() && request.seen.target.starts_with("/api/v1/nodes?")) {
      send_whole(200, "", nodes);
    } else if (!request.seen.target.starts_with("/api/v1/services?") &&
               request.seen.target != "/api/v1/services") {
      send_whole(404, "", status_object(404, "NotFound", "not found"));
    } else if (request.seen.has("watch=")) {
      return watch(request);
    } else {
      list(request);
    }
    return true;
  }

  static bool selected(const Request& request) {
    return request.query("labelSelector").find("service-proxy-name") != std::string::npos;
  }

  void list(const Request& request) {
    const std::string limit_text = request.query("limit");
    std::size_t limit = limit_text.empty() ? 0 : std::stoul(limit_text);
    const std::size_t most = shared_.options.page_limit;
    if (most != 0 && (limit == 0 || limit > most)) limit = most;
    if (shared_.options.watch_cache && request.query("resourceVersion") == "0") limit = 0;
    const LogPage page = shared_.log.page(request.query("continue"), limit, selected(request));
    std::string body =
        R"({"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":")" +
        std::to_string(page.version) + "\"";
    if (!page.next.empty()) {
      body += R"(,"continue":")" + page.next + R"(","remainingItemCount":)" +
              std::to_string(page.remaining);
    }
    body += R"(},"items":[)";
    for (std::size_t i = 0; i < page.items.size(); ++i) body += (i ? "," : "") + page.items[i];
    send_whole(200, "", body + "]}\n");
  }

  bool watch(const Request& request) {
    const bool initial = request.seen.is_stream_list();
    if (initial && shared_.options.streaming == Streaming::kUnprocessable) {
      send_whole(422, "", status_object(422, "Invalid", "sendInitialEvents is forbidden"));
      return true;
    }
    if (initial && shared_.options.streaming == Streaming::kBadRequest) {
      send_whole(400, "", status_object(400, "BadRequest", "resourceVersionMatch is forbidden"));
      return true;
    }
    const std::uint64_t epoch = shared_.watch_epoch;
    const std::string since = request.query("resourceVersion");
    begin_chunks();
    ++shared_.watches;
    const auto closed = std::unique_ptr<void, std::function<void(void*)>>(
        &shared_, [&](void*) { --shared_.watches; });
    const std::string seconds = request.query("timeoutSeconds");
    const auto until = Clock::now() + std::chrono::seconds(seconds.empty() ? 1800 : stol(seconds));
    if (initial && shared_.options.streaming == Streaming::kErrorEvent) {
      send_error(500, "InternalError", "etcd is too old");
    } else {
      const Version from = initial ? send_all(request) : since.empty() ? 0 : std::stoull(since);
      follow(from, request, epoch, until);
    }
    return !shared_.stopping && end_chunks();
  }

  /// Sends all existing objects and the final bookmark.
  Version send_all(const Request& request) {
    const LogPage page = shared_.log.page("", 0, selected(request));
    for (const std::string& item : page.items) {
      send_chunk(R"({"type":"ADDED","object":)" + item + "}\n");
    }
    if (shared_.options.streaming == Streaming::kYes) {
      send_bookmark(page.version, R"("annotations":{"k8s.io/initial-events-end":"true"},)");
    }
    return page.version;
  }

  void send_bookmark(Version version, const std::string& more) {
    send_chunk(R"({"type":"BOOKMARK","object":{"kind":"Service","apiVersion":"v1","metadata":{)" +
               more + R"("resourceVersion":")" + std::to_string(version) + "\"}}}\n");
  }

  void send_error(int code, const std::string& reason, const std::string& message) {
    send_chunk(R"({"type":"ERROR","object":)" + trimmed(status_object(code, reason, message)) +
               "}\n");
  }

  void follow(Version version, const Request& request, std::uint64_t epoch,
              Clock::time_point until) {
    auto bookmark = Clock::now() + shared_.options.bookmarks;
    while (!shared_.stopping && shared_.watch_epoch == epoch && Clock::now() < until) {
      if (client_has_gone()) return;
      const auto news =
          shared_.log.events_since(version, selected(request), std::chrono::milliseconds(20));
      if (!news) return send_error(410, "Expired", "too old resource version");
      for (const LogEvent& event : news->events) {
        send_chunk(R"({"type":")" + std::string(event.type) + R"(","object":)" + event.object +
                   "}\n");
      }
      if (news->version < version) continue;  // etcd was rewound: the watch never catches up
      version = news->version;
      if (Clock::now() < bookmark) continue;
      bookmark = Clock::now() + shared_.options.bookmarks;
      send_bookmark(version, "");
    }
  }

  /// Whether the client closed or reset the connection, which otherwise shows only at the next
  /// event.
  bool client_has_gone() {
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

  static std::string trimmed(std::string text) {
    text.pop_back();
    return text;
  }

  void send(const std::string& bytes) { asio::write(stream_, asio::buffer(bytes)); }

  void send_whole(int status, const std::string& headers, const std::string& body) {
    send("HTTP/1.1 " + std::to_string(status) + " Status\r\nContent-Type: application/json\r\n" +
         headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  void begin_chunks() {
    send(std::string("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n") +
         (shared_.options.chunking ? "Transfer-Encoding: chunked" : "Connection: close") +
         "\r\n\r\n");
  }

  /// False: the connection ends.
  bool end_chunks() {
    if (shared_.options.chunking) send("0\r\n\r\n");
    return shared_.options.chunking;
  }

  void send_chunk(const std::string& bytes) {
    if (!shared_.options.chunking) return send(bytes);
    if (bytes.empty()) return;  // an empty chunk would end the body
    const std::size_t size = shared_.options.chunk == 0 ? bytes.size() : shared_.options.chunk;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      const std::string piece = bytes.substr(at, size);
      char length[32];
      std::snprintf(length, sizeof length, "%zx\r\n", piece.size());
      send(length + piece + "\r\n");
    }
  }

  ApiServer::Shared& shared_;
  Stream& stream_;
  Socket& socket_;
  std::string input_;
};

}  // namespace

void serve_connection(ApiServer::Shared& shared, Socket socket) {
  try {
    socket.set_option(asio::ip::tcp::no_delay(true));
    if (!shared.options.tls) {
      Connection<Socket>(shared, socket, socket).run();
      return;
    }
    asio::ssl::stream<Socket&> stream(socket, shared.tls);
    stream.handshake(asio::ssl::stream_base::server);
    Connection<asio::ssl::stream<Socket&>>(shared, stream, socket).run();
  } catch (const std::exception&) {
    // The client closed the connection, or the handshake failed.
  }
}

}  // namespace nmanager::test
