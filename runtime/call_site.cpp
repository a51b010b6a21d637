#include "lockstep/call_site.h"

#include <bit>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "api/internal/mutex.h"
#include "runtime/caller.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

// The resolvers of a process by number, from 1 on. Numbers are not used again: a place may be resolved long after its
// resolver was removed, and must then not get the text of another language.
class Resolvers {
 public:
  static Resolvers& instance() {
    static auto* resolvers = new Resolvers;  // never destroyed: errors may be thrown during static destruction
    return *resolvers;
  }

  std::uint32_t add(std::shared_ptr<const CallSiteResolver> resolver) {
    LockGuard lock(mutex_);
    if (by_number_.size() >= max_number) return 0;
    by_number_.push_back(std::move(resolver));
    return static_cast<std::uint32_t>(by_number_.size());
  }
  // Returns it, so that it is destroyed without the lock.
  std::shared_ptr<const CallSiteResolver> remove(std::uint32_t number) {
    LockGuard lock(mutex_);
    return is_used(number) ? std::exchange(by_number_[number - 1], nullptr) : nullptr;
  }
  // The caller's reference keeps it alive, so that it is called without the lock.
  std::shared_ptr<const CallSiteResolver> find(std::uint32_t number) {
    LockGuard lock(mutex_);
    return is_used(number) ? by_number_[number - 1] : nullptr;
  }

  static constexpr std::uint32_t max_number = 0x7fff;

 private:
  bool is_used(std::uint32_t number) const LOCKSTEP_REQUIRES(mutex_) {
    return number >= 1 && number <= by_number_.size();
  }

  Mutex mutex_;
  std::vector<std::shared_ptr<const CallSiteResolver>> by_number_ LOCKSTEP_GUARDED_BY(mutex_);
};

// What ask(resolver, id) returns, or `otherwise` if the place has no resolver any more or it throws.
template <class Answer, class Ask>
Answer ask_resolver(CallSite where, Answer otherwise, Ask&& ask) {
  if (!thread_state().asks_resolvers) return otherwise;
  const auto bits = std::bit_cast<std::uint64_t>(where);
  try {
    const auto resolver = Resolvers::instance().find(static_cast<std::uint32_t>(bits >> 1) & Resolvers::max_number);
    return resolver ? ask(*resolver, bits >> 16) : otherwise;
  } catch (...) {
    return otherwise;
  }
}

}  // namespace

namespace detail {

const std::source_location* keep_location(const std::source_location& where) noexcept {
  struct Less {
    static auto key(const std::source_location& w) {
      return std::tuple(w.line(), w.column(), std::string_view(w.file_name()), std::string_view(w.function_name()));
    }
    bool operator()(const std::source_location& a, const std::source_location& b) const { return key(a) < key(b); }
  };
  struct Table {
    Mutex mutex;
    std::set<std::source_location, Less> locations LOCKSTEP_GUARDED_BY(mutex);
  };
  try {
    static auto* table = new Table;
    LockGuard lock(table->mutex);
    return &*table->locations.insert(where).first;
  } catch (...) {
    return nullptr;
  }
}

}  // namespace detail

SourcePlace CallSite::resolve() const {
  if (is_empty()) return {};
  if (!is_external()) return {cpp().file_name(), cpp().line(), cpp().function_name()};
  SourcePlace place = ask_resolver(
      *this, SourcePlace(), [](const CallSiteResolver& resolver, std::uint64_t id) { return resolver.resolve(id); });
  if (place.file.empty()) place.file = SourcePlace().file;
  return place;
}

bool is_external_library_line(CallSite where) {
  return ask_resolver(where, false,
                      [](const CallSiteResolver& resolver, std::uint64_t id) { return resolver.is_library(id); });
}

CallSiteResolver::~CallSiteResolver() = default;

ExternalCallSites::ExternalCallSites(std::shared_ptr<const CallSiteResolver> resolver)
    : number_(Resolvers::instance().add(std::move(resolver))) {}

ExternalCallSites::~ExternalCallSites() { Resolvers::instance().remove(number_); }

}  // namespace lockstep
