#include "ops/observer.h"

namespace lockstep {

void report_value_read(const TensorImpl& impl, const char* how, CallSite where) {
  for (OpObserver* observer : op_observers().watching()) observer->value_read(impl, how, where);
}

}  // namespace lockstep
