#include "plugin/api/server_url.h"

#include <charconv>

#include "hooks/values/text.h"

namespace nmanager::api {

namespace {

Error refused(std::string why) {
  return {ErrorKind::kBadInput, std::move(why)};
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

/// `host` and `port` of "host", "host:port", "[address]:port"; false: none.
bool split_authority(std::string_view text, std::string_view& host, std::string_view& port) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return false;
    host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    const auto address = Address::parse(host);
    if (!address || address->family() != Family::kIpv6) return false;
    if (text.empty()) return true;
    if (text.front() != ':') return false;
    port = text.substr(1);
    return !port.empty();
  }
  const auto colon = text.find(':');
  host = text.substr(0, colon);
  if (host.empty()) return false;
  for (const char c : host) {
    if (!is_host_character(c)) return false;
  }
  if (colon == std::string_view::npos) return true;
  port = text.substr(colon + 1);
  return !port.empty();
}

}  // namespace

Result<ServerUrl> parse_server_url(std::string_view text) {
  ServerUrl url;
  const auto scheme_end = text.find("://");
  const std::string_view scheme = text.substr(0, scheme_end);
  url.tls = equal_ignoring_case(scheme, "https");
  if (scheme_end == std::string_view::npos || (!url.tls && !equal_ignoring_case(scheme, "http"))) {
    return refused("server is not an http or https URL");
  }
  text.remove_prefix(scheme_end + 3);
  const auto path = text.find_first_of("/?#");
  const std::string_view authority = text.substr(0, path);
  if (path != std::string_view::npos) url.path = text.substr(path);
  while (url.path.ends_with('/')) url.path.pop_back();
  if (authority.find('@') != std::string_view::npos) {
    return refused("a user or password in the server's URL is not supported; use a token file");
  }
  if (url.path.find_first_of("?#") != std::string::npos || !is_printable(url.path) ||
      url.path.find(' ') != std::string::npos) {
    return refused("the server's URL has a query, a fragment or blanks");
  }
  std::string_view host;
  std::string_view port;
  if (!split_authority(authority, host, port)) {
    return refused("the server's URL has no usable host: " + in_quotes(authority));
  }
  url.host = host;
  url.address = Address::parse(host);
  url.port = url.tls ? 443 : 80;
  if (port.empty()) return url;
  const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc{} || rest != port.data() + port.size() || url.port == 0) {
    return refused("the server's URL has no usable port: " + in_quotes(port));
  }
  return url;
}

std::string authority_of(const ServerUrl& url, bool always_port) {
  const bool bracketed = url.address && url.address->family() == Family::kIpv6;
  std::string text = bracketed ? '[' + url.host + ']' : url.host;
  if (always_port || url.port != (url.tls ? 443 : 80)) text += ':' + std::to_string(url.port);
  return text;
}

std::string to_string(const ServerUrl& url) {
  return (url.tls ? "https://" : "http://") + authority_of(url, false) + url.path;
}

}  // namespace nmanager::api
