// Names for the places in a model that run ops, such as `model/dense_2`. They appear in errors and memory reports.
#pragma once

#include <string>
#include <string_view>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// One interned path component. It is never freed.
struct ScopeName {
  const ScopeName* parent;
  std::string name;
  /// "model/dense_2".
  std::string path() const;
};

/// Appends a component to this thread's scope path until the end of the C++ scope.
class [[nodiscard]] NameScope {
 public:
  explicit NameScope(std::string_view name);
  explicit NameScope(const ScopeName* interned);  // cheap: no lookup
  ~NameScope();
  NameScope(const NameScope&) = delete;
  NameScope& operator=(const NameScope&) = delete;

 private:
  const ScopeName* previous_;
};

/// The interned child `name` of `parent` (nullptr means the root). Takes no lock.
const ScopeName* intern_scope(const ScopeName* parent, std::string_view name);

/// This thread's scope; nullptr at the root.
const ScopeName* current_scope();

}  // namespace lockstep
