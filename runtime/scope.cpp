#include "lockstep/scope.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "runtime/thread_state.h"

namespace lockstep {
namespace {

// A hash table whose entries stay for ever: memory blocks and tensors keep pointers to their scope. So calls of layers
// need no lock to find a name.
struct Entry {
  ScopeName scope;
  const Entry* next;
};
constexpr std::size_t bucket_count = 1024;
std::atomic<const Entry*> buckets[bucket_count];

std::atomic<const Entry*>& bucket_of(const ScopeName* parent, std::string_view name) {
  const auto place = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(parent));
  return buckets[(std::hash<std::string_view>()(name) + place * 0x9e3779b97f4a7c15u) % bucket_count];
}

// Searches the entries from `first` on, up to and without `end`.
const ScopeName* find(const Entry* first, const Entry* end, const ScopeName* parent, std::string_view name) {
  for (const Entry* entry = first; entry != end; entry = entry->next) {
    if (entry->scope.parent == parent && entry->scope.name == name) return &entry->scope;
  }
  return nullptr;
}

}  // namespace

std::string ScopeName::path() const { return parent ? parent->path() + "/" + name : name; }

const ScopeName* intern_scope(const ScopeName* parent, std::string_view name) {
  std::atomic<const Entry*>& bucket = bucket_of(parent, name);
  const Entry* newest = bucket.load(std::memory_order_acquire);
  if (const ScopeName* known = find(newest, nullptr, parent, name)) return known;
  auto added = std::make_unique<Entry>(Entry{{parent, std::string(name)}, newest});
  while (
      !bucket.compare_exchange_weak(added->next, added.get(), std::memory_order_acq_rel, std::memory_order_acquire)) {
    // Other threads have added entries in front; one may be this name.
    if (const ScopeName* known = find(added->next, newest, parent, name)) return known;
    newest = added->next;
  }
  return &added.release()->scope;
}

const ScopeName* current_scope() { return thread_state().scope; }

NameScope::NameScope(std::string_view name) : NameScope(intern_scope(thread_state().scope, name)) {}

NameScope::NameScope(const ScopeName* interned) : previous_(thread_state().scope) { thread_state().scope = interned; }

NameScope::~NameScope() { thread_state().scope = previous_; }

}  // namespace lockstep
