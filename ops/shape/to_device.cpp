// Copies between devices, staged through host memory unless the host sees the target's.
#include "lockstep/call_op.h"
#include "lockstep/ops/shape.h"
#include "ops/built_in.h"
#include "ops/call_error.h"
#include "ops/invoke.h"
#include "runtime/device_state.h"
#include "runtime/driver_registry.h"
#include "runtime/host_fill.h"

namespace lockstep {
namespace {

struct ToDeviceAttrs {
  std::int64_t device = 0;  // index in the list of devices
};

std::int64_t index_of(Device device) {
  const auto entries = DriverRegistry::instance().entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i]->name == device.name()) return static_cast<std::int64_t>(i);
  }
  return -1;
}

Device device_at(std::int64_t index) {
  const auto entries = DriverRegistry::instance().entries();
  return Device(entries[static_cast<std::size_t>(index)]->name);
}

std::vector<Tensor> copy_to_device(const OpCall& call, std::span<const TensorSpec> specs) {
  const TensorImpl& x = *call.inputs[0].impl();
  const TensorRef source = x.dense ? TensorRef::share(call.inputs[0].impl()) : completed_dense_copy(x, call.where);
  DeviceState& target = device_at(call.attrs_as<ToDeviceAttrs>().device).state();
  HostFill fill(target, specs[0], {.label = call.op.name.c_str(), .where = &call.where});
  read_dense(*source, fill.data(), call.where);
  return {Tensor::adopt(fill.finish(call.where).detach())};
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(113, to_device) {
  OpDef op;
  op.name = "to_device";
  op.doc = "The same elements on another device.";
  op.inputs = {{.name = "x", .types = types::any, .doc = "of any shape"}};
  op.outputs[0].doc = "extents of x";
  op.attrs = attr_schema<ToDeviceAttrs>(
      "lks_to_device_attrs", attr("device", &ToDeviceAttrs::device, "index in the list of devices",
                                  {.kind = ArgumentKind::device, .doc = "such as \"cpu:0\"", .required = true}));
  op.by_name = [](const CallByName& c) {
    return std::vector<Tensor>{lockstep::to_device(c.input(0), Device(c.text("device")))};
  };
  op.infer = [](InferContext& c) {
    const std::int64_t device = c.attrs<ToDeviceAttrs>().device;
    if (device < 0 || static_cast<std::size_t>(device) >= DriverRegistry::instance().entries().size()) {
      c.fail(ErrorId::unknown_device, "there is no device number " + std::to_string(device),
             "`lockstep devices` lists what there is");
    }
    c.set(0, c.dtype(0), c.shape(0));
  };
  op.host = &copy_to_device;
  op.saves = {{.inputs = 1}};  // the gradient goes back to its device
  op.gradient = [](GradContext& g) {
    const Tensor x = g.input(0).tensor(), dy = g.upstream();
    // An abstract tensor lies on no device.
    g.set(0, x.is_abstract() ? dy : lockstep::to_device({dy, g.where()}, x.device()));
  };
  op.reference = [](RefContext& r) { r.outputs[0].values = r.inputs[0].values; };
  op.cases = [] { return std::vector<OpCase>{OpCase{"first", {{Shape{3, 5}}}}.with(ToDeviceAttrs{0})}; };
  return op;
}

}  // namespace defs

Tensor to_device(Operand x, Device device) {
  static const OpDef& op = built_in("to_device");
  Tensor here = x.tensor();
  if (!here.is_abstract() && here.device() == device) return here;
  const ToDeviceAttrs attrs{index_of(device)};
  return invoke1(op, {x}, &attrs);
}

Tensor Tensor::to(Device device, CallSite where) const { return to_device({*this, where}, device); }

}  // namespace lockstep
