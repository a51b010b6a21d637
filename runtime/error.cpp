#include "lockstep/error.h"

#include <array>

#include "lockstep/scope.h"
#include "runtime/caller.h"

namespace lockstep {
namespace {

struct ErrorKind {
  ErrorId id;
  const char* category;
  void (*raise)(Error::Parts);
};

template <class Exception>
[[noreturn]] void raise_as(Error::Parts parts) {
  throw Exception(std::move(parts));
}

constexpr std::array kinds = {
#define LOCKSTEP_ERROR(number, category, name, summary) ErrorKind{ErrorId::name, #category, &raise_as<category>},
#include "lockstep/error_ids.def"
#undef LOCKSTEP_ERROR
};

const ErrorKind& kind_of(ErrorId id) {
  for (const ErrorKind& kind : kinds) {
    if (kind.id == id) return kind;
  }
  return kinds.front();
}

std::string code_of(ErrorId id) { return "LS" + std::to_string(static_cast<unsigned>(id)); }

std::string labelled(std::string_view label, std::string_view text) {
  constexpr std::size_t label_width = 6;
  std::string line = "\n  " + std::string(label);
  if (label.size() < label_width) line.append(label_width - label.size(), ' ');
  return line + " " + std::string(text);
}

}  // namespace

std::string Error::code() const { return code_of(parts_.id); }

std::string short_location(CallSite where) {
  const SourcePlace place = where.resolve();
  const std::size_t slash = place.file.find_last_of("/\\");
  std::string text = slash == std::string::npos ? place.file : place.file.substr(slash + 1);
  if (place.line != 0) text += ":" + std::to_string(place.line);
  return text;
}

ErrorBuilder::ErrorBuilder(ErrorId id, std::string_view op, std::string headline)
    : id_(id), op_(op), headline_(std::move(headline)) {}

ErrorBuilder& ErrorBuilder::line(std::string_view label, std::string_view text) {
  lines_ += labelled(label, text);
  return *this;
}

namespace {

std::string place(CallSite where) {
  const std::string line = "called at " + short_location(user_line(where));
  const ScopeName* scope = current_scope();
  return scope ? scope->path() + ", " + line : line;
}

}  // namespace

ErrorBuilder& ErrorBuilder::at(CallSite where) {
  where_ = place(where);
  return *this;
}

ErrorBuilder& ErrorBuilder::fix(std::string text) {
  hint_ = std::move(text);
  return *this;
}

void ErrorBuilder::raise() const {
  const ErrorKind& kind = kind_of(id_);
  const CallSite caller = thread_state().caller;
  const std::string where = where_.empty() && !caller.is_empty() ? place(caller) : where_;
  std::string text = std::string(kind.category) + "[" + code_of(id_) + "] ";
  if (!op_.empty()) text += op_ + ": ";
  text += headline_ + lines_;
  if (!where.empty()) text += labelled("where", where);
  if (!hint_.empty()) text += labelled("fix", hint_);
  kind.raise({id_, op_, headline_, where, hint_, std::move(text)});
  __builtin_unreachable();
}

void rethrow(const Error::Parts& parts) {
  kind_of(parts.id).raise(parts);
  __builtin_unreachable();
}

void raise(ErrorId id, std::string_view op, std::string headline, std::string fix, CallSite where) {
  ErrorBuilder(id, op, std::move(headline)).at(where).fix(std::move(fix)).raise();
}

}  // namespace lockstep
