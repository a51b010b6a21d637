// The place in a program from which a call was made: a line of C++, or one of another language, as an id.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// A place in a program as text.
struct SourcePlace {
  std::string file = "<unknown>";
  std::uint32_t line = 0;  // 0: unknown
  std::string function;
};

namespace detail {

/// For compilers whose std::source_location is not one pointer: a copy that stays for ever, the same for equal places.
/// nullptr if there is no memory.
const std::source_location* keep_location(const std::source_location& where) noexcept;

/// Holds a std::source_location, or any odd number: an address is even here. For compilers whose std::source_location
/// is one pointer, to constants of the program: GCC and Clang.
class LocationInPlace {
 public:
  constexpr explicit LocationInPlace(std::uint64_t bits) noexcept : bits_(bits) {}
  constexpr explicit LocationInPlace(const std::source_location& where) noexcept : location_(where) {}
  std::uint64_t bits() const noexcept {
    std::uint64_t bits = 0;
    std::memcpy(&bits, this, sizeof bits);
    return bits;
  }
  constexpr std::source_location location() const noexcept { return location_; }

 private:
  union {
    std::source_location location_;
    std::uint64_t bits_;
  };
};

/// The same for other compilers. In constant expressions it holds nothing.
class LocationInTable {
 public:
  constexpr explicit LocationInTable(std::uint64_t bits) noexcept : bits_(bits) {}
  constexpr explicit LocationInTable(const std::source_location& where) noexcept
      : bits_(std::is_constant_evaluated() || where.line() == 0 ? 0 : address_of(keep_location(where))) {}
  constexpr std::uint64_t bits() const noexcept { return bits_; }
  std::source_location location() const noexcept {
    return bits_ ? *reinterpret_cast<const std::source_location*>(static_cast<std::uintptr_t>(bits_))
                 : std::source_location();
  }

 private:
  static std::uint64_t address_of(const std::source_location* kept) {
    return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(kept));
  }
  std::uint64_t bits_;
};

}  // namespace detail

/// The place from which a call was made; eight bytes, cheap to copy. Public functions take it as their last parameter:
///
///     Tensor gelu(const Tensor& x, CallSite where = CallSite::current());
///
/// It is a line of C++, a place of another language (see ExternalCallSites), or nothing. Its text is made only when
/// somebody asks for it, for example in an error.
class CallSite {
 public:
  /// No place.
  constexpr CallSite() noexcept : held_(std::uint64_t{0}) {}
  constexpr CallSite(const std::source_location& where) noexcept : held_(where) {}  // NOLINT: implicit by design
  /// As a default argument: the line of the call.
  static constexpr CallSite current(std::source_location where = std::source_location::current()) noexcept {
    return where;
  }

  bool is_empty() const noexcept { return held_.bits() == 0; }
  bool is_external() const noexcept { return (held_.bits() & 1) != 0; }
  /// The line of C++; a default one if the place is empty or external.
  std::source_location cpp() const noexcept { return is_external() ? std::source_location() : held_.location(); }
  /// The place as text. "<unknown>" if the place is empty, or if nobody can resolve it any more.
  SourcePlace resolve() const;

 private:
  friend class ExternalCallSites;
  using Held = std::conditional_t<sizeof(std::source_location) == sizeof(std::uint64_t), detail::LocationInPlace,
                                  detail::LocationInTable>;
  constexpr explicit CallSite(std::uint64_t bits) noexcept : held_(bits) {}

  Held held_;
};
static_assert(sizeof(CallSite) == 8 && std::is_trivially_copyable_v<CallSite>);

/// Tells what the ids of another language's call sites mean. Any thread may call it, several at the same time, also
/// with the lock of a device's queue held, when a failure on the device is noticed. It must therefore not call
/// Lockstep, nor wait for a lock that a thread holds while it calls Lockstep on an asynchronous device. What it throws
/// is ignored, and the place is unknown.
class CallSiteResolver {
 public:
  virtual ~CallSiteResolver();
  virtual SourcePlace resolve(std::uint64_t id) const = 0;
  /// Whether the place is in the language's own package for Lockstep, and therefore useless to the user. Should be
  /// cheap: it is asked before the text is.
  virtual bool is_library(std::uint64_t /*id*/) const { return false; }
};

/// The call sites of another language. Each has an id, which the language chooses; a resolver turns it into text when
/// somebody asks. A CallSite owns nothing: an id must keep its meaning as long as this object exists.
///
///     ExternalCallSites sites(std::make_shared<PythonLines>());
///     matmul({a, sites.at(id)}, b);
class ExternalCallSites {
 public:
  static constexpr std::uint64_t max_id = (std::uint64_t{1} << 48) - 1;

  /// Of a process, the first 32,767 objects work. Places of further ones are unknown.
  explicit ExternalCallSites(std::shared_ptr<const CallSiteResolver> resolver);
  /// From now on the places are unknown. A call of the resolver that has begun on another thread may still run; the
  /// resolver lives until it returns.
  ~ExternalCallSites();
  ExternalCallSites(const ExternalCallSites&) = delete;
  ExternalCallSites& operator=(const ExternalCallSites&) = delete;

  /// The place with this id; one above max_id is unknown.
  CallSite at(std::uint64_t id) const noexcept {
    return CallSite(id <= max_id ? id << 16 | static_cast<std::uint64_t>(number_) << 1 | 1 : 1);
  }

 private:
  std::uint32_t number_;  // 1 to 32767; 0 if there are no more. Never used again, since places may outlive this object
};

}  // namespace lockstep
