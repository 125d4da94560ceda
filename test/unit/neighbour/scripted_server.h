// A server on loopback that answers each request with prepared bytes, however wrong they are.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "plugin/settings/parse.h"

namespace nmanager::test {

/// What is sent for one request.
struct Reply {
  std::string bytes;
  std::size_t repeat = 1;     // the bytes, so many times
  bool hang = false;          // stay silent afterwards instead of closing
  bool byte_by_byte = false;  // with a pause after each
};

[[nodiscard]] inline Reply ok(const std::string& body) {
  return {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body};
}

/// One connection at a time, on a thread of its own.
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

/// A port of loopback on which nobody listens.
[[nodiscard]] Endpoint nobody();

}  // namespace nmanager::test
