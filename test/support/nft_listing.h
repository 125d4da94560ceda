// What nft lists, made comparable.
#pragma once

#include <string>

namespace nmanager::test {

/// Without counters' values, elements of sets sorted: the kernel shows them in the order of a hash
/// with a random seed.
std::string normal_listing(std::string text);

/// The same, each line with the chain or set it stands in, sorted: the order of chains, and of
/// rules in them, is left out.
std::string listing_by_line(std::string text);

}  // namespace nmanager::test
