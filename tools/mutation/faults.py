"""Faults made by hand: mistakes in meaning that a programmer might make and that the rules cannot produce."""
from faults_by_reading import FAULTS as BY_READING
from faults_of_calls import FAULTS as OF_CALLS
from faults_of_ops import FAULTS as OF_OPS
from faults_of_training import FAULTS as OF_TRAINING
from rules import Fault

# file: (text that occurs once in it, within one line; the replacement with the fault; what is broken)
FAULTS = {
    "runtime/memory/pool.cpp": [
        ("  if (tail->next) tail->next->previous = tail;", "", "the block after a new tail names the wrong neighbour"),
        ("    reserved_ -= segment->bytes;", "", "memory given back to the driver counts as reserved"),
        ("class_of(rounded(block->requested, alignment_))", "class_of(block->bytes)", "a block is filed by its size, not by its request"),
        ("  --blocks.exact_count;", "", "blocks taken from the exact lists count as there"),
        ("  if (!block && wanted > bytes) block = add_segment(bytes, large, failure);", "", "no smaller segment is tried"),
        ("if (is_free(block->next) && !block->next->cached_exact && can_merge", "if (is_free(block->next) && can_merge", "blocks of the exact lists are merged"),
        ("std::max(step_for(bytes), alignment)", "step_for(bytes)", "sizes are not multiples of the alignment"),
        ("block->segment->large && !compact_ ? rest <= small_limit : rest < alignment_", "rest < alignment_", "large blocks are cut up"),
        ("    // While release_cached() waited, commands may have freed a part of a segment that is still in use.", "    return nullptr;", "no second try after cached memory was given back"),
        ("std::max(bytes, std::min(room / 16, small_segment))", "small_segment", "small segments take all that a limit leaves"),
        ("if (!is_free(block) || block->next || !is_quiet(*block)) return false;", "if (!is_free(block) || !is_quiet(*block)) return false;", "a segment goes whose first block alone is free"),
        ("  tail->home = block->home;", "", "the rest of a block that another stream uses counts as the default stream's"),
        ("  tail->freed_at = block->freed_at;", "", "the rest of a block in use counts as done"),
        ("    into->freed_at = std::max(into->freed_at, gone->freed_at);", "", "two blocks that are merged count as done with the first"),
        ("std::uint64_t last = block.home == home ? block.freed_at : 0;", "std::uint64_t last = 0;", "a block that its own stream gets again counts as done"),
        ("if (use.queue == queue) last = std::max(last, use.value);", "if (use.queue == queue) last = std::max<std::uint64_t>(last, 0);", "a block counts as done that a stream gets while it still reads it"),
    ],
    "runtime/memory/allocator.cpp": [
        ("tracker_.add(block->owner, block->bytes);", "tracker_.add(block->owner, bytes);", "what is added is not what is removed"),
        ("  if (bytes && budget_->used() > *bytes) pool_.release_cached();", "", "a new limit keeps cached memory above it"),
        ("  tracker_.move(block->owner, owner, block->bytes);", "", "a block changes its owner, the sums do not"),
        ("      if (!block.in_use) return;", "", "free blocks count as holders"),
        ("return a.second > b.second;", "return a.second < b.second;", "the smallest holders come first"),
        ("shortage.device_free = device_.memory_free();", "shortage.device_free = device_.memory_total();", "free memory is told as the total"),
        ("refused ? lks_status{LKS_INTERNAL} : failure.status", "refused ? failure.status : failure.status", "memory that a driver refuses is a missing kernel"),
    ],
    "runtime/driver_table.cpp": [
        ("    if (is_empty_slot(&given, at)) return", "    if (false) return", "a slot of the first version may be null"),
        ("  std::memset(static_cast<void*>(&own), 0, own_bytes);", "", "slots that an older driver lacks are left over"),
        ("std::min(bytes, own_bytes)", "bytes", "slots of a newer driver are written beyond the table"),
    ],
    "runtime/memory/foreign.cpp": [
        ("  wait_for_users(*block);", "", "memory goes back while a command reads it"),
    ],
    "runtime/foreign_tensor.cpp": [
        ("  if (before % element != 0) {", "  if (false) {", "memory is shared whose elements the device cannot address"),
        ("  tensor->offset = static_cast<std::int64_t>(before / element);", "", "shared memory is read from before its first element"),
        ("  check_size(device, spec, purpose);", "", "a shared tensor may be larger than the device allows"),
        ("  tensor->producer = purpose.label;", "", "errors do not say where a shared tensor came from"),
        ("  tensor->scope = thread_state().scope;", "", "errors do not say in which scope a tensor was shared"),
        ('  check_enum(copy, CopyPolicy::never, "copy policy", op, where);', "", "from_memory takes policies that there are not"),
    ],
    "runtime/host_view.cpp": [
        ("    dense = impl.dense;", "", "strided elements are read as dense ones"),
        ("    shared = TensorRef::share(&impl);", "", "a view shows memory that another tensor has"),
    ],
    "runtime/tensor_mapping.cpp": [
        ("static_cast<std::size_t>(tensor.offset) * size_of(tensor.dtype)", "static_cast<std::size_t>(tensor.offset)", "a view of a slice starts elsewhere"),
        ("  block_.device->api().buffer_unmap(block_.device->handle(), block_.buffer);", "", "views never end"),
    ],
    "runtime/host_fill.cpp": [
        ("if (device.host_visible() && device.queue().is_inline()) {", "if (device.host_visible()) {", "the host writes memory that commands in flight use"),
    ],
    "runtime/dlpack_in.cpp": [
        ("stride = extent == 1 ? 0 : array_.strides[d];", "stride = array_.strides[d];", "strides of single elements count"),
        ("offset -= strides[d] * shape[d];", "", "rows of arrays of three dimensions are mixed up"),
        ("(copy == CopyPolicy::if_needed && read_only)", "copy == CopyPolicy::if_needed", "a tensor changes when its array does"),
        ("wait_for_contents(*tensor->block, where);  // so that", "// so that", "an array is freed at some later time"),
        ("__builtin_add_overflow(reach, bytes, &reach)) {", "__builtin_add_overflow(reach, bytes, &bytes)) {", "strides may lead out of memory together"),
        ("import_array(owner->dl_tensor, false, owner,", "import_array(owner->dl_tensor, true, owner,", "arrays of the old struct are shared, although others may write them"),
        ('  check_enum(copy, CopyPolicy::never, "copy policy", op, where);', "", "from_dlpack takes policies that there are not"),
    ],
    "runtime/dlpack_out.cpp": [
        ("if (view.data()) return dlpack::read_only_flag;", "if (view.data()) return dlpack::copied_flag;", "readers may write into tensors"),
    ],
    "runtime/command_queue.cpp": [
        ("if (pending_.size() < max_pending / 2) return;", "if (pending_.size() < max_pending * 1024) return;",
         "a queue never limits what is pending"),
        ("  if (halfway) await(halfway, nullptr);", "", "a full queue does not wait"),
        ("    if (!std::all_of(pending_.rbegin(), pending_.rend(), is_copied)) return 0;", "",
         "an upload that nobody has a copy of follows a command that may fail"),
        ("if (status == LKS_OK || has_failed(value)) return Awaited::finished;", "return Awaited::finished;", "a wait that failed itself is silent"),
        ("  const NoResolversScope no_resolvers;", "", "resolvers are asked with the allocator's lock"),
        ("  if (failed) return 0;", "  if (failed) info.copied = true;", "an upload that nobody has a copy of follows one that has failed"),
        (" && recovered_up_to_ != forever;", ";", "a lost queue serves further streams"),
        (" && settling_ == 0", "", "a queue serves another stream while its changes are undone"),
        ("round < 2; ++round", "round < 1; ++round", "what is enqueued again is not waited for"),
    ],
    "runtime/queue_failures.cpp": [
        ("    if (command->succeeded) continue;", "", "commands that succeeded are undone"),
        ("for (auto command = done.commands.rbegin(); command != done.commands.rend(); ++command)", "for (auto command = done.commands.begin(); command != done.commands.end(); ++command)",
         "undos run in the order of the commands"),
        ("command.succeeded = command.value < first;", "command.succeeded = command.value <= first;",
         "the failed command counts as done"),
        ("  if (recovered != LKS_OK) last = forever;", "", "what follows a failed recovery is not failed"),
        ("  failures_.push_back({", "  failures_.clear(), failures_.push_back({", "a failed range is forgotten as soon as a later one failed"),
        ("command.skipped = command.value > first && last != forever;", "command.skipped = command.value > first;",
         "uploads are enqueued again on a queue that is lost"),
        ("  if (old.reported) old.failure = nullptr;", "  old.failure = nullptr;", "a failure that nobody met loses its text"),
        ("  if (failure) failure->raise();", "  failure->raise();", "the process ends where the text of a failure is gone"),
        ("if (!range.reported) unreported.push_back(range.failure);", "unreported.push_back(range.failure);", "failures that were thrown are logged at the end"),
        ("      range.reported = true;", "", "failures are logged again and again"),
    ],
    "runtime/late_failure.cpp": [
        ("  return command.launches[failed_launch(diag, command.launches.size())];", "  return command.launches.front();", "the first call of a unit is blamed"),
        ("    const NameScope scope(scope_);", "", "the layer is missing from an asynchronous error"),
        ("    if (!parts_) parts_ = parts;", "", "a resolver is asked at every throw of one failure"),
    ],
    "runtime/kernel_key.h": [
        ("    if (extent != 1 && strides[i] != expected) return false;", "    if (strides[i] != expected) return false;", "strides of single elements count"),
    ],
    "runtime/kernel_key.cpp": [
        ("t.strides[i] == 1 ? 1 : 2", "1", "kernels are shared by inner strides 1 and 2"),
        ("    if (d.dense) words.push_back(is_dense(t));", "", "dense and strided tensors share kernels"),
        ("  if (numbers > 0) to = write_bytes(to, r.number_dtypes.data(), numbers);",
         "  if (numbers > 0) to = std::fill_n(to, words_for(numbers), 0);", "numbers of different dtypes share kernels"),
        ("return bytes == 0 ? most : std::min(most, std::uint64_t{1} << std::countr_zero(bytes));", "return most;",
         "every offset counts as aligned"),
        ("if (d.dims & bit) words.push_back(static_cast<std::uint64_t>(t.dims[i]));", "", "kernels are shared by all extents"),
        ("      word(instr.imm);", "", "programs with other constants share kernels"),
        ("      program(*p.functions[i].body);", "", "functions of one name share kernels, whatever their body"),
    ],
    "runtime/kernel_cache.cpp": [
        ("  answer.evicted.store(true, std::memory_order_relaxed);", "", "evicted kernels go on serving"),
        ("    case LKS_REASON_SIZE:", "", "refused sizes are asked again"),
        ("default: return Holds::now;", "default: return Holds::for_these_tensors;", "a missing resource is remembered"),
        ("return hash == key.hash && cache_serial == serial && call->has(key);", "return hash == key.hash && call && call->has(key);",
         "kernels of another device are found"),
        ("  counters.evictions += removed.size();", "", "evictions are not counted"),
        ("      if (!Preparing::is_running(*this, asked)) break;", "      break;",
         "two threads prepare the same kernel"),
        ("    cache_.prepared_.notify_all();", "", "threads that wait for a kernel are not woken"),
        ("  live_->release_all();", "", "kernels outlive the device"),
        ("diag.reason ? diag.reason : LKS_REASON_OP", "diag.reason", "a refusal without a reason is asked for again"),
        ("  claims_ = {info.accumulate_dtype, info.max_ulp, info.gamma_factor};", "", "what a driver claims about its results is lost"),
    ],
    "runtime/device_state.cpp": [
        ("if (limit > 0) most = std::min(most, limit);", "if (limit > 0) most = limit;", "of two limits of a tensor the last holds"),
        ('if (option("memory.poison").value_or("0") == "1")', 'if (option("memory.poison"))', "an option of 0 turns poison on"),
    ],
    "runtime/atomic_file.cpp": [
        ("  if (!done_) std::remove(temporary_.c_str());", "", "a failed save leaves its temporary file"),
        ("target = next.is_absolute() ? next : target.parent_path() / next;", "target = next;", "relative links lead elsewhere"),
    ],
    "runtime/scope.cpp": [
        ("if (entry->scope.parent == parent && entry->scope.name == name)", "if (entry->scope.name == name)", "scopes of one name are one, whatever is around them"),
    ],
    "runtime/parallel.cpp": [
        ("if (requested_here) return requested_here;", "", "a thread's own number of threads is ignored"),
        ("r.n * index / r.pieces, r.n * (index + 1) / r.pieces", "r.n / r.pieces * index, r.n / r.pieces * (index + 1)",
         "the rest of a range is left out"),
        ("if (most <= 1 || inside_piece)", "if (most <= 1)", "nested calls leave their thread"),
    ],
    "ops/invoke.cpp": [
        ("  check_not_forked();", "", "calls after fork are let through"),
        ("    PauseObservers pause;", "", "a composite with a rule is recorded twice"),
        ("  DeviceScope scope(device.device());", "", "parts without inputs run on the default device"),
    ],
    "ops/placement.cpp": [
        ("placement.device != device && !input_def(call.op, i).host_resident", "false", "operands on two devices are accepted"),
    ],
    "ops/call_into.cpp": [
        ("if (on_failure == OnFailure::old_contents) planned_.launch().keep_old_contents();", "", "a failed assignment leaves a variable without a value"),
        ("if (observer->sees_updates()) observer->record(", "observer->record(", "tapes record updates"),
        ("if (!any_observer_sees_updates()) return copies;", "return copies;", "nobody is told of updates"),
    ],
    "ops/call_types.cpp": [
        ("group.has_floating_number |= number.kind == Scalar::Kind::floating;", "", "a floating number beside integers is cut"),
        ("return place(a) < place(b) ? b : a;", "return a;", "the first number alone decides the dtype"),
        ("if (!number.is_known() || fits_in(number, dtype)) return;", "if (!number.is_known() || number.integer < 0 || fits_in(number, dtype)) return;", "numbers below the range wrap"),
        ("case DType::u8: return {0, UINT8_MAX};", "case DType::u8: return {INT8_MIN, UINT8_MAX};", "negative numbers are taken for u8"),
    ],
    "ops/launch.cpp": [
        ("        for (const Written& w : written) set_last_write(*w.block.get(), w.before);", "", "a failed update leaves its command in the block"),
        ("        if (undo) undo();", "", "the undo of a unit is forgotten"),
        ("return input < 0 ? nullptr : call_.inputs", "return input <= 0 ? nullptr : call_.inputs", "updates of the first input are not in place"),
        ("    info.keep = kernels_of(calls);", "", "a kernel is released while it runs"),
        ("if (std::isnan(value)) return 0;", "", "NaN becomes some integer"),
    ],
    "ops/copy_plan.cpp": [
        ("if (part.place.shape.size() == 0) continue;", "if (part.place.shape.size() <= 1) continue;", "single elements are left out"),
        ("block.write_queue = queue.is_inline() ? nullptr : &queue;", "", "nobody waits for a fill"),
    ],
    "ops/differentiate.cpp": [
        ("case LKS_INSTR_SUB: return add(t[0], negate(t[1]));", "case LKS_INSTR_SUB: return add(t[0], t[1]);", "the derivative of a - b by b has the wrong sign"),
        ("return select(x[0], t[1].value_or(zero), t[2].value_or(zero));", "return select(x[0], t[1].value_or(zero), zero);",
         "the other side of a choice has no gradient"),
    ],
    "autodiff/gradient.cpp": [
        (" && options.upstream->dtype() == target.dtype()", "", "an upstream gradient of another dtype is accepted"),
        ("    const ResultScope results((*given)->device);", "", "rules make constants on the default device"),
        ("if (n != no_node) leads[n] = true;", "", "sources are said to be unconnected"),
        ("const Tensor total = axes.empty() ? gradient : sum({gradient, where}, {axes, true});", "const Tensor total = gradient;",
         "gradients of broadcasts are not summed"),
    ],
    "autodiff/tape.cpp": [
        ("    needed.outputs |= s.outputs;", "", "outputs that a rule needs are not kept"),
        ("if (!tensor.variable->trainable || !is_floating(tensor.dtype)) return no_node;", "if (!is_floating(tensor.dtype)) return no_node;",
         "variables that are not trainable are watched"),
        ("if (node_of(tensor) != no_node) return;", "", "a tensor watched twice has two nodes"),
        ("  if (options_.persistent) return;", "", "persistent tapes are used up"),
    ],
    "autodiff/optimizer.cpp": [
        ("    impl_->forget_slots_after(known);", "", "a failed step leaves its slots"),
        ("  step_state->set_progress(next);", "", "steps are not counted"),
        ("    if (also) also();", "", "what goes with an update is not undone"),
        ("if (twice == ids.end()) return;", "return;", "a variable given twice is accepted"),
        ("value >= 0 && value < 1, value, field", "value >= 0 && value <= 1, value, field", "a beta of 1 is accepted"),
    ],
    "nn/fit.cpp": [
        ("batches(options_.batch_size, device_, state_.epochs)", "batches(options_.batch_size, device_, 0)", "every epoch comes in the same order"),
        ("std::min(pass.batch_count(), options_.steps - steps_done_)", "pass.batch_count()", "steps end with an epoch only"),
        ("if (drawn || last) shown_", "if (drawn) shown_", "the history holds the values of an earlier step"),
    ],
    "nn/check_data.cpp": [
        ("if (value >= 0 && value < static_cast<double>(classes)) return;", "if (value < static_cast<double>(classes)) return;", "negative labels are accepted"),
        ("    if (value >= 0 && value <= 1) return;", "    if (value >= 0) return;", "binary labels above 1 are accepted"),
    ],
    "nn/data/dataset.cpp": [
        ("count == 0 || (drop_last && count < static_cast<std::size_t>(batch_size))", "count == 0", "the last, smaller batch is not dropped"),
        ("return second(first(x));", "return second(x);", "of two preparations the first is lost"),
    ],
    "nn/train.cpp": [
        ("  if (thread == std::this_thread::get_id()) set_random_position(random);", "", "a failed step has drawn random numbers"),
    ],
    "nn/safetensors.cpp": [
        ("if (entry->begin != covered) {", "if (entry->begin < covered) {", "gaps are accepted"),
        ("if (covered != data_size) {", "if (covered > data_size) {", "bytes that belong to no tensor are accepted"),
        ("  if (entry.spec.dtype != DType::boolean) return;", "  return;", "booleans of 2 are accepted"),
        ("  text.append((8 - text.size() % 8) % 8, ' ');", "", "the data is not aligned"),
        ("if (entry_.begin > entry_.end || entry_.end - entry_.begin != bytes)", "if (entry_.begin > entry_.end)", "sizes that do not fit are accepted"),
    ],
    "nn/data/idx.cpp": [
        ("if (given > expected) {", "if (false) {", "bytes behind the elements are accepted"),
        ("if (size_of(*dtype) > 1) {", "if (size_of(*dtype) > 4) {", "numbers of four bytes keep the file's order"),
    ],
}


def all_faults(root):
    found = []
    for file, entries in [*FAULTS.items(), *OF_CALLS.items(), *OF_OPS.items(), *OF_TRAINING.items(), *BY_READING.items()]:
        lines = (root / file).read_text().split("\n")
        for before, after, _ in entries:
            at = [i for i, line in enumerate(lines) if before in line]
            if len(at) != 1:
                raise ValueError(f"{file}: `{before}` stands in {len(at)} lines; correct tools/mutation/faults.py")
            found.append(Fault(file, at[0] + 1, "hand", lines[at[0]], lines[at[0]].replace(before, after)))
    return found


if __name__ == "__main__":  # a test: every text still occurs once
    import pathlib
    print(len(all_faults(pathlib.Path(__file__).resolve().parents[2])), "faults made by hand")
