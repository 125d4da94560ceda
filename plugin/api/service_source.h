// Where Services come from.
#pragma once

#include <functional>

#include "plugin/model/api_event.h"

namespace nmanager::api {

/// Called on the client's thread; must not block and must not throw.
using ApiSink = std::function<void(ApiEvent)>;

/// Lists and watches Services until it is destroyed. Starting never fails: everything that goes
/// wrong is reported as ApiState and tried again.
class ServiceSource {
 public:
  /// Returns within 100 ms whatever hangs; the sink is not called any more from then on.
  virtual ~ServiceSource() = default;
  virtual void start(ApiSink sink) = 0;
};

}  // namespace nmanager::api
