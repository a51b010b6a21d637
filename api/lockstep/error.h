// Exceptions. Every error has a stable id (docs/errors.md) and says what went wrong, with which operands, where, and
// how to fix it.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "lockstep/call_site.h"
#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// The ids, one enumerator per line of error_ids.def; the value is the number after "LS".
enum class ErrorId : std::uint16_t {
#define LOCKSTEP_ERROR(number, category, name, summary) name = number,
#include "lockstep/error_ids.def"
#undef LOCKSTEP_ERROR
};

/// Base class of all exceptions that Lockstep throws. what() is the whole text:
///
///     ShapeError[LS2003] matmul: inner dimensions differ, 512 and 768
///       a      Tensor f32 (32, 512) cpu:0              output of model/dense_1
///       b      Variable "dense_2/kernel" f32 (768, 10) cpu:0
///       where  model/dense_2, called at train.cpp:41
///       fix    dense_2 was built for 768 features: rebuild it, or check the layer before it
class Error : public std::runtime_error {
 public:
  struct Parts {
    ErrorId id;
    std::string op;        // as the user wrote it, such as "matmul"
    std::string headline;  // what went wrong, with the numbers
    std::string where;     // layer path and the caller's file:line
    std::string hint;      // one concrete thing to do
    std::string text;      // all of it, formatted
  };
  explicit Error(Parts parts) : std::runtime_error(parts.text), parts_(std::move(parts)) {}

  ErrorId id() const { return parts_.id; }
  /// "LS2003".
  std::string code() const;
  const std::string& op() const { return parts_.op; }
  const std::string& headline() const { return parts_.headline; }
  const std::string& where() const { return parts_.where; }
  const std::string& hint() const { return parts_.hint; }
  const Parts& parts() const { return parts_; }

 private:
  Parts parts_;
};

/// LS1xxx: an object was used in a state that does not allow it (before build, after the tape was consumed …).
struct StateError : Error {
  using Error::Error;
};
/// LS20xx: invalid shapes, axes, indices or attributes.
struct ShapeError : Error {
  using Error::Error;
};
/// LS21xx: invalid or differing dtypes. Tensors are not promoted silently.
struct DTypeError : Error {
  using Error::Error;
};
/// LS3xxx: unknown, unavailable, mixed or lost devices, and failures of a driver.
struct DeviceError : Error {
  using Error::Error;
};
/// LS40xx: gradients that do not exist, with the reason.
struct GradientError : Error {
  using Error::Error;
};
/// LS41xx: the value of an abstract tensor was read.
struct TraceError : Error {
  using Error::Error;
};
/// LS5xxx: out of memory. The text lists memory use by owner, and a batch size that fits if one is known.
struct OutOfMemoryError : Error {
  using Error::Error;
};
/// LS6xxx: an op, dtype or mode that a device does not support and that cannot be decomposed into supported ops.
struct UnsupportedError : Error {
  using Error::Error;
};
/// LS7xxx: NaN or infinity where none is allowed.
struct NumericError : Error {
  using Error::Error;
};
/// LS8xxx: files.
struct IoError : Error {
  using Error::Error;
};
/// LS9xxx: the command line.
struct UsageError : Error {
  using Error::Error;
};

/// Builds and throws an error. All Lockstep errors are created by this class.
class ErrorBuilder {
 public:
  ErrorBuilder(ErrorId id, std::string_view op, std::string headline);

  /// Adds a line "  label  text", such as an operand's name and description.
  ErrorBuilder& line(std::string_view label, std::string_view text);
  /// Sets the caller's line; the thread's scope path is put before it.
  ErrorBuilder& at(CallSite where);
  ErrorBuilder& fix(std::string text);

  /// Throws the exception class that the id belongs to.
  [[noreturn]] void raise() const;

 private:
  ErrorId id_;
  std::string op_, headline_, lines_, where_, hint_;
};

/// Shorthand for errors without operands.
[[noreturn]] void raise(ErrorId id, std::string_view op, std::string headline, std::string fix, CallSite where);

/// Throws an error that was caught elsewhere again, with its original class.
[[noreturn]] void rethrow(const Error::Parts& parts);

/// "train.cpp:41": the last path component and the line.
std::string short_location(CallSite where);

}  // namespace lockstep
