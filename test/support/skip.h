// Cases that cannot run here (no root, no kernel module) are counted as skipped, never as passed.
#pragma once

#include <string_view>

namespace nmanager::test {

/// Call it in a case that ends without testing anything. Any thread.
void skip(std::string_view reason);

/// True if skip() was called since the last call.
[[nodiscard]] bool take_skipped();

}  // namespace nmanager::test
