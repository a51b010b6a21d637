// Streams: sequences of calls on one device. Calls of one stream run in their order; those of different streams do not
// wait for each other, and a call that fails does not affect other streams.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "lockstep/call_site.h"
#include "lockstep/device.h"
#include "lockstep/export.h"
#include "lockstep/handle.h"

namespace LOCKSTEP_API lockstep {

/// A handle; copies refer to the same stream. If several threads use one stream, their calls have one order.
///
/// Every device has a default stream, which threads use outside all StreamScopes. On a device that does its work within
/// the call (`cpu`, `reference`), every stream is the default one: a call is done, or has failed, when it returns, so
/// that there is nothing to separate.
///
/// A tensor may be used on any stream. If another stream writes it, the call first waits, on the host, until that is
/// done. If the write has failed, the call throws that failure, which names the op and the line that failed. The call
/// then enqueues nothing and leaves its own stream as it was. A call that changes a variable also waits until no other
/// stream reads the variable's memory. As without streams, the program must ensure that no thread reads a variable
/// while another one changes it.
///
/// After the last handle is gone, the stream's calls still run, and the tensors that they make stay usable. Destroying
/// the handle does not wait. A failure that was not reported by then is thrown when such a tensor is used, and reported
/// by synchronize(device).
class Stream {
 public:
  /// Opens the device if it is not open. Throws DeviceError LS3007 if the driver gives no further queue, LS3003 if the
  /// device cannot be opened, StateError LS1003 in a forked child.
  static Stream create(Device device, CallSite where = CallSite::current());
  /// A stream for copies between host and device: tensors made from data or moved to the device, fills such as `zeros`,
  /// and reads of dense tensors. A read of another tensor, and an assignment in place, need a kernel. If the hardware
  /// has an engine for copies, they run beside the kernels of other streams. An op that needs a kernel throws
  /// UnsupportedError LS6001 there, unless the driver runs kernels on such queues too. Throws as `create`.
  static Stream create_for_transfers(Device device, CallSite where = CallSite::current());
  /// The device's default stream. Throws as `create` does, but never LS3007.
  static Stream default_of(Device device);

  Device device(CallSite where = CallSite::current()) const;

  /// Waits until everything enqueued on this stream is done. Throws the stream's oldest failure that was not reported
  /// yet (docs/errors.md), but no failure of another stream. The use or read of a tensor without contents on another
  /// stream throws the failure too, but does not report it: this function still throws it.
  void synchronize(CallSite where = CallSite::current()) const;

  struct LOCKSTEP_HIDDEN State;

 private:
  friend class DeviceState;
  friend class StreamScope;
  friend bool operator==(const Stream& a, const Stream& b);
  explicit Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static Stream of_kind(std::uint32_t kind, Device device, CallSite where);

  HandlePointer<std::shared_ptr<State>, "stream"> state_;
};

/// Whether both are the same stream.
bool operator==(const Stream& a, const Stream& b);  // not only as a friend: that would not be exported

/// Until the end of the scope, what this thread calls on the stream's device is enqueued on that stream: ops, tensors
/// made from data, assignments, reads. Calls on other devices are not affected. Of nested scopes for one device, the
/// innermost applies. Threads that are started within the scope are not in it.
///
/// A scope must end on the thread that made it. It may end before a scope within it, which then still applies.
class [[nodiscard]] StreamScope {
 public:
  explicit StreamScope(const Stream& stream, CallSite where = CallSite::current());
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  friend class DeviceState;

  const Stream stream_;
  mutable const StreamScope* outer_;  // changes if the outer scope ends first
};

}  // namespace lockstep
