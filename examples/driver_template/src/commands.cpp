// The commands that the host enqueues. Every call returns before its command has run.
//
// Buffers, kernels, timelines that are waited for, and the host memory of reads and writes stay valid until the command
// is done: the host guarantees it, so commands store their addresses. All other arguments (launches, bindings, shapes,
// scalars) are valid only during the call, so commands copy them.
//
// A device that runs each command before the call returns sets LKS_CAP_INLINE_QUEUE. It runs the work here instead of
// calling enqueue(), returns its failure, and needs no queue.cpp: its timeline never fails, *value may be 0, queue_wait
// blocks in the call, and queue_recover has nothing to do.
#include <cstring>
#include <memory>
#include <new>
#include <system_error>

#include "queue.h"
#include "table.h"

namespace {

// Enqueues the work. If this fails, nothing was enqueued.
lks_status enqueue(lks_queue* queue, lks_queue::Work work, uint64_t* value, lks_diag* diag) {
  try {
    *value = queue->enqueue(std::move(work));
    return LKS_OK;
  } catch (const std::bad_alloc&) {
    return fail(diag, LKS_OUT_OF_MEMORY, "no host memory for a command");
  }
}

// A launch with copies of everything that it points to.
class OwnedLaunch {
 public:
  explicit OwnedLaunch(const lks_launch& launch)
      : kernel_(launch.kernel),
        launch_(launch),
        bindings_(launch.bindings, launch.bindings + launch.binding_count),
        scalars_(launch.scalars, launch.scalars + launch.scalar_count) {
    std::size_t extents = 0;
    for (int rank : kernel_->ranks) extents += 2 * static_cast<std::size_t>(rank);
    shapes_.reserve(extents);  // so that pointers into it stay valid
    for (std::size_t i = 0; i < bindings_.size(); ++i) {
      if (!bindings_[i].buffer) continue;  // an absent optional input
      bindings_[i].dims = keep(bindings_[i].dims, kernel_->ranks[i]);
      bindings_[i].strides = keep(bindings_[i].strides, kernel_->ranks[i]);
    }
    launch_.bindings = bindings_.data();
    launch_.scalars = scalars_.data();
  }
  OwnedLaunch(OwnedLaunch&&) = default;  // moves the arrays; their elements keep their addresses

  lks_status run(lks_diag* diag) const {
    if (const lks_status status = kernel_->check(launch_, diag); status != LKS_OK) return status;
    kernel_->run(launch_);
    return LKS_OK;
  }

 private:
  const std::int64_t* keep(const std::int64_t* extents, int rank) {
    shapes_.insert(shapes_.end(), extents, extents + rank);
    return shapes_.data() + shapes_.size() - rank;
  }

  const lks_kernel* kernel_;
  lks_launch launch_;
  std::vector<lks_binding> bindings_;
  std::vector<std::int64_t> shapes_;
  std::vector<std::uint64_t> scalars_;
};

// Runs on the queue's thread. The fault point stands for the native wait of a real driver. If that wait fails, this
// driver fails the queue's timeline at the value of the wait, and later commands are skipped until queue_recover. A
// driver may instead report the failure to one caller of timeline_wait, with diag.value 0, and wait again ("Failed
// waits" in driver.h).
lks_status await(lks_queue& queue, lks_timeline& other, uint64_t value, lks_diag* diag) {
  FAULT_POINT(queue.device.driver.host, LKS_FAULT_WAIT, "template.queue_wait");
  const lks_status status = other.wait(value, ~uint64_t{0}, diag);
  diag->launch = 0;  // a launch of the other queue, if any, which says nothing about this one
  return status;
}

}  // namespace

lks_status LKS_CALL queue_create(lks_device* device, uint32_t kind, lks_queue** out, lks_timeline** timeline,
                                 lks_diag* diag) {
  if (kind > LKS_QUEUE_TRANSFER) return refuse(diag, LKS_REASON_EXTENSION, -1, "there is no queue of kind %u", kind);
  try {
    *out = new lks_queue(*device);
  } catch (const std::bad_alloc&) {
    return fail(diag, LKS_OUT_OF_MEMORY, "no host memory for a queue");
  } catch (const std::system_error& e) {
    return fail(diag, LKS_UNAVAILABLE, "no thread for a queue: %s", e.what());
  }
  *timeline = &(*out)->timeline;
  return LKS_OK;
}

void LKS_CALL queue_destroy(lks_queue* queue) { delete queue; }

// Several launches form one command. A launch that fails because of its data (an index out of range) fails when the
// command runs, and the timeline reports the failure.
lks_status LKS_CALL queue_launch(lks_queue* queue, const lks_launch* launches, uint32_t count, uint64_t* value,
                                 lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_launch");
  try {
    auto owned = std::make_shared<std::vector<OwnedLaunch>>();
    owned->reserve(count);
    for (uint32_t i = 0; i < count; ++i) owned->emplace_back(LKS_ELEMENT(lks_launch, launches, i));
    *value = queue->enqueue([owned](lks_diag* failure) {
      for (uint32_t i = 0; i < owned->size(); ++i) {
        if (const lks_status status = (*owned)[i].run(failure); status != LKS_OK) {
          failure->launch = i + 1;  // the diag is the queue's own, so it has this field whatever the host's version
          return status;
        }
      }
      return lks_status{LKS_OK};
    });
    return LKS_OK;
  } catch (const std::bad_alloc&) {
    return fail(diag, LKS_OUT_OF_MEMORY, "no host memory for a launch");
  }
}

lks_status LKS_CALL queue_copy(lks_queue* queue, lks_buffer* dst, uint64_t dst_offset, lks_buffer* src,
                               uint64_t src_offset, uint64_t bytes, uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_copy");
  const auto work = [=](lks_diag*) {
    std::memcpy(dst->memory + dst_offset, src->memory + src_offset, bytes);
    return lks_status{LKS_OK};
  };
  return enqueue(queue, work, value, diag);
}

// `src` stays valid until the command is done. A device that cannot read it then copies it to a staging buffer here,
// and sets LKS_CAP_COPIES_WRITES: then the host need not keep it.
lks_status LKS_CALL queue_write(lks_queue* queue, lks_buffer* dst, uint64_t offset, const void* src, uint64_t bytes,
                                uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_write");
  const auto work = [=](lks_diag*) {
    std::memcpy(dst->memory + offset, src, bytes);
    return lks_status{LKS_OK};
  };
  return enqueue(queue, work, value, diag);
}

// `dst` also stays valid until the command is done. It is written before the timeline reaches the value, so a caller
// that has waited for the value may read it.
lks_status LKS_CALL queue_read(lks_queue* queue, void* dst, lks_buffer* src, uint64_t offset, uint64_t bytes,
                               uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_read");
  const auto work = [=](lks_diag*) {
    std::memcpy(dst, src->memory + offset, bytes);
    return lks_status{LKS_OK};
  };
  return enqueue(queue, work, value, diag);
}

lks_status LKS_CALL queue_fill(lks_queue* queue, lks_buffer* dst, uint64_t offset, uint64_t bytes, uint64_t pattern,
                               uint32_t pattern_bytes, uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_fill");
  const auto work = [=](lks_diag*) {
    for (uint64_t at = 0; at < bytes; at += pattern_bytes) {
      std::memcpy(dst->memory + offset + at, &pattern, pattern_bytes);  // the low bytes (little-endian)
    }
    return lks_status{LKS_OK};
  };
  return enqueue(queue, work, value, diag);
}

// A command like any other: the queue's thread waits, not the caller. If the other timeline fails, this command fails
// with the same diag, and the queue skips all later commands.
lks_status LKS_CALL queue_wait(lks_queue* queue, lks_timeline* timeline, uint64_t value, lks_diag* diag) {
  const auto work = [=](lks_diag* failure) { return await(*queue, *timeline, value, failure); };
  uint64_t own_value = 0;
  return enqueue(queue, work, &own_value, diag);
}

// A driver that records commands submits them here. This queue needs no flush: its thread starts each command at once.
lks_status LKS_CALL queue_flush(lks_queue*, lks_diag*) { return LKS_OK; }

lks_status LKS_CALL queue_recover(lks_queue* queue, uint64_t* last, lks_diag*) {
  *last = queue->recover();
  return LKS_OK;
}
