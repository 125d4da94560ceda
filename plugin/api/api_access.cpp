#include "plugin/api/api_access.h"

#include <filesystem>

#include "hooks/sys/small_file.h"
#include "hooks/values/address.h"

namespace nmanager::api {

namespace {
constexpr std::size_t kMaxCredentialBytes = std::size_t{1} << 20;
}  // namespace

Result<std::string> read_credential_file(const std::string& path) {
  return sys::read_small_file(path, kMaxCredentialBytes);
}

Result<std::string> PemSource::read() const {
  if (!data.empty()) return data;
  return read_credential_file(file);
}

Result<ApiAccess> in_cluster_access(const std::string& host, const std::string& port,
                                    const std::string& folder) {
  if (host.empty() || port.empty()) {
    return Error{ErrorKind::kAbsent,
                 "no kubeconfig, and no service account: KUBERNETES_SERVICE_HOST and "
                 "KUBERNETES_SERVICE_PORT are not set"};
  }
  std::error_code error;
  if (!std::filesystem::exists(folder + "/token", error)) {
    return Error{ErrorKind::kAbsent,
                 "no kubeconfig, and no service account: " + folder + "/token does not exist"};
  }
  const auto address = Address::parse(host);
  const bool bracketed = address && address->family() == Family::kIpv6;
  ApiAccess access;
  access.server = "https://" + (bracketed ? '[' + host + ']' : host) + ':' + port;
  access.ca.file = folder + "/ca.crt";
  access.token_file = folder + "/token";
  return access;
}

}  // namespace nmanager::api
