// A server on loopback that answers each request with prepared bytes, valid or not.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "plugin/settings/parse.h"

namespace nmanager::test {

/// The response to one request.
struct Reply {
  std::string bytes;
  std::size_t repeat = 1;     // how often the bytes are sent
  bool hang = false;          // stay silent afterwards instead of closing
  bool byte_by_byte = false;  // with a pause after each byte
};

[[nodiscard]] inline Reply ok(const std::string& body) {
  return {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body};
}

/// Serves one connection at a time, on its own thread.
class ScriptedServer {
 public:
  using Script = std::function<Reply(std::string_view path)>;

  explicit ScriptedServer(Script script, Family family = Family::kIpv4);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] Endpoint endpoint() const { return endpoint_; }
  [[nodiscard]] int requests() const { return requests_; }

 private:
  void serve();
  void answer(int connection);

  Script script_;
  Endpoint endpoint_;
  int listener_ = -1;
  int stop_event_ = -1;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

/// A loopback port on which no process listens.
[[nodiscard]] Endpoint closed_port();

}  // namespace nmanager::test
