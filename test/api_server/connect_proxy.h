// An HTTP proxy that supports only CONNECT, and connects every name to one port of loopback.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nmanager::test {

class ConnectProxy {
 public:
  /// Listens on a port of 127.0.0.1. `status`: the answer to every request; only 200 connects.
  explicit ConnectProxy(std::uint16_t to, int status = 200);
  ConnectProxy(const ConnectProxy&) = delete;
  ConnectProxy& operator=(const ConnectProxy&) = delete;
  ~ConnectProxy();

  [[nodiscard]] std::string url() const;
  /// First line of each request: "CONNECT kubernetes.example:443 HTTP/1.1".
  [[nodiscard]] std::vector<std::string> asked() const;

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace nmanager::test
