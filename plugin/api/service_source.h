// The source of Services.
#pragma once

#include <functional>

#include "plugin/model/api_event.h"

namespace nmanager::api {

/// Called on the client's thread; must not block and must not throw.
using ApiSink = std::function<void(ApiEvent)>;

/// Lists and watches Services until it is destroyed. Starting never fails: every failure is
/// reported as ApiState and retried.
class ServiceSource {
 public:
  /// Always returns within 100 ms; the sink is not called afterwards.
  virtual ~ServiceSource() = default;
  virtual void start(ApiSink sink) = 0;
};

}  // namespace nmanager::api
