// Cases that cannot run here (no root, no kernel module) are counted as skipped, never as passed.
#pragma once

#include <string_view>

namespace nmanager::test {

/// To be called in a case that ends without having tested anything. Any thread.
void skip(std::string_view reason);

/// True: skip() was called since the last call.
[[nodiscard]] bool take_skipped();

}  // namespace nmanager::test
