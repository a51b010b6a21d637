#include "runtime/kernel_cache.h"

#include <algorithm>
#include <array>
#include <bit>

#include "runtime/device_state.h"
#include "runtime/driver_registry.h"
#include "runtime/host_api.h"
#include "runtime/thread_owned.h"

namespace lockstep {
namespace {

constexpr std::size_t capacity = 4096;           // kernels per device
constexpr std::size_t capacity_of_family = 512;  // kernels of one family
constexpr std::size_t thread_table_size = 256;

std::uint64_t mix(std::uint64_t h, std::uint64_t v) {
  h ^= v;
  h *= 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

// Identifies a family, together with its attributes. Up to 8 tensors have 8 bits each; more tensors are hashed.
struct Identity {
  const void* op_key;
  std::array<std::uint64_t, 2> tensors;  // dtype and rank of each
  std::uint32_t tensor_count;
  MathMode mode;
  bool operator==(const Identity&) const = default;
};

std::uint64_t tensor_word(const KernelTensor& t) {
  return (static_cast<std::uint64_t>(t.dtype) << 4) | (t.absent ? 15u : t.rank);
}

Identity identity_of(const KernelRequest& r) {
  Identity id{r.op_key, {0, 0}, static_cast<std::uint32_t>(r.tensors.size()), r.mode};
  if (r.tensors.size() <= 8) {
    for (const KernelTensor& t : r.tensors) id.tensors[0] = (id.tensors[0] << 8) | tensor_word(t);
  } else {
    for (const KernelTensor& t : r.tensors) {
      id.tensors[0] = mix(id.tensors[0], tensor_word(t));
      id.tensors[1] = mix(id.tensors[1] + 1, tensor_word(t));
    }
  }
  return id;
}

std::uint64_t hash_of(const Identity& id, const KernelRequest& r) {
  std::uint64_t h = reinterpret_cast<std::uintptr_t>(id.op_key);
  h = mix(h, id.tensors[0]);
  h = mix(h, id.tensors[1] + id.tensor_count * 4u + static_cast<std::uint64_t>(id.mode));
  const auto* bytes = static_cast<const unsigned char*>(r.attrs);
  for (std::uint32_t i = 0; i + 8 <= r.attrs_size; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i, 8);
    h = mix(h, word);
  }
  for (std::uint32_t i = r.attrs_size & ~7u; i < r.attrs_size; ++i) h = mix(h, bytes[i]);
  for (std::uint8_t dtype : r.number_dtypes) h = mix(h, dtype);
  return h;
}

// The alignment of the first element. `most` is the alignment of buffers, at whose multiples blocks start. A larger
// alignment is never reported, so that the same call always finds the same kernel.
std::uint64_t alignment_of(const KernelTensor& t, std::uint64_t most) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(t.offset) * size_of(t.dtype);
  return bytes == 0 ? most : std::min(most, std::uint64_t{1} << std::countr_zero(bytes));
}

bool is_dense(const KernelTensor& t) {
  std::int64_t expected = 1;
  for (int i = t.rank - 1; i >= 0; --i) {
    if (t.dims[i] != 1 && t.strides[i] != expected) return false;
    expected = next_dense_stride(expected, t.dims[i]);
  }
  return true;
}

using Deps = std::vector<lks_operand_deps>;

bool depends_on_nothing(const Deps& deps) {
  return std::all_of(deps.begin(), deps.end(), [](const lks_operand_deps& d) {
    return d.dims == 0 && d.strides == 0 && d.stride_classes == 0 && d.dense == 0 && d.alignment <= 1;
  });
}

// The values of all properties that the kernel depends on, in a fixed order.
std::vector<std::int64_t> key_of(const Deps& deps, std::span<const KernelTensor> tensors, std::uint64_t alignment) {
  std::vector<std::int64_t> key;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const KernelTensor& t = tensors[k];
    const lks_operand_deps& d = deps[k];
    if (t.absent) continue;
    for (int i = 0; i < t.rank; ++i) {
      const std::uint32_t bit = 1u << i;
      if (d.dims & bit) key.push_back(t.dims[i]);
      if (d.strides & bit) key.push_back(t.dims[i] == 1 ? 0 : t.strides[i]);
      if (d.stride_classes & bit) {
        key.push_back(t.dims[i] == 1 ? 3 : t.strides[i] == 0 ? 0 : t.strides[i] == 1 ? 1 : 2);
      }
    }
    if (d.dense) key.push_back(is_dense(t));
    if (d.alignment > 1) key.push_back(static_cast<std::int64_t>(std::min(alignment_of(t, alignment), d.alignment)));
  }
  return key;
}

struct KeyHash {
  std::size_t operator()(const std::vector<std::int64_t>& key) const {
    std::uint64_t h = key.size();
    for (std::int64_t v : key) h = mix(h, static_cast<std::uint64_t>(v));
    return h;
  }
};

// Kernels that depend on the same properties.
struct Group {
  Deps deps;
  std::unordered_map<std::vector<std::int64_t>, std::shared_ptr<Kernel>, KeyHash> kernels;
};

bool same_deps(const Deps& a, const Deps& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.dims == y.dims && x.strides == y.strides && x.stride_classes == y.stride_classes &&
                  x.dense == y.dense && x.alignment == y.alignment;
         });
}

// Whether the refusal holds for all extents and strides.
bool is_final(std::int32_t reason) {
  return reason == LKS_REASON_OP || reason == LKS_REASON_DTYPE || reason == LKS_REASON_RANK ||
         reason == LKS_REASON_ATTRIBUTE || reason == LKS_REASON_MATH_MODE || reason == LKS_REASON_VERSION ||
         reason == LKS_REASON_HARDWARE || reason == LKS_REASON_EXTENSION;
}

// The description that is passed to the driver, with the storage that it points to.
struct Description {
  lks_kernel_desc desc{};
  std::vector<lks_tensor_desc> tensors;
  Deps deps;
  lks_kernel_info info{};

  Description(const KernelRequest& r, std::uint64_t alignment) : tensors(r.tensors.size()), deps(r.tensors.size()) {
    for (std::size_t k = 0; k < r.tensors.size(); ++k) fill(tensors[k], r.tensors[k], alignment);
    desc.hdr.size = sizeof desc;
    desc.attrs = r.attrs;
    desc.attrs_size = r.attrs_size;
    desc.math_mode = static_cast<std::uint32_t>(r.mode);
    desc.input_count = r.input_count;
    desc.output_count = static_cast<std::uint32_t>(r.tensors.size()) - r.input_count;
    desc.inputs = tensors.data();
    desc.outputs = tensors.data() + r.input_count;
    desc.operand_count = r.input_count;
    r.describe(desc, r.context);
    info.hdr.size = sizeof info;
    info.deps = deps.data();
  }

  static void fill(lks_tensor_desc& d, const KernelTensor& t, std::uint64_t alignment) {
    std::memset(&d, 0, sizeof d);
    d.hdr.size = sizeof d;
    d.dtype = abi_dtype(t.dtype);
    if (t.absent) {
      d.flags = LKS_TENSOR_OPTIONAL_ABSENT;
      return;
    }
    d.rank = t.rank;
    std::copy_n(t.dims, t.rank, d.dims);
    std::copy_n(t.strides, t.rank, d.strides);
    d.alignment = alignment_of(t, alignment);
  }
};

KernelLookup refusal(const lks_diag& diag) {
  KernelLookup lookup;
  lookup.reason = diag.reason ? diag.reason : LKS_REASON_OP;
  lookup.operand = diag.operand;
  lookup.text = diag.what;
  return lookup;
}

}  // namespace

struct KernelFamily {
  Identity identity;
  std::vector<unsigned char> attrs;
  std::vector<std::uint8_t> number_dtypes;
  std::mutex mutex;
  std::atomic<const Kernel*> single{nullptr};  // serves every call of the family
  std::vector<Group> groups;
  KernelLookup final_refusal;
  std::atomic<std::uint64_t> last_used{0};
  std::atomic<bool> dropped{false};

  bool matches(const Identity& id, const KernelRequest& r) const {
    return identity == id && attrs.size() == r.attrs_size &&
           (r.attrs_size == 0 || std::memcmp(attrs.data(), r.attrs, r.attrs_size) == 0) &&
           std::equal(number_dtypes.begin(), number_dtypes.end(), r.number_dtypes.begin(), r.number_dtypes.end());
  }
  std::size_t kernel_count() const {
    std::size_t n = 0;
    for (const Group& g : groups) n += g.kernels.size();
    return n;
  }
};

lks_dtype abi_dtype(DType t) {
  constexpr std::array<lks_dtype, dtype_count> types = {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8,
                                                        LKS_U8,  LKS_I32, LKS_I64, LKS_BOOL};
  if (!is_dtype(t)) fail_dtype(static_cast<int>(t));
  return types[static_cast<std::size_t>(t)];
}

Kernel::~Kernel() { device_.api().kernel_release(device_.handle(), handle_); }

namespace {

std::atomic<std::uint64_t> next_cache_serial{1};

struct ThreadEntry {
  std::uint64_t hash = 0;
  std::uint64_t cache_serial = 0;
  std::shared_ptr<KernelFamily> family;
};

std::array<ThreadEntry, thread_table_size>& thread_table() {
  static thread_local ThreadOwned<std::array<ThreadEntry, thread_table_size>> table;
  return table.get();
}

}  // namespace

KernelCache::KernelCache(DeviceState& device)
    : device_(device), inline_(device.info().capabilities & LKS_CAP_INLINE_QUEUE), serial_(next_cache_serial++) {}

KernelCache::~KernelCache() { clear(); }

KernelLookup KernelCache::find(const KernelRequest& request, const DriverCall& call) {
  const Identity id = identity_of(request);
  const std::uint64_t hash = hash_of(id, request);
  ThreadEntry& entry = thread_table()[hash % thread_table_size];
  const bool hit = entry.hash == hash && entry.cache_serial == serial_ && entry.family->matches(id, request) &&
                   !entry.family->dropped.load(std::memory_order_relaxed);
  if (!hit) {
    entry.family = family_for(request, hash);
    entry.hash = hash;
    entry.cache_serial = serial_;
  }
  KernelFamily& family = *entry.family;
  family.last_used.store(clock_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  // An asynchronous queue needs a reference that keeps the kernel alive beyond the call.
  const Kernel* single = inline_ ? family.single.load(std::memory_order_acquire) : nullptr;
  if (single) {
    KernelLookup lookup;
    lookup.direct = single;
    return lookup;
  }
  return find_in(family, request, call);
}

std::shared_ptr<KernelFamily> KernelCache::family_for(const KernelRequest& request, std::uint64_t hash) {
  const Identity id = identity_of(request);
  std::lock_guard lock(mutex_);
  clock_.fetch_add(1, std::memory_order_relaxed);
  const auto [begin, end] = families_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (it->second->matches(id, request)) return it->second;
  }
  if (kernel_count_ >= capacity || families_.size() >= capacity) evict_least_used();
  auto family = std::make_shared<KernelFamily>();
  family->identity = id;
  const auto* bytes = static_cast<const unsigned char*>(request.attrs);
  family->attrs.assign(bytes, bytes + request.attrs_size);
  family->number_dtypes.assign(request.number_dtypes.begin(), request.number_dtypes.end());
  families_.emplace(hash, family);
  return family;
}

KernelLookup KernelCache::find_in(KernelFamily& family, const KernelRequest& request, const DriverCall& call) {
  std::lock_guard lock(family.mutex);
  if (family.final_refusal.reason) return family.final_refusal;
  for (Group& group : family.groups) {
    const auto it = group.kernels.find(key_of(group.deps, request.tensors, device_.info().min_alignment));
    if (it == group.kernels.end()) continue;
    KernelLookup lookup;
    lookup.kernel = it->second;
    return lookup;
  }
  return prepare(family, request, call);
}

KernelLookup KernelCache::prepare(KernelFamily& family, const KernelRequest& request, const DriverCall& call) {
  check_not_forked();
  Description description(request, device_.info().min_alignment);
  lks_diag diag = empty_diag();
  lks_kernel* handle = nullptr;
  const lks_status status =
      device_.api().kernel_prepare(device_.handle(), &description.desc, &handle, &description.info, &diag);
  if (status == LKS_UNSUPPORTED) {
    ++counters.refusals;
    KernelLookup lookup = refusal(diag);
    if (is_final(lookup.reason)) family.final_refusal = lookup;
    return lookup;
  }
  check_driver(status, diag, device_.name(), call);
  ++counters.prepares;
  auto kernel = std::make_shared<Kernel>(device_, handle, description.info);
  KernelLookup lookup;
  lookup.kernel = kernel;

  auto group = std::find_if(family.groups.begin(), family.groups.end(),
                            [&](const Group& g) { return same_deps(g.deps, description.deps); });
  if (group == family.groups.end()) {
    family.groups.push_back({description.deps, {}});
    group = family.groups.end() - 1;
  }
  if (group->kernels.size() >= capacity_of_family) {
    kernel_count_ -= group->kernels.size();
    counters.evictions += group->kernels.size();
    group->kernels.clear();
  }
  group->kernels[key_of(group->deps, request.tensors, device_.info().min_alignment)] = kernel;
  ++kernel_count_;
  if (depends_on_nothing(group->deps)) family.single.store(kernel.get(), std::memory_order_release);
  return lookup;
}

KernelLookup KernelCache::query(const DeviceEntry& device, const KernelRequest& request) {
  check_not_forked();
  Description description(request, device.info.min_alignment);
  lks_diag diag = empty_diag();
  const lks_status status = device.driver.api->kernel_query(device.driver.handle(), device.ordinal, &description.desc,
                                                            &description.info, &diag);
  KernelLookup lookup;
  if (status != LKS_OK) lookup = refusal(diag);
  lookup.variant = description.info.variant;
  return lookup;
}

// Evicts the least recently used half of the families. A thread whose table still refers to one keeps it alive until it
// reuses that entry for another family.
void KernelCache::evict_least_used() {
  std::vector<std::uint64_t> ages;
  for (const auto& [hash, family] : families_) ages.push_back(family->last_used);
  std::nth_element(ages.begin(), ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / 2), ages.end());
  const std::uint64_t median = ages[ages.size() / 2];
  std::erase_if(families_, [&](const auto& item) {
    KernelFamily& family = *item.second;
    if (family.last_used > median) return false;
    std::lock_guard lock(family.mutex);
    family.dropped = true;
    kernel_count_ -= family.kernel_count();
    ++counters.evictions;
    return true;
  });
}

void KernelCache::clear() {
  for (ThreadEntry& entry : thread_table()) {
    if (entry.cache_serial == serial_) entry = {};
  }
  std::lock_guard lock(mutex_);
  for (auto& [hash, family] : families_) {
    std::lock_guard family_lock(family->mutex);
    family->dropped = true;
    family->single = nullptr;
    family->groups.clear();
  }
  families_.clear();
  kernel_count_ = 0;
}

std::size_t KernelCache::size() { return kernel_count_; }

}  // namespace lockstep
