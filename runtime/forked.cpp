#include "runtime/forked.h"

#include "lockstep/error.h"
#include "runtime/library.h"

namespace lockstep {
namespace {

std::atomic<unsigned> open_devices{0}, generation{0};

}  // namespace

std::atomic<bool> in_forked_child{false};

void raise_forked() {
  ErrorBuilder(ErrorId::used_after_fork, "device", "this process was forked after Lockstep had opened devices")
      .fix("start a fresh process (posix_spawn or exec) instead of fork, or fork before the first use")
      .raise();
}

OpenDevice::OpenDevice() { ++open_devices; }
OpenDevice::~OpenDevice() { --open_devices; }

unsigned fork_generation() {
  static const bool told = [] {
    on_fork_in_child([] {
      if (open_devices.load() > 0) {
        in_forked_child = true;
      } else {
        ++generation;
      }
    });
    return true;
  }();
  static_cast<void>(told);
  return generation.load(std::memory_order_relaxed);
}

}  // namespace lockstep
