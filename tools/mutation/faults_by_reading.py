"""Faults of the kinds that rules make, which no fast test noticed when each line was held against its tests; see faults.py."""

FAULTS = {
    "runtime/memory/pool.cpp": [
        ("  if (idle) return_segments();", "  return_segments();", "memory goes back to the driver while it may be in use"),
        ("  if (!block) block = take_best_fit(size, home);", "", "whatever is cached is merged for every new size"),
        ("  const bool limited = room != UINT64_MAX;", "  const bool limited = room == UINT64_MAX;", "compact segments take no more than they need"),
        ("std::min(room / 16, small_segment)", "std::min(room / 8, small_segment)", "small segments take an eighth of the room"),
        ("    wanted = segment_for(bytes);", "", "a second try does not know what was given back"),
        ("  if (!block && wanted > bytes) block", "  if (!block && wanted >= bytes) block", "the driver is asked once more for the same"),
        ("rest <= small_limit : rest < alignment_", "rest <= small_limit : rest <= alignment_", "a rest of one block is given away"),
        ("  tail->next = block->next;", "", "the blocks behind a cut hole are lost"),
        ("  if (gone->next) gone->next->previous = into;", "", "the block behind a merged hole names one that is gone"),
        ("  if (into->home != gone->home || into->uses || gone->uses) {", "  if (into->uses || gone->uses) {", "a merged block is done when its first queue reaches the other's number"),
        ("      blocks.merged.erase(block->next);", "", "a part that was merged later is still to be had"),
        ("  if (own_) return;", "", "a further stream makes what is in flight count as done"),
        ("std::all_of(block.uses->begin(), block.uses->end(), is_before)", "std::any_of(block.uses->begin(), block.uses->end(), is_before)", "of two readers one is waited for"),
        ("std::all_of(block.uses->begin(), block.uses->end(), is_done)", "std::any_of(block.uses->begin(), block.uses->end(), is_done)", "blocks are merged that one of two readers has read"),
        ("  std::rotate(std::prev(found.base()), found.base(), list.end());", "", "a stream gets the newest block, whoever uses it"),
        ("return of_one_queue || (is_quiet(a) && is_quiet(b));", "return of_one_queue || (is_quiet(a) || is_quiet(b));", "a block is merged with one in use"),
        ("a.home == b.home && !a.uses && !b.uses;", "a.home == b.home && !a.uses;", "a block is merged with one that another stream reads"),
        ("    if (is_free(&block)) largest = std::max(largest, block.bytes);", "", "no cached block is the largest"),
    ],
    "runtime/memory/segment_source.cpp": [
        ("  if (!result.buffer) budget_->give_back(bytes);", "", "memory that the driver refuses counts as taken"),
        ("std::min(*limit, budget_->used())", "budget_->used()", "below what is in use, a limit leaves all the memory there is"),
    ],
    "runtime/memory/allocator.cpp": [
        ("      tracker_.note_reserved(pool_.reserved());", "", "the peak of what is held is not known"),
    ],
    "runtime/device_state.cpp": [
        ('if (const auto limit = option("memory.limit")) allocator_->set_limit', 'if (const auto limit = option("memory.limit"); false) allocator_->set_limit', "the option of a memory limit has no effect"),
    ],
    "runtime/command_queue.cpp": [
        ("if (pending_.size() >= max_pending) halfway", "if (pending_.size() > max_pending) halfway", "one command more than the limit is pending"),
        ("halfway = pending_[max_pending / 2].value;", "halfway = pending_[max_pending - 1].value;", "a full queue is waited for to its end"),
        ("  wait_until_settled();", "", "who waits for a settled queue does not wait for what undoes"),
        ("if (inline_ || thread_state().undoing) return 0;", "if (inline_) return 0;", "what is undone depends on commands in flight"),
    ],
    "runtime/queue_failures.cpp": [
        ("if (diag.value <= recovered_up_to_ || diag.value > newest()) return false;", "if (diag.value < recovered_up_to_ || diag.value > newest()) return false;", "a failure that two threads find is two"),
        ("diag.value > newest()) return false;", "diag.value >= newest()) return false;", "the newest command takes those before it along when it fails"),
    ],
    "runtime/kernel_cache.cpp": [
        ("  ++counters.prepares;", "", "prepared kernels are not counted"),
    ],
    "runtime/dlpack_in.cpp": [
        ("__builtin_mul_overflow(stride < 0 ? -stride : stride, extent, &bytes)", "__builtin_mul_overflow(stride, extent, &bytes)", "strides lead out of memory backwards"),
    ],
    "runtime/host_fill.cpp": [
        ("  data_ = nullptr;", "", "a tensor may be written after it is finished"),
    ],
    "runtime/shape.cpp": [
        ("  check_rank(static_cast<std::size_t>(rank_) + 1);", "  check_rank(static_cast<std::size_t>(rank_));", "a ninth extent is appended"),
    ],
    "ops/invoke.cpp": [
        ("  out->producer = call.op.name.c_str();", "", "errors do not say which op made a view"),
        ("    outputs[o]->producer = call.op.name.c_str();", "", "errors do not say which op made a description"),
    ],
    "ops/infer.cpp": [
        ("a.rank() == b.rank() || a.rank() == 0 || b.rank() == 0 ||", "a.rank() == b.rank() || b.rank() == 0 ||", "a single number first in a call counts as expanded"),
    ],
    "ops/launch.cpp": [
        ("  if (value >= end) return most;", "  if (value > end) return most;", "the first number beyond the range wraps"),
        ("  if (!is_signed) return 0;", "", "negative numbers wrap in u8"),
    ],
    "ops/pointwise.cpp": [
        ("return is_signed(t) && (bits >> (width - 1)) ? bits | ~mask : bits;", "return bits;", "the oracle's integers lose their sign"),
        ("  if (!(std::fabs(value) >= largest + half_unit)) return value;", "  if (!(std::fabs(value) > largest + half_unit)) return value;", "what rounds to infinity stays finite in the oracle"),
        ("    if (v.error > 0) out.error += std::fabs(out.real);", "    if (v.error < 0) out.error += std::fabs(out.real);", "the oracle takes conversions of inexact numbers for exact"),
        ("  if (b == 0) return 0;", "  if (b == 0) return 1;", "the oracle divides by 0 and gets 1"),
        ("return std::fabs(a.real) * b.error + std::fabs(b.real) * a.error + scale;", "return std::fabs(a.real) * a.error + std::fabs(b.real) * b.error + scale;", "the oracle weighs each operand's error by itself"),
        ("return (a.error + rounding * b.error) / std::fabs(b.real) + scale;", "return (a.error + b.error) / std::fabs(b.real) + scale;", "the oracle does not scale a divisor's error"),
        ("return (result > 0 ? a.error / (2 * result) : 0) + rounding;", "return (result > 0 ? a.error / result : 0) + rounding;", "the oracle takes a root for steeper than it is"),
        ("const std::uint64_t count = b % LKS_DTYPE_BITS(instr.dtype);", "const std::uint64_t count = b;", "the oracle shifts by more than the width"),
        ("std::int64_t i = input[d] == 1 ? 0 : index", "std::int64_t i = input[d] == 2 ? 0 : index", "the oracle reads beyond an extent of 1"),
    ],
    "ops/shape/views.cpp": [
        ("inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);", "inverse[i] = order[i];", "the gradient of a transpose is transposed again"),
    ],
    "ops/shape/select.cpp": [
        ("s.rest[axis] = static_cast<std::int64_t>(at(r.inputs[1], s.indices));", "s.rest[0] = static_cast<std::int64_t>(at(r.inputs[1], s.indices));", "the oracle gathers along the first axis"),
        ("      merged.set_dim(static_cast<int>(axis), count);", "", "the gradient of a gather by a table has the wrong shape"),
    ],
    "autodiff/gradient.cpp": [
        ("if (!result || !context.needs(i)) continue;", "if (!result) continue;", "a gradient that nobody needs is written beyond the list"),
    ],
    "autodiff/optimizer.cpp": [
        ("known_ = known_ ? std::min(known, *known_) : known;", "known_ = known_ ? std::max(known, *known_) : known;", "of two failed steps the later one's slots stay"),
        ("snapshot.steps == 0 && snapshot.slots.empty()", "snapshot.steps == 0 || snapshot.slots.empty()", "a snapshot without its slots is accepted"),
    ],
    "nn/train.cpp": [
        ('    NameScope scope("loss");', "", "errors of a loss name no part"),
    ],
    "nn/model.cpp": [
        ("    set_random_position(before);", "", "a build that failed leaves drawn numbers behind"),
    ],
    "nn/compare/oracle.cpp": [
        ("    case ErrorClass::composed: return 2;", "    case ErrorClass::composed: return 1;", "a composite is allowed one order of evaluation"),
        ("return share + of_products / (terms + 1);", "return share + of_products;", "fast mode allows each product the error of all"),
    ],
    "nn/summary.cpp": [
        ('(c == 2 ? "  " : "")', '(c == 3 ? "  " : "")', "the columns of a summary do not stand below their heads"),
    ],
}
