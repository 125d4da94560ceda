#include "plugin/api/resolve.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <span>
#include <thread>
#include <utility>

#include "hooks/values/text.h"

namespace nmanager::api {

namespace {

std::optional<Address> address_of(const sockaddr* address) {
  const auto bytes = [](const void* at, std::size_t size) {
    return std::span(static_cast<const std::uint8_t*>(at), size);
  };
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return Address(Family::kIpv4, bytes(&v4->sin_addr, 4));
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    return Address(Family::kIpv6, bytes(&v6->sin6_addr, 16));
  }
  return std::nullopt;
}

/// Blocks as long as the C library does.
Result<std::vector<Address>> ask(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;  // no AI_ADDRCONFIG: see getaddrinfo() below
  addrinfo* first = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &first);
  if (error != 0) {
    return Error{ErrorKind::kUnavailable,
                 "cannot resolve " + in_quotes(host) + ": " + ::gai_strerror(error)};
  }
  std::vector<Address> addresses;
  for (const addrinfo* one = first; one != nullptr; one = one->ai_next) {
    const auto address = address_of(one->ai_addr);
    if (address && std::ranges::find(addresses, *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  ::freeaddrinfo(first);
  if (addresses.empty()) {
    return Error{ErrorKind::kUnavailable, in_quotes(host) + " has no address"};
  }
  return addresses;
}

std::optional<std::vector<Address>> known_address(const std::string& host) {
  if (const auto address = Address::parse(host)) return std::vector{*address};
  if (!equal_ignoring_case(host, "localhost")) return std::nullopt;
  return std::vector{*Address::parse("::1"), *Address::parse("127.0.0.1")};
}

}  // namespace

std::shared_ptr<Lookup> Lookup::start(const std::string& host) {
  auto lookup = std::make_shared<Lookup>();
  if (auto known = known_address(host)) {
    lookup->finish(std::move(*known));
  } else {
    std::thread([lookup, host] { lookup->finish(ask(host)); }).detach();
  }
  return lookup;
}

void Lookup::finish(Result<std::vector<Address>> result) {
  const std::lock_guard lock(mutex_);
  result_ = std::move(result);
  changed_.notify_all();
}

void Lookup::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

std::optional<Result<std::vector<Address>>> Lookup::wait(
    std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return stopped_ || result_; });
  if (stopped_) return std::nullopt;
  if (!result_) return Error{ErrorKind::kRetry, "the name server does not answer"};
  return result_;
}

}  // namespace nmanager::api

/// Overrides the C library's function for the whole process: the HTTP library resolves every host
/// with AI_ADDRCONFIG, and this cannot be configured (Boost.Asio's default flags of a query). With
/// that flag glibc refuses 127.0.0.1 on a node whose interfaces have only IPv6 addresses, and ::1
/// on one with only IPv4. The flag prevents that names are resolved to unreachable addresses; for
/// an address it has no purpose.
// The C library's declaration has other parameter names.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** result) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto next = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (next == nullptr) return EAI_SYSTEM;
  in6_addr bytes{};
  const bool numeric = host != nullptr && (::inet_pton(AF_INET, host, &bytes) == 1 ||
                                           ::inet_pton(AF_INET6, host, &bytes) == 1);
  if (!numeric || hints == nullptr) return next(host, service, hints, result);
  addrinfo changed = *hints;
  changed.ai_flags = (changed.ai_flags & ~AI_ADDRCONFIG) | AI_NUMERICHOST;
  return next(host, service, &changed, result);
}
