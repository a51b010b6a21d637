#include "runtime/kernel_cache.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "lockstep/options.h"
#include "lockstep/parallel.h"
#include "runtime/device_state.h"
#include "runtime/driver_registry.h"
#include "runtime/host_api.h"
#include "runtime/parallel.h"
#include "runtime/thread_owned.h"

namespace lockstep {
namespace {

constexpr std::size_t usual_capacity = 4096;
constexpr std::size_t thread_table_size = 256;

std::size_t capacity_option(const char* key, std::size_t usual, std::size_t max) {
  const std::optional<std::string> text = option(key);
  if (!text) return usual;
  std::size_t number = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc() || stop != end || number < 1 || number > max) {
    ErrorBuilder(ErrorId::bad_arguments, "option", std::string(key) + " is \"" + *text + "\"")
        .fix("set it to a number from 1 to " + std::to_string(max))
        .raise();
  }
  return number;
}

// For which calls of a family a refusal holds.
enum class Holds { always, for_these_tensors, now };

Holds scope_of(std::int32_t reason) {
  switch (reason) {
    case LKS_REASON_OP:
    case LKS_REASON_DTYPE:
    case LKS_REASON_RANK:
    case LKS_REASON_ATTRIBUTE:
    case LKS_REASON_MATH_MODE:
    case LKS_REASON_VERSION:
    case LKS_REASON_HARDWARE:
    case LKS_REASON_EXTENSION: return Holds::always;
    case LKS_REASON_LAYOUT:
    case LKS_REASON_SIZE:
    case LKS_REASON_ALIAS:
    case LKS_REASON_PROGRAM: return Holds::for_these_tensors;
    default: return Holds::now;  // a missing resource, and reasons of later versions
  }
}

KernelRefusal refusal_of(const lks_diag& diag) {
  return {diag.reason ? diag.reason : LKS_REASON_OP, diag.operand, diag.what};
}

std::atomic<std::uint64_t> next_cache_serial{1};

}  // namespace

// The description that is passed to the driver, with the storage that it points to.
struct KernelDescription {
  lks_kernel_desc desc{};
  std::vector<lks_tensor_desc> tensors;
  Deps deps;
  lks_kernel_info info{};

  KernelDescription(const KernelRequest& r, std::uint64_t alignment)
      : tensors(r.tensors.size()), deps(r.tensors.size()) {
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
  KernelDescription(const KernelDescription&) = delete;
  KernelDescription& operator=(const KernelDescription&) = delete;

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

// Answers that depend on the same properties.
struct KernelGroup {
  std::uint64_t number;  // the first word of their keys
  Deps deps;
};

struct KernelFamily {
  std::uint64_t number;
  std::vector<std::uint64_t> content;
  std::vector<KernelGroup> groups;
  std::shared_ptr<KernelAnswer> for_all;  // the answer to every call of the family
};

// A call that is known to belong to a family, so that it need not be described.
struct KnownCall : LruItem {
  KnownCall(const WordsView& key, std::shared_ptr<KernelFamily> of) : LruItem(key), family(std::move(of)) {}
  const std::shared_ptr<KernelFamily> family;
};

// ------------------------------------------------------------------------------------------------------------ kernels

Kernel::Kernel(std::shared_ptr<LiveKernels> live) : live_(std::move(live)) {
  LockGuard lock(live_->mutex_);
  live_->kernels_.insert(this);
}

void Kernel::set(lks_kernel* handle, const lks_kernel_info& info) {
  handle_ = handle;
  workspace_bytes_ = info.workspace_bytes;
  claims_ = {info.accumulate_dtype, info.max_ulp, info.gamma_factor};
  variant_ = info.variant;
}

Kernel::~Kernel() {
  LockGuard lock(live_->mutex_);
  live_->kernels_.erase(this);
  if (live_->device_) release(*live_->device_);
}

void Kernel::release(DeviceState& device) {
  if (lks_kernel* handle = std::exchange(handle_, nullptr)) device.api().kernel_release(device.handle(), handle);
}

void LiveKernels::release_all() {
  LockGuard lock(mutex_);
  for (Kernel* kernel : kernels_) kernel->release(*device_);
  device_ = nullptr;
}

// ---------------------------------------------------------------------------------------------------- the first level

struct KernelCache::ThreadSlot {
  std::uint64_t hash = 0;
  std::uint64_t cache_serial = 0;
  std::shared_ptr<KnownCall> call;
  AnswerRef for_all;  // nullptr if none serves every call of the family

  bool has(const WordsView& key, std::uint64_t serial) const {
    return hash == key.hash && cache_serial == serial && call->has(key);
  }
};

struct KernelCache::ThreadTable {
  std::array<ThreadSlot, thread_table_size> slots;
};

KernelCache::ThreadTable& KernelCache::thread_table() {
  static thread_local ThreadOwned<ThreadTable> table;
  return table.get();
}

KernelCache::ThreadSlot& KernelCache::slot_of(std::uint64_t hash) {
  return thread_table().slots[((hash >> 32) * thread_slots_) >> 32];
}

const KernelRefusal& KernelLookup::no_refusal() {
  static const KernelRefusal none;
  return none;
}

KernelLookup KernelCache::find(const KernelRequest& request, const DriverCall& call) {
  CallWords words;
  write_call(words, request);
  const WordsView key(words);
  ThreadSlot& slot = slot_of(key.hash);
  if (!slot.has(key, serial_) || !slot.for_all || slot.for_all->evicted.load(std::memory_order_relaxed)) {
    return find_shared(slot, key, request, call);
  }
  // Written only if it changes, so that threads do not take the cache line from each other.
  const std::uint64_t now = now_.load(std::memory_order_relaxed);
  if (slot.for_all->used.load(std::memory_order_relaxed) != now) {
    slot.for_all->used.store(now, std::memory_order_relaxed);
  }
  // A command of an asynchronous queue uses the kernel after its call has returned.
  return request.borrows && inline_ ? KernelLookup::borrowed(*slot.for_all) : KernelLookup(slot.for_all);
}

// --------------------------------------------------------------------------------------------------- the second level

KernelCache::KernelCache(DeviceState& device)
    : device_(device),
      inline_(device.info().capabilities & LKS_CAP_INLINE_QUEUE),
      serial_(next_cache_serial++),
      alignment_(device.info().min_alignment),
      thread_slots_(capacity_option("kernel_cache.per_thread", thread_table_size, thread_table_size)),
      live_(std::make_shared<LiveKernels>(device)),
      calls_(capacity_option("kernel_cache.capacity", usual_capacity, 1u << 24)),
      answers_(capacity_option("kernel_cache.capacity", usual_capacity, 1u << 24)) {}

KernelCache::~KernelCache() {
  clear();
  live_->release_all();
}

// A key for which the driver is being asked. Made and destroyed without the lock.
class KernelCache::Preparing {
 public:
  Preparing(KernelCache& cache, std::span<const std::uint64_t> key) : cache_(cache), key_(key) {}
  Preparing(const Preparing&) = delete;
  Preparing& operator=(const Preparing&) = delete;
  ~Preparing() {
    {
      LockGuard lock(cache_.mutex_);
      std::erase_if(cache_.preparing_, [&](std::span<const std::uint64_t> k) { return k.data() == key_.data(); });
    }
    cache_.prepared_.notify_all();
  }

  static bool is_running(const KernelCache& cache, std::span<const std::uint64_t> key) LOCKSTEP_REQUIRES(cache.mutex_) {
    return std::any_of(cache.preparing_.begin(), cache.preparing_.end(), [&](std::span<const std::uint64_t> k) {
      return std::equal(k.begin(), k.end(), key.begin(), key.end());
    });
  }

 private:
  KernelCache& cache_;
  std::span<const std::uint64_t> key_;
};

KernelLookup KernelCache::find_shared(ThreadSlot& slot, const WordsView& call_key, const KernelRequest& request,
                                      const DriverCall& call) {
  const ThreadSlot old = std::exchange(slot, ThreadSlot());  // destroyed without the lock
  std::optional<KernelDescription> description;
  const std::shared_ptr<KnownCall> known =
      old.has(call_key, serial_) ? old.call : known_call(call_key, request, description);
  const std::shared_ptr<KernelFamily>& family = known->family;
  const auto answered = [&](const AnswerRef& answer) {
    slot = {call_key.hash, serial_, known, answer == family->for_all ? answer : nullptr};
    return KernelLookup(answer);
  };

  LayoutWords asked;
  {
    LockGuard lock(mutex_);
    use(*known);
    while (true) {
      if (const AnswerRef found = find_answer(*family, request)) {
        use(*found);
        return answered(found);
      }
      if (asked.empty()) {
        const Deps all = depends_on_all(request.tensors, alignment_);
        write_layout(asked, family->number, all, request.tensors, alignment_);
      }
      if (!Preparing::is_running(*this, asked)) break;
      prepared_.wait(mutex_);
    }
    preparing_.emplace_back(asked);
  }
  const Preparing until_answered(*this, asked);
  if (!description) description.emplace(request, alignment_);
  AnswerRef answer = ask(*description, call);
  if (!answer->kernel && scope_of(answer->refusal.reason) == Holds::now) return KernelLookup(std::move(answer));
  const Deps deps = deps_of(*answer, request, *description);
  Removed removed;  // destroyed without the lock
  LockGuard lock(mutex_);
  return answered(keep(family, std::move(answer), deps, request, removed));
}

// A call that is not known is described without the lock: that may run code of the user.
std::shared_ptr<KnownCall> KernelCache::known_call(const WordsView& key, const KernelRequest& request,
                                                   std::optional<KernelDescription>& description) {
  {
    LockGuard lock(mutex_);
    if (const auto* known = calls_.find(key)) return *known;
  }
  description.emplace(request, alignment_);
  std::vector<std::shared_ptr<KnownCall>> removed;  // destroyed without the lock
  LockGuard lock(mutex_);
  if (const auto* known = calls_.find(key)) return *known;
  auto known = std::make_shared<KnownCall>(key, family_of(description->desc));
  use(*known);
  calls_.insert(known, removed);
  return known;
}

std::shared_ptr<KernelFamily> KernelCache::family_of(const lks_kernel_desc& desc) {
  std::vector<std::uint64_t> content = content_of(desc);
  const std::uint64_t hash = WordsView(content).hash;
  const auto [begin, end] = families_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    std::shared_ptr<KernelFamily> family = it->second.lock();
    if (family && family->content == content) return family;
  }
  if (families_.size() >= erase_expired_at_) {
    std::erase_if(families_, [](const auto& item) { return item.second.expired(); });
    erase_expired_at_ = std::max<std::size_t>(64, 2 * families_.size());
  }
  auto family = std::make_shared<KernelFamily>();
  family->number = next_number_++;
  family->content = std::move(content);
  families_.emplace(hash, family);
  return family;
}

KernelCache::AnswerRef KernelCache::find_answer(const KernelFamily& family, const KernelRequest& request) const {
  if (family.for_all) return family.for_all;
  for (const KernelGroup& group : family.groups) {
    LayoutWords words;
    write_layout(words, group.number, group.deps, request.tensors, alignment_);
    if (const AnswerRef* found = answers_.find(WordsView(words))) return *found;
  }
  return nullptr;
}

KernelCache::AnswerRef KernelCache::ask(KernelDescription& description, const DriverCall& call) {
  check_not_forked();
  auto answer = std::make_shared<KernelAnswer>(WordsView(std::span<const std::uint64_t>()));
  answer->kernel.emplace(live_);
  lks_diag diag = empty_diag();
  lks_kernel* handle = nullptr;
  // All threads share the kernel, so a scope of this thread must not make it a kernel for fewer threads.
  const ThreadCountScope of_all_threads(std::max(thread_count(), thread_count_of_application()));
  const lks_status status =
      device_.api().kernel_prepare(device_.handle(), &description.desc, &handle, &description.info, &diag);
  if (status == LKS_UNSUPPORTED) {
    ++counters.refusals;
    answer->kernel.reset();
    answer->refusal = refusal_of(diag);
    return answer;
  }
  check_driver(status, diag, device_.name(), call);
  ++counters.prepares;
  answer->kernel->set(handle, description.info);
  return answer;
}

Deps KernelCache::deps_of(const KernelAnswer& answer, const KernelRequest& request,
                          const KernelDescription& description) const {
  if (answer.kernel) return simplified(description.deps, request.tensors, alignment_);
  if (scope_of(answer.refusal.reason) == Holds::always) return Deps(request.tensors.size());
  return depends_on_all(request.tensors, alignment_);
}

// Returns the answer that is kept: `answer`, or an equivalent one if another thread was faster.
KernelCache::AnswerRef KernelCache::keep(const std::shared_ptr<KernelFamily>& family, AnswerRef answer,
                                         const Deps& deps, const KernelRequest& request, Removed& removed) {
  std::vector<KernelGroup>& groups = family->groups;
  auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return same_deps(g.deps, deps); });
  if (group == groups.end()) group = groups.insert(group, {next_number_++, deps});
  LayoutWords words;
  write_layout(words, group->number, deps, request.tensors, alignment_);
  const WordsView key(words);
  if (const AnswerRef* known = answers_.find(key)) {
    removed.push_back(std::move(answer));
    return *known;
  }
  answer->hash = key.hash;
  answer->words.assign(words.begin(), words.end());
  answer->family = family;
  use(*answer);
  answers_.insert(answer, removed);
  for (const AnswerRef& old : removed) remove(*old);
  counters.evictions += removed.size();
  if (same_deps(deps, Deps(deps.size()))) family->for_all = answer;
  return answer;
}

// Threads that have it in their tables ask again.
void KernelCache::remove(KernelAnswer& answer) {
  answer.evicted.store(true, std::memory_order_relaxed);
  if (answer.family->for_all.get() == &answer) answer.family->for_all.reset();
  answer.family.reset();
}

void KernelCache::use(LruItem& item) {
  const std::uint64_t now = now_.load(std::memory_order_relaxed);
  item.used.store(now + 1, std::memory_order_relaxed);
  now_.store(now + 2, std::memory_order_relaxed);
}

void KernelCache::clear() {
  for (ThreadSlot& slot : thread_table().slots) {
    if (slot.cache_serial == serial_) slot = {};
  }
  Removed removed;  // destroyed after the lock is released
  LockGuard lock(mutex_);
  answers_.clear(removed);
  for (const AnswerRef& answer : removed) remove(*answer);
  for (const auto& [hash, family] : families_) {
    if (const std::shared_ptr<KernelFamily> known = family.lock()) known->groups.clear();
  }
}

std::size_t KernelCache::size() {
  LockGuard lock(mutex_);
  return answers_.size();
}

KernelQuery KernelCache::query(const DeviceEntry& device, const KernelRequest& request) {
  check_not_forked();
  KernelDescription description(request, device.info.min_alignment);
  lks_diag diag = empty_diag();
  const lks_status status = device.driver.api->kernel_query(device.driver.handle(), device.ordinal, &description.desc,
                                                            &description.info, &diag);
  KernelQuery answer;
  if (status != LKS_OK) static_cast<KernelRefusal&>(answer) = refusal_of(diag);
  answer.variant = description.info.variant;
  return answer;
}

}  // namespace lockstep
