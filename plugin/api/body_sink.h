// A response stream of cpprestsdk that passes each piece of the body on as it arrives; the
// library's own buffers would grow without bound during a watch.
#pragma once

#include <cpprest/astreambuf.h>
#include <cpprest/streams.h>

#include <memory>

#include "plugin/api/exchange.h"

namespace nmanager::api {

[[nodiscard]] concurrency::streams::ostream body_sink(std::shared_ptr<Exchange> exchange);

}  // namespace nmanager::api
