// The endpoint over real sockets, with clients of every kind.
#include "plugin/status/server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <deque>
#include <future>
#include <string>
#include <thread>

#include "test/unit/status/sample.h"

namespace nmanager::test {
using namespace nmanager::status;
namespace {

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(fd_); }

  [[nodiscard]] bool connected() const { return connected_; }
  void send(const std::string& bytes) const {
    (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  /// The data until it contains `end`, the connection is closed, or five seconds have passed.
  [[nodiscard]] std::string read(const std::string& end) const {
    std::string text;
    pollfd ready{fd_, POLLIN, 0};
    char buffer[4096];
    while (text.find(end) == std::string::npos && ::poll(&ready, 1, 5000) == 1) {
      const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(size));
    }
    return text;
  }
  /// True: closed by the server within five seconds.
  [[nodiscard]] bool closed() const {
    pollfd ready{fd_, POLLIN, 0};
    char byte = 0;
    return ::poll(&ready, 1, 5000) == 1 && ::recv(fd_, &byte, 1, 0) <= 0;
  }

 private:
  int fd_;
  bool connected_ = false;
};

struct Running {
  StatusBoard board{std::chrono::steady_clock::now()};
  std::promise<void> asked;  // set by the first question
  Questions questions{[this] { asked.set_value(); }};
  std::unique_ptr<StatusServer> server;

  Running() {
    Snapshot snapshot = sample_snapshot();
    snapshot.checks.resize(1);
    board.publish(std::make_shared<const Snapshot>(std::move(snapshot)));
    auto started = StatusServer::start(*Address::parse("127.0.0.1"), 0, board, questions);
    REQUIRE(started.ok());
    server = std::move(*started);
  }
};

}  // namespace

TEST_CASE("requests one after the other on one connection") {
  const Running running;
  const Client client(running.server->port());
  client.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string first = client.read("\r\n\r\nok");
  CHECK(first.starts_with("HTTP/1.1 200"));
  CHECK(first.find("Cache-Control: no-store") != std::string::npos);
  client.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.read("\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 200"));
  CHECK(head.ends_with("\r\n\r\n"));
  client.send("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(client.read("\r\n\r\nnot found").starts_with("HTTP/1.1 404"));
  CHECK(client.closed());
}

TEST_CASE("an invalid request gets 400 and the connection is closed") {
  const Running running;
  for (const std::string& bytes :
       {std::string("garbage\r\n\r\n"), std::string("\x16\x03\x01 TLS hello\r\n\r\n"),
        "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n",
        std::string("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde")}) {
    const Client client(running.server->port());
    client.send(bytes);
    const std::string answer = client.read("\r\n\r\n");
    CHECK_MESSAGE((answer.empty() || answer.starts_with("HTTP/1.1 4")), answer);
  }
  const Client good(running.server->port());
  good.send("GET /livez HTTP/1.0\r\n\r\n");
  CHECK(good.read("ok").find("200") != std::string::npos);
}

TEST_CASE("answers with counters wait for current ones, up to a bound; others do not wait") {
  Running running;
  const auto publish = [&](const char* version, std::uint64_t answers) {
    Snapshot snapshot = sample_snapshot();
    snapshot.version = version;
    snapshot.answers = answers;
    running.board.publish(std::make_shared<const Snapshot>(std::move(snapshot)));
  };
  const Client status(running.server->port());
  status.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  while (running.board.asked() == 0) std::this_thread::yield();
  const Client probe(running.server->port());
  probe.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(probe.read("ok").starts_with("HTTP/1.1 200"));
  publish("before-the-look", 0);
  publish("after-the-look", 1);
  CHECK(status.read("settings:").find("nmanager after-the-look") != std::string::npos);
  // The owner thread waits for a lock: the last known values are shown.
  status.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  while (running.board.asked() == 1) std::this_thread::yield();
  publish("held-up", 1);
  CHECK(status.read("settings:").find("nmanager held-up") != std::string::npos);
  // A later answer is dropped, whether or not client and server still exist.
  publish("late", 2);
  const Client gone(running.server->port());
  gone.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  while (running.board.asked() == 2) std::this_thread::yield();
  running.server.reset();
  publish("too-late", 3);
}

TEST_CASE("idle connections make room for a probe") {
  const Running running;
  std::deque<Client> idle;
  for (int i = 0; i < 100; ++i) CHECK(idle.emplace_back(running.server->port()).connected());
  const Client probe(running.server->port());
  probe.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(probe.read("ok").starts_with("HTTP/1.1 200"));
  CHECK(idle.front().closed());
}

TEST_CASE("stops at once while clients hang") {
  Running running;
  const Client client(running.server->port());
  client.send("GET /live");
  const auto start = std::chrono::steady_clock::now();
  running.server.reset();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

TEST_CASE("a question waits for the owner thread and delays no other request") {
  Running running;
  const Client client(running.server->port());
  client.send("GET /explain?service=default/web HTTP/1.1\r\nHost: x\r\n\r\n");
  running.asked.get_future().wait();
  const Client probe(running.server->port());
  probe.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(probe.read("ok").starts_with("HTTP/1.1 200"));
  auto pending = running.questions.take();
  REQUIRE(pending.size() == 1);
  CHECK(pending[0].question.service == "default/web");
  Explanation answer;
  answer.question = pending[0].question;
  answer.found = false;
  pending[0].answer(answer);
  CHECK(client.read("such Service").find("no rules: there is no such Service") !=
        std::string::npos);
  // The connection stays open.
  client.send("GET /explain?service=moon HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.read("needed").starts_with("HTTP/1.1 400"));
}

TEST_CASE("an answer without a waiting client is dropped") {
  Running running;
  {
    const Client client(running.server->port());
    client.send("GET /explain?skipped HTTP/1.1\r\nHost: x\r\n\r\n");
    running.asked.get_future().wait();
  }
  auto pending = running.questions.take();
  running.server.reset();
  REQUIRE(pending.size() == 1);
  pending[0].answer({});
}

TEST_CASE("too many questions for the owner are refused") {
  int woken = 0;
  Questions questions([&] { ++woken; });
  for (std::size_t i = 0; i < Questions::kMost; ++i) CHECK(questions.ask({}));
  CHECK_FALSE(questions.ask({}));
  CHECK(woken == static_cast<int>(Questions::kMost));
  CHECK(questions.take().size() == Questions::kMost);
  CHECK(questions.ask({}));
}

TEST_CASE("only loopback is allowed, and a port in use is reported") {
  Running running;
  const auto open =
      StatusServer::start(*Address::parse("0.0.0.0"), 0, running.board, running.questions);
  REQUIRE(!open.ok());
  CHECK(open.error().kind == ErrorKind::kBadInput);
  const auto taken = StatusServer::start(*Address::parse("127.0.0.1"), running.server->port(),
                                         running.board, running.questions);
  REQUIRE(!taken.ok());
  CHECK(taken.error().message.find("in use") != std::string::npos);
}

}  // namespace nmanager::test
