// Certificates for one run: an authority, and the certificates that it signs.
#pragma once

#include <string>
#include <vector>

namespace nmanager::test {

struct PemPair {
  std::string certificate;
  std::string key;
};

/// Self-signed, valid for a day.
[[nodiscard]] PemPair make_authority(const std::string& common_name);

/// Seconds from now.
struct Validity {
  long from = -3'600;
  long to = 86'400;
};

/// For servers and clients. `names` become subject alternative names, of type IP if they are
/// addresses.
[[nodiscard]] PemPair make_certificate(const PemPair& authority, const std::string& common_name,
                                       const std::vector<std::string>& names,
                                       Validity validity = {});

/// An authority that is signed by another one.
[[nodiscard]] PemPair make_intermediate(const PemPair& authority, const std::string& common_name);

}  // namespace nmanager::test
