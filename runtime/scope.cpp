#include "lockstep/scope.h"

#include <map>
#include <memory>
#include <mutex>

#include "runtime/thread_state.h"

namespace lockstep {

std::string ScopeName::path() const { return parent ? parent->path() + "/" + name : name; }

const ScopeName* intern_scope(const ScopeName* parent, std::string_view name) {
  // Never destroyed: memory blocks and tensors keep pointers to their scope.
  static auto* mutex = new std::mutex;
  static auto* names = new std::map<std::pair<const ScopeName*, std::string>, std::unique_ptr<ScopeName>>;
  std::lock_guard lock(*mutex);
  auto& slot = (*names)[{parent, std::string(name)}];
  if (!slot) slot = std::make_unique<ScopeName>(ScopeName{parent, std::string(name)});
  return slot.get();
}

const ScopeName* current_scope() { return thread_state().scope; }

NameScope::NameScope(std::string_view name) : NameScope(intern_scope(thread_state().scope, name)) {}

NameScope::NameScope(const ScopeName* interned) : previous_(thread_state().scope) { thread_state().scope = interned; }

NameScope::~NameScope() { thread_state().scope = previous_; }

}  // namespace lockstep
