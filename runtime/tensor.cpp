#include "lockstep/tensor.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "lockstep/error.h"
#include "lockstep/memory.h"
#include "lockstep/options.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"
#include "runtime/driver_registry.h"
#include "runtime/element.h"
#include "runtime/forked.h"
#include "runtime/stream_order.h"
#include "runtime/tensor_impl.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

// This thread's free list of TensorImpl memory. Sanitizer builds do not use it, so that use after free is detected.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t max_pooled = 0;
#else
constexpr std::size_t max_pooled = 1024;
#endif

struct FreeList {
  struct Node {
    Node* next;
  };
  Node* head = nullptr;
  std::size_t count = 0;
  bool closed = false;
  ~FreeList() {
    closed = true;
    while (head) {
      Node* next = head->next;
      ::operator delete(head);
      head = next;
    }
  }
};

FreeList& free_list() {
  static thread_local FreeList list;
  return list;
}

std::string describe_spec(const void* subject) {
  const auto& spec = *static_cast<const TensorSpec*>(subject);
  return std::string(name_of(spec.dtype)) + " " + spec.shape.to_string();
}

std::uint64_t byte_count(DType dtype, const Shape& shape) {
  return static_cast<std::uint64_t>(TensorSpec{dtype, shape}.bytes());
}

}  // namespace

void* TensorImpl::operator new(std::size_t bytes) {
  FreeList& list = free_list();
  if (!list.head) return ::operator new(bytes);
  FreeList::Node* node = list.head;
  list.head = node->next;
  --list.count;
  return node;
}

void TensorImpl::operator delete(void* memory) noexcept {
  FreeList& list = free_list();
  if (list.closed || list.count >= max_pooled) return ::operator delete(memory);
  auto* node = static_cast<FreeList::Node*>(memory);
  node->next = list.head;
  list.head = node;
  ++list.count;
}

// The only owner need not lock the counter: no other thread can add a reference. That saves 2 % of an eager add.
void release(TensorImpl* impl) {
  if (impl->refs.load(std::memory_order_acquire) == 1 || impl->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete impl;
  }
}

std::uint64_t next_tensor_id() {
  // Each thread reserves a range of ids at a time, so that the shared counter is rarely used.
  constexpr std::uint64_t run = 4096;
  static std::atomic<std::uint64_t> next_run{1};
  static thread_local std::uint64_t next = 0, end = 0;
  if (next == end) {
    next = next_run.fetch_add(run, std::memory_order_relaxed);
    end = next + run;
  }
  return next++;
}

bool strides_are_dense(const Shape& shape, const std::int64_t* strides) {
  return are_dense_strides(
      shape.rank(), [&shape](int i) { return shape.dim(i).value(); }, strides);
}

namespace {

[[noreturn]] void fail_impossible(DeviceState& device, const TensorSpec& spec, const BlockPurpose& purpose,
                                  const std::string& need) {
  ErrorBuilder error(ErrorId::impossible_size, device.name(),
                     std::string(purpose.label ? purpose.label : "memory") + " " + purpose.what + " " +
                         describe_spec(&spec) + " needs " + need + ", the device takes at most " +
                         format_bytes(device.max_tensor_bytes()) + " in one tensor");
  if (purpose.where) error.at(*purpose.where);
  error.fix("check the shape, or split the tensor").raise();
}

}  // namespace

Uncountable uncountable(const TensorSpec& spec) {
  const bool elements_fit = TensorSpec{DType::u8, spec.shape}.is_countable();  // as if of one byte each
  if (elements_fit) {
    return {ErrorId::impossible_size,
            describe_spec(&spec) + " has more bytes than 64 bits count, too many in one tensor"};
  }
  return {ErrorId::invalid_shape,
          "a tensor of shape " + spec.shape.to_string() + " has more elements than 64 bits count"};
}

void check_countable(const TensorSpec& spec, std::string_view op, CallSite where) {
  if (spec.is_countable() || spec.shape.is_empty()) return;
  const Uncountable why = uncountable(spec);
  raise(why.id, op, why.headline, "check the shape", where);
}

namespace {

// Negative if the number of bytes does not fit into 63 bits.
std::int64_t bytes_or_negative(const TensorSpec& spec) {
  auto bytes = static_cast<std::int64_t>(size_of(spec.dtype));
  for (Dim d : spec.shape.dims()) {
    if (__builtin_mul_overflow(bytes, d.value(), &bytes)) return spec.shape.is_empty() ? 0 : -1;
  }
  return bytes;
}

}  // namespace

std::uint64_t check_size(DeviceState& device, const TensorSpec& spec, const BlockPurpose& purpose) {
  const std::int64_t signed_bytes = bytes_or_negative(spec);
  if (signed_bytes < 0) {
    const auto unknown = CallSite::current();
    check_countable(spec, purpose.label ? purpose.label : "shape", purpose.where ? *purpose.where : unknown);
  }
  const auto bytes = static_cast<std::uint64_t>(signed_bytes);
  if (bytes > device.max_tensor_bytes()) fail_impossible(device, spec, purpose, format_bytes(bytes));
  return bytes;
}

BlockRef allocate_elements(DeviceState& device, const TensorSpec& spec, const BlockPurpose& purpose) {
  BlockPurpose described = purpose;
  described.describe = &describe_spec;
  described.subject = &spec;
  const auto bytes = static_cast<std::uint64_t>(spec.bytes());
  return device.allocator().allocate(bytes ? bytes : 1, described);
}

TensorRef make_tensor(DeviceState& device, DType dtype, const Shape& shape, const BlockPurpose& purpose) {
  TensorRef ref = TensorRef::adopt(new TensorImpl);
  check_size(device, {dtype, shape}, purpose);
  ref->block = allocate_elements(device, {dtype, shape}, purpose);
  ref->dtype = dtype;
  ref->id = next_tensor_id();
  ref->device = &device;
  ref->shape = shape;
  fill_dense_strides(shape, ref->strides);
  ref->producer = purpose.label;
  ref->scope = thread_state().scope;
  return ref;
}

TensorRef make_abstract(const TensorSpec& spec) {
  TensorRef ref = TensorRef::adopt(new TensorImpl);
  ref->dtype = spec.dtype;
  ref->id = next_tensor_id();
  ref->shape = spec.shape;
  ref->scope = thread_state().scope;
  return ref;
}

namespace {

CommandQueue::ThrownOn thrown_on(const CommandQueue* queue, DeviceState& device) {
  return queue == &device.queue() ? CommandQueue::ThrownOn::own_stream : CommandQueue::ThrownOn::other_stream;
}

}  // namespace

void check_contents(const TensorImpl& impl) {
  const CommandQueue* queue = impl.block->write_queue;
  if (!queue || impl.shape.is_empty() || !queue->may_have_failed(impl.block->write_value)) return;
  const BlockWrite write = last_write(*impl.block);
  if (write.queue) write.queue->check(write.value, thrown_on(write.queue, *impl.device));
}

// A skipped upload has been enqueued again. If a later write was skipped, the write before it is the last one again,
// and may be on another queue.
void wait_for_contents(Block& block, CallSite where) {
  BlockWrite write = last_write(block);
  while (write.queue && block.upload) {
    if (write.queue->wait_unless_skipped(write.value, &where, thrown_on(write.queue, *block.device))) return;
    write.queue->wait_until_settled();
    const BlockWrite skipped = std::exchange(write, last_write(block));
    if (write == skipped) break;
  }
  if (write.queue) write.queue->wait(write.value, &where, thrown_on(write.queue, *block.device));
}

void read_dense(const TensorImpl& impl, void* out, CallSite where) {
  check_not_forked();
  const std::uint64_t bytes = byte_count(impl.dtype, impl.shape);
  if (bytes == 0) return;
  Block& block = *impl.block;
  wait_for_contents(block, where);
  CommandQueue& queue = impl.device->queue();
  const std::uint64_t offset = static_cast<std::uint64_t>(impl.offset) * size_of(impl.dtype);
  // The contents are valid. An unrelated command may have failed since, so that the read was skipped: read again.
  while (!queue.wait_unless_skipped(queue.read(out, block, offset, bytes, {.op = "read", .where = where}), &where)) {
  }
}

TensorRef completed_dense_copy(const TensorImpl& impl, CallSite where) {
  check_not_forked();
  Block& block = *impl.block;
  if (!block.write_queue || impl.shape.is_empty()) return make_dense_copy(impl, where);
  wait_for_contents(block, where);
  while (true) {
    TensorRef copy = make_dense_copy(impl, where);
    CommandQueue* queue = copy->block->write_queue;
    if (!queue || queue->wait_unless_skipped(copy->block->write_value, &where)) return copy;
  }
}

namespace {

// Host memory that a command in flight reads, with its owner, and who uploads it: the command may be enqueued again by
// another thread.
struct UploadSource {
  std::shared_ptr<const void> data;
  std::uint64_t bytes;
  CallSite where;
  const ScopeName* scope = thread_state().scope;
  CallSite caller = thread_state().caller;
};

// Fills a block from `source`. If the device skips the command because an earlier one failed, the queue enqueues it
// again, unless the block was freed or has another writer by then.
void upload(CommandQueue& queue, const std::shared_ptr<Upload>& self, Block& block, const UploadSource& source) {
  const auto again = [&queue, self, source] {
    const BlockRef target = block_of(*self);
    if (!target || target->write_queue != &queue || target->write_value != self->value) return;
    try {
      upload(queue, self, *target, source);
    } catch (const std::exception& e) {
      log(LKS_LOG_WARN, "queue", e.what());  // the tensor has no contents, and its use throws
    }
  };
  queue.write(block, 0, source.data.get(), source.bytes,
              {.op = "write",
               .where = source.where,
               .scope = source.scope,
               .keep = source.data,
               .again = again,
               .caller = source.caller},
              [&](std::uint64_t value) {
                self->value = block.write_value = value;
                block.write_queue = &queue;
              });
}

}  // namespace

void write_dense(TensorImpl& impl, const void* data, CallSite where) {
  CommandQueue& queue = impl.device->queue();
  if (queue.is_inline()) {
    return write_owned(impl, std::shared_ptr<const void>(std::shared_ptr<const void>(), data), where);
  }
  const std::uint64_t bytes = byte_count(impl.dtype, impl.shape);
  if (bytes == 0) return;
  Block& block = *impl.block;
  if (impl.device->has_streams()) take_over(block, queue, where);
  if (const std::uint64_t value = queue.write_copied(block, 0, data, bytes, {.op = "write", .where = where})) {
    impl.device->uploads.written.fetch_add(bytes, std::memory_order_relaxed);
    block.write_value = value;
    block.write_queue = &queue;
    return;
  }
  // Copied, because the caller may free its memory before the device has read it, and because the write may be skipped.
  const auto* first = static_cast<const std::byte*>(data);
  const auto copy = std::make_shared<std::vector<std::byte>>(first, first + bytes);
  impl.device->uploads.staged.fetch_add(copy->size(), std::memory_order_relaxed);
  write_owned(impl, std::shared_ptr<const void>(copy, copy->data()), where);
}

void write_owned(TensorImpl& impl, const std::shared_ptr<const void>& data, CallSite where) {
  const std::uint64_t bytes = byte_count(impl.dtype, impl.shape);
  if (bytes == 0) return;
  impl.device->uploads.written.fetch_add(bytes, std::memory_order_relaxed);
  CommandQueue& queue = impl.device->queue();
  Block& block = *impl.block;
  if (queue.is_inline()) {
    block.write_value = queue.write(block, 0, data.get(), bytes, {.op = "write", .where = where});
    block.write_queue = nullptr;
    return;
  }
  if (impl.device->has_streams()) take_over(block, queue, where);
  block.upload = std::make_shared<Upload>(&block);
  upload(queue, block.upload, block, {data, bytes, where});
}

Tensor::Tensor(const void* data, DType dtype, const Shape& shape, std::optional<Device> device, CallSite where) {
  check_not_forked();
  const CallerScope caller(where);
  DeviceState& state = (device ? *device : default_device()).state();
  TensorRef ref = make_tensor(state, dtype, shape, {.label = "tensor", .where = &where});
  write_dense(*ref, data, where);
  impl_ = ref.detach();
}

const void* Tensor::checked(const void* data, std::size_t count, const Shape& shape, CallSite where) {
  const CallerScope caller(where);
  if (static_cast<std::int64_t>(count) != shape.element_count().value()) {
    raise(ErrorId::element_count, "tensor",
          std::to_string(count) + " elements do not fill shape " + shape.to_string() + ", which has " +
              shape.element_count().to_string(),
          "give as many elements as the shape has", where);
  }
  return data;
}

Tensor Tensor::abstract(const TensorSpec& spec, CallSite where) {
  const CallerScope caller(where);
  if (!is_dtype(spec.dtype)) fail_dtype(static_cast<int>(spec.dtype));
  check_countable(spec, "abstract", where);
  return Tensor(make_abstract(spec).detach());
}

Tensor Tensor::from_bytes(const void* data, std::size_t bytes, const TensorSpec& spec, std::optional<Device> device,
                          CallSite where) {
  const CallerScope caller(where);
  if (bytes != byte_count(spec.dtype, spec.shape)) {
    raise(
        ErrorId::element_count, "tensor",
        std::to_string(bytes) + " bytes do not fill " + std::string(name_of(spec.dtype)) + " " + spec.shape.to_string(),
        "give " + std::to_string(byte_count(spec.dtype, spec.shape)) + " bytes", where);
  }
  if (!data && bytes > 0) raise(ErrorId::invalid_use, "tensor", "the memory is null", "give the elements", where);
  check_booleans(data, spec, "tensor", where);
  return Tensor(data, spec.dtype, spec.shape, device, where);
}

Tensor Tensor::share(TensorImpl* impl) {
  retain(impl);
  return Tensor(impl);
}

Tensor::Tensor(const Tensor& other) : impl_(other.impl_) {
  if (impl_) retain(impl_);
}
Tensor::Tensor(Tensor&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
Tensor& Tensor::operator=(const Tensor& other) & {
  Tensor copy(other);
  std::swap(impl_, copy.impl_);
  return *this;
}
Tensor& Tensor::operator=(Tensor&& other) & noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
Tensor::~Tensor() {
  if (impl_) release(impl_);
}

DType Tensor::dtype(CallSite where) const { return impl(where)->dtype; }
const Shape& Tensor::shape(CallSite where) const { return impl(where)->shape; }
bool Tensor::is_abstract(CallSite where) const { return impl(where)->is_abstract(); }
std::uint64_t Tensor::id(CallSite where) const { return impl(where)->id; }
std::string Tensor::describe(CallSite where) const { return lockstep::describe(*impl(where)); }

void check_concrete(const TensorImpl& impl, const char* op, CallSite where) {
  if (!impl.is_abstract()) return;
  ErrorBuilder(ErrorId::symbolic_value, op, "the tensor is abstract and has no elements")
      .line("tensor", describe(impl))
      .at(where)
      .fix("run the model on real data; use `where` instead of branching on a value")
      .raise();
}

namespace {

void check_type(const TensorImpl& impl, DType as, const char* op, CallSite where) {
  if (impl.dtype == as) return;
  ErrorBuilder(ErrorId::wrong_element_type, op,
               "elements are " + std::string(name_of(impl.dtype)) + ", not " + std::string(name_of(as)))
      .line("tensor", describe(impl))
      .at(where)
      .fix("read them as " + std::string(name_of(impl.dtype)) + ", or cast(tensor, " + std::string(name_of(as)) + ")")
      .raise();
}

// The tensor itself, or a dense copy of it.
TensorRef dense(TensorImpl* impl, CallSite where) {
  return impl->dense ? TensorRef::share(impl) : completed_dense_copy(*impl, where);
}

}  // namespace

Device Tensor::device(CallSite where) const {
  check_concrete(*impl(where), "device", where);
  return impl_->device->device();
}

void Tensor::read_item(void* out, DType as, CallSite where) const {
  check_concrete(*impl(where), "item", where);
  if (shape().size() != 1) {
    ErrorBuilder(ErrorId::element_count, "item", "the tensor has " + std::to_string(size()) + " elements, not one")
        .line("tensor", describe())
        .at(where)
        .fix("reduce it first, or read all elements with to_vector")
        .raise();
  }
  read_all(out, as, where);
}

void Tensor::read_all(void* out, DType as, CallSite where) const {
  check_not_forked();
  check_concrete(*impl(where), "to_vector", where);
  check_type(*impl_, as, "to_vector", where);
  report_value_read(*impl_, "to_vector", where);
  read_dense(*dense(impl_, where), out, where);
}

std::vector<std::uint8_t> Tensor::to_bools(CallSite where) const {
  auto values = host_memory<std::uint8_t>(where);
  read_all(values.data(), DType::boolean, where);
  return values;
}

std::vector<std::byte> Tensor::to_bytes(CallSite where) const {
  check_readable(where);
  try {
    std::vector<std::byte> bytes(byte_count(dtype(), shape()));
    read_all(bytes.data(), dtype(), where);
    return bytes;
  } catch (const std::bad_alloc&) {
    fail_host_memory(where);
  }
}

// A view may have more elements than fit into memory. Its dense copy on the device is made first, so check that size.
void Tensor::check_readable(CallSite where) const {
  check_concrete(*impl(where), "to_vector", where);
  if (!impl_->dense) check_size(*impl_->device, {impl_->dtype, impl_->shape}, {.label = "to_vector", .where = &where});
}

void Tensor::fail_host_memory(CallSite where) const {
  host_out_of_memory("to_vector", byte_count(dtype(), shape()))
      .line("tensor", describe())
      .at(where)
      .fix("read a part of it: slice it first")
      .raise();
}

}  // namespace lockstep
