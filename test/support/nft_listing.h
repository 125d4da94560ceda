// Normalizes nft listings for comparison.
#pragma once

#include <string>

namespace nmanager::test {

/// Without the values of counters, and with sorted elements of sets: the kernel lists them in the
/// order of a hash with a random seed.
std::string normal_listing(std::string text);

/// The same as sorted lines, each with its chain or set: the order of chains, and of rules in them,
/// has no effect.
std::string listing_by_line(std::string text);

}  // namespace nmanager::test
