// The place in a program from which a call was made: a line of C++, or one of another language, as an id.
#pragma once

#include <bit>
#include <cstdint>
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
template <class Location>
class LocationInPlace {
 public:
  constexpr LocationInPlace() noexcept = default;
  constexpr explicit LocationInPlace(const Location& where) noexcept : location_(where) {}
  explicit LocationInPlace(std::uint64_t bits) noexcept : location_(std::bit_cast<Location>(bits)) {}
  std::uint64_t bits() const noexcept { return std::bit_cast<std::uint64_t>(location_); }
  constexpr Location location() const noexcept { return location_; }

 private:
  Location location_;
};

/// The same for other compilers. In constant expressions it holds nothing.
class LocationInTable {
 public:
  constexpr LocationInTable() noexcept = default;
  constexpr explicit LocationInTable(const std::source_location& where) noexcept
      : bits_(std::is_constant_evaluated() || where.line() == 0 ? 0 : address_of(keep_location(where))) {}
  explicit LocationInTable(std::uint64_t bits) noexcept : bits_(bits) {}
  constexpr std::uint64_t bits() const noexcept { return bits_; }
  std::source_location location() const noexcept {
    return bits_ ? *reinterpret_cast<const std::source_location*>(static_cast<std::uintptr_t>(bits_))
                 : std::source_location();
  }

 private:
  static std::uint64_t address_of(const std::source_location* kept) {
    return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(kept));
  }
  std::uint64_t bits_ = 0;
};

}  // namespace detail

/// The place from which a call was made; eight bytes, cheap to copy. Public functions, or their operands, take it as
/// their last parameter:
///
///     Tensor zeros(const Shape& shape, DType dtype = DType::f32, CallSite where = CallSite::current());
///
/// It is a line of C++, a place of another language (see ExternalCallSites), or nothing. Its text is made only when
/// somebody asks for it, for example in an error.
class CallSite {
 public:
  /// No place.
  constexpr CallSite() noexcept = default;
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
  using Storage = std::conditional_t<sizeof(std::source_location) == sizeof(std::uint64_t),
                                     detail::LocationInPlace<std::source_location>, detail::LocationInTable>;
  explicit CallSite(std::uint64_t bits) noexcept : held_(bits) {}

  Storage held_;
};
static_assert(sizeof(CallSite) == 8 && std::is_trivially_copyable_v<CallSite>);

/// Tells what the ids of another language's call sites mean. Any thread may ask it, several at the same time, and about
/// the same place more than once. It may use open devices, and wait for a lock that another thread holds while using
/// them, such as the lock of an interpreter: no lock of a queue or of a device's memory is held while it is asked.
/// (Where such a lock must be held, as in warnings about waits that fail, it is not asked, and the place is unknown.)
/// It must not find, open or register anything: errors in doing so are made under the lock that this would need. If it
/// throws, the place is unknown.
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

  /// The first 32,767 objects of a process work. Places of further ones are unknown.
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
