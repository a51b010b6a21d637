#include "runtime/fault.h"

#include "api/internal/mutex.h"
#include "lockstep/error.h"
#include "lockstep/testing.h"

namespace lockstep {
namespace fault {

std::atomic<bool> armed{false};

namespace {

struct Plan {
  Mutex mutex;
  std::uint64_t target LOCKSTEP_GUARDED_BY(mutex) = 0, passed LOCKSTEP_GUARDED_BY(mutex) = 0;
  std::string site LOCKSTEP_GUARDED_BY(mutex);
};

Plan& plan() {
  static auto* p = new Plan;
  return *p;
}

}  // namespace

lks_status reach(std::uint32_t kind, const char* site) {
  LockGuard lock(plan().mutex);
  if (++plan().passed != plan().target) return LKS_OK;
  plan().site = site;
  return kind == LKS_FAULT_ALLOC ? LKS_OUT_OF_MEMORY : LKS_INTERNAL;
}

}  // namespace fault

FaultInjection::FaultInjection(std::uint64_t k) {
  LockGuard lock(fault::plan().mutex);
  if (fault::armed) {
    ErrorBuilder(ErrorId::invalid_use, "FaultInjection", "another FaultInjection is alive").raise();
  }
  fault::plan().target = k;
  fault::plan().passed = 0;
  fault::plan().site.clear();
  fault::armed = true;
}

FaultInjection::~FaultInjection() { fault::armed = false; }

std::uint64_t FaultInjection::passed() const {
  LockGuard lock(fault::plan().mutex);
  return fault::plan().passed;
}

bool FaultInjection::fired() const {
  LockGuard lock(fault::plan().mutex);
  return fault::plan().target != 0 && fault::plan().passed >= fault::plan().target;
}

std::string FaultInjection::site() const {
  LockGuard lock(fault::plan().mutex);
  return fault::plan().site;
}

}  // namespace lockstep
