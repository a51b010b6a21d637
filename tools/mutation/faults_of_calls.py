"""Faults made by hand in calls and what they go through: kept calls, calls by name, numbers known only at launch, streams, call
sites, memory of others, and ops that are composites; see faults.py."""

FAULTS = {
    "ops/kept_call.cpp": [
        ("    slot.offset = layout.offset;", "", "the alignment of a described operand is ignored"),
        ("    if (call.inputs[i].is_scalar()) continue;", "", "numbers count where the driver refuses a tensor"),
        ("if (std::none_of(all.begin(), all.end(), same)) all.push_back(symbol);", "all.push_back(symbol);", "a symbol of two numbers is listed twice"),
        ("tensor.strides[i] != slot.strides[i] && dims[i].raw() != 1", "tensor.strides[i] != slot.strides[i]", "strides of single elements must be those of the description"),
        ("(out->block.get() != updated->block.get() || out->offset != updated->offset)", "(out->block.get() != updated->block.get())",
         "an update may be written elsewhere in the input's block"),
        ("    if (tensor.device && tensor.device != &device) {", "    if (false) {", "a call is kept for another device than that of its operands"),
        ("  check_math_mode(call, device);", "", "a call is kept in a math mode that the device does not have"),
        ("    check_size(device, spec, {.label = call.op.name.c_str(), .where = &call.where});", "", "a call is kept whose result the device cannot have"),
        ("    if (!call.op.pointwise()) check_operand_size(call, tensor);", "", "a call is kept whose extents overflow"),
        ("  described->offset = like.offset;", "", "the description of a slice is aligned as a new tensor"),
        ("  if (call.op.host) return CallRoute::host_function;", "", "the driver is asked for a function of the host"),
        ("  if (has_host_kernel(call, device)) return CallRoute::host_kernel;", "", "the driver is asked although the host has a kernel"),
        (" || call.op.id == LKS_OP_COPY", "", "a copy is to help where the driver refuses a copy"),
        (" || refusal.operand >= static_cast<std::int32_t>(prepared_.input_count)", "", "a copy is to help where the driver refuses an output"),
        ("    slot.absent = operand.is_absent();", "", "what a call leaves out is taken for a tensor"),
    ],
    "ops/launch_number.cpp": [
        ("std::tuple(op, kind, a, b, constant.kind,", "std::tuple(op, a, b, constant.kind,", "symbols of one name are one, whatever their kind"),
        ("const bool is_signed = value.kind == NumberKind::integer;", "const bool is_signed = true;", "a large counter becomes a negative real number"),
        ("return a == NumberKind::counter || b == NumberKind::counter ? NumberKind::counter : NumberKind::integer;", "return a;",
         "an integer in front of a counter makes it an integer"),
        ("sum = first ? product : sum + product;", "sum = product;", "of an extent that is a sum only the last term counts"),
        ("unsigned_result(NumberOp op, std::uint64_t a, std::uint64_t b) {", "unsigned_result(NumberOp op, std::int64_t a, std::int64_t b) {", "large counters are divided as negative numbers"),
        ("%.17g", "%g", "different numbers have the same text"),
    ],
    "ops/call_op.cpp": [
        ("while (all.size() < op.inputs.size()) all.push_back(Operand::absent(line));", "", "optional inputs must be given"),
        ("number->kind == Scalar::Kind::integer && !number->above_int64", "number->kind == Scalar::Kind::integer", "axes above i64 wrap to negative ones"),
        ("case ArgumentKind::real: return if_holds(number && number->kind != Scalar::Kind::logical);", "case ArgumentKind::real: return if_holds(number);",
         "true is taken for the number 1"),
        ("def.kind == ArgumentKind::number || def.at_launch) return;", "def.kind == ArgumentKind::number) return;", "a key may not be known only at launch"),
        ("case ArgumentKind::number: return if_holds(number);", "case ArgumentKind::number: return if_holds(number && number->kind != Scalar::Kind::logical);", "true is not an element by name"),
        ("number->kind != Scalar::Kind::floating && !number->above_int64", "number->kind != Scalar::Kind::floating", "attributes of an application wrap to negative numbers"),
    ],
    "ops/arguments.cpp": [
        ("  std::sort(numbers.begin(), numbers.end());", "", "axes must be given in ascending order"),
        ("std::clamp<std::int64_t>(count, 0, capacity)", "std::clamp<std::int64_t>(count, 0, 8)", "of a long list of axes only the first eight count from the front"),
        ("return axis < 0 && axis >= -rank ? axis + rank : axis;", "return axis < 0 ? axis + rank : axis;", "an axis before the first is told as another one"),
        ("if (scalar.unless_given) argument.unless_given = ArgumentValue(*scalar.unless_given);", "", "an op's own numbers lose their defaults"),
    ],
    "ops/reduce/cumsum.cpp": [
        ("{a.axis, !a.reverse}", "{a.axis, 1}", "the gradient of sums from the end runs from the end"),
        ("distance < extent; distance = next(distance)", "distance < extent / 2; distance = next(distance)", "the last step is left out"),
    ],
    "ops/shape/split.cpp": [
        ("for (std::size_t i = 0; i < o; ++i) start += a.sizes[i];", "start = static_cast<std::int64_t>(o) * size;", "parts of other sizes begin at multiples of their own"),
        ("if (whole % a.parts != 0) {", "if (whole < a.parts) {", "the rest of an extent is in no part"),
    ],
    "ops/nn/layer_norm.cpp": [
        ("if (c.has(2)) y = lockstep::add(", "if (c.has(1) && c.has(2)) y = lockstep::add(", "a shift without a scale is left out"),
        ("if (!(epsilon >= 0 && std::isfinite(epsilon))) {", "if (epsilon < 0) {", "an epsilon of NaN is accepted"),
        ("for (std::size_t i : {1, 2}) {", "for (std::size_t i : {1}) {", "a shift of one element is broadcast"),
    ],
    "ops/nn/window.cpp": [
        ("total = std::max<std::int64_t>(0, checked_add((count - 1) * strides[s], span) - extent);",
         "total = checked_add((count - 1) * strides[s], span) - extent;", "same padding of windows that lie apart is negative"),
        ("if (x.dim(static_cast<int>(side) + 1) == Dim(0)) {", "if (false) {", "an image without elements is pooled"),
    ],
    "ops/nn/conv.cpp": [
        ("pad({part, at}, {0, planes.first, 0, 0, 0}, {0, behind, 0, 0, 0}, 0)", "pad({part, at}, {0, behind, 0, 0, 0}, {0, planes.first, 0, 0, 0}, 0)",
         "the planes of a tap are added to others of the result"),
        ("window.values[side] = filter[side + 1];", "window.values[side] = filter[axes - side];", "same padding takes the filter's extents backwards"),
        ("const bool padded = padding[0] > 0 || padding[1] > 0;", "const bool padded = padding[0] > 0;", "a symbolic depth may be padded behind"),
    ],
    "ops/nn/pool.cpp": [
        ("if (a.strides.is_missing()) a.strides = a.window;", "fill_missing(a.strides, axes, 1);", "strides of pools are 1 unless given"),
        ("{a.padding[0], a.padding[1], 0, 0}};", "{a.padding[1], a.padding[0], 0, 0}};", "the padding in front of and behind the planes is exchanged"),
    ],
    "runtime/stream.cpp": [
        ("    if (s->kind != kind) continue;", "", "a stream for transfers gets a queue for kernels"),
        ("    s->leased.store(false, std::memory_order_release);", "", "a queue that had work in flight once serves nobody again"),
        ("    if (e.id() == ErrorId::device_lost) throw;", "", "a lost device is told as one without a further queue"),
        ("while (scope && &scope->stream_.state_->device != this) scope = scope->outer_;", "if (scope && &scope->stream_.state_->device != this) scope = nullptr;",
         "a stream of another device ends the outer stream"),
        ("  allocator_->expect_streams();", "", "the pool does not learn that there are streams"),
        ("  if (!a.state_ || !b.state_) return a.state_.get() == b.state_.get();", "", "comparing streams that were moved from ends the process"),
    ],
    "runtime/stream_order.cpp": [
        ("if (CommandQueue& home = home_of(block); &home != &queue) others.push_back({&home, home.newest()});", "",
         "a write does not wait for the stream that wrote before"),
        ("} while (block.upload && last_write(block) != settled);", "} while (false);", "an upload that is repeated comes after the next write"),
        ("if (write.queue && !write.queue->has_succeeded(write.value)) wait_for_contents(block, where);", "", "a tensor of another stream is read before it is written"),
        ("use.value = std::max(use.value, value);", "if (use.value == 0) use.value = value;", "of several reads on a stream only the first is waited for"),
    ],
    "runtime/command_queue.cpp": [
        ("(!range.reported && range.first >= first) || range.last == forever", "!range.reported || range.last == forever",
         "a stream reports the failures of those that had its queue before"),
    ],
    "runtime/call_site.cpp": [
        ("    if (by_number_.size() >= max_number) return 0;", "", "numbers of resolvers start again and name other languages' lines"),
        ("  if (place.file.empty()) place.file = SourcePlace().file;", "", "a place without a file has an empty name"),
        ("std::exchange(by_number_[number - 1], nullptr) : nullptr;", "by_number_[number - 1] : nullptr;", "a resolver is asked after it was removed"),
        ("std::tuple(w.line(), w.column(), ", "std::tuple(w.line(), ", "two calls in one line are one place"),
    ],
    "runtime/late_failure.cpp": [
        ("    const CallerOf caller(caller_);", "", "a failure names the line of the thread that finds it"),
        ("  ~CallerOf() { thread_state().caller = before_; }", "  ~CallerOf() {}", "the thread that finds a failure keeps its line"),
    ],
    "runtime/memory/foreign.cpp": [
        ("  for (const QueueUse& use : *block.uses) wait(*use.queue, use.value);", "", "memory goes back while another stream reads it"),
        ("  block->home = device.home_of(device.queue());", "", "memory goes back while the stream that imported it reads it"),
    ],
    "runtime/foreign_tensor.cpp": [
        ("last += strides[d] * (spec.shape[d] - 1);", "last += strides[d] * spec.shape[d];", "memory behind the last element is shared"),
        ("  if (before != 0 && alignment > smallest_page) {", "  if (false) {", "memory on a page before the array's is shared"),
    ],
    "runtime/dlpack_in.cpp": [
        ("if (are_booleans(first + offset, row.count, row.stride)) return;", "if (are_booleans(first + offset, row.count)) return;", "what lies between booleans is checked"),
        ("if (type == dlpack::cpu || type == dlpack::cuda_host || type == dlpack::rocm_host) return;", "if (type == dlpack::cpu) return;", "pinned memory is refused"),
    ],
    "runtime/host_view.cpp": [
        ("    std::copy_n(impl.strides, impl.shape.rank(), strides);", "", "views of transposed tensors have dense strides"),
        ("    wait_for_contents(*impl.block, where);", "", "a view shows elements that are not written yet"),
    ],
}
