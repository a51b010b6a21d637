// Gradients: the tape that records what happens, and a check of gradients against finite differences.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/tensor.h"
#include "lockstep/variable.h"

namespace LOCKSTEP_API lockstep {

class TapeImpl;

/// What to do about a source on which the target does not depend.
enum class Unconnected : std::uint8_t { error, zero };

/// What a gradient is taken with respect to.
class Source {
 public:
  Source(const Tensor& tensor) : tensor_(tensor) {}          // NOLINT: implicit by design
  Source(const Variable& variable) : variable_(variable) {}  // NOLINT: implicit by design
  const std::optional<Tensor>& tensor() const { return tensor_; }
  const std::optional<Variable>& variable() const { return variable_; }

 private:
  std::optional<Tensor> tensor_;
  std::optional<Variable> variable_;
};

struct GradientOptions {
  std::optional<Tensor> upstream =
      std::nullopt;  // gradient that arrives at the target; default: 1 for a single element
  Unconnected unconnected = Unconnected::error;
};

/// Records the ops of this thread from its construction on, and differentiates through them:
///
///     Variable x(2.0f);
///     GradientTape tape;
///     Tensor y = 3.0f * x * x;
///     Tensor dy = tape.gradient(y, x);   // 12
///
/// Trainable variables are watched when they are used; tensors with watch(). gradient() consumes the tape, unless it is
/// persistent or the target does not depend on a source. Tapes nest: what an inner tape computes in gradient() is
/// recorded by the outer ones, which gives second order. A tape belongs to its thread: using it on another one throws
/// (StateError LS1004), and destroying it there ends its recording.
class GradientTape {
 public:
  struct Options {
    bool persistent = false;      // gradient() may be called again, also while the tape still records
    bool watch_trainable = true;  // watch trainable variables when they are used
  };
  using Where = std::source_location;

  GradientTape() : GradientTape(Options()) {}
  explicit GradientTape(Options options);
  ~GradientTape();
  GradientTape(const GradientTape&) = delete;
  GradientTape& operator=(const GradientTape&) = delete;

  /// Follows what is computed from the tensor from now on; f32 and f64 only (GradientError LS4003).
  void watch(const Tensor& tensor, Where where = Where::current());
  void watch(const Variable& variable, Where where = Where::current());

  /// d target / d source, of the source's shape. Throws GradientError LS4001, with the reason, where the target does
  /// not depend on the source, and LS4002 where it has several elements and no upstream is given.
  Tensor gradient(const Tensor& target, const Source& source, const GradientOptions& options = {},
                  Where where = Where::current());
  std::vector<Tensor> gradient(const Tensor& target, std::span<const Source> sources,
                               const GradientOptions& options = {}, Where where = Where::current());
  std::vector<Tensor> gradient(const Tensor& target, std::initializer_list<Source> sources,
                               const GradientOptions& options = {}, Where where = Where::current()) {
    return gradient(target, std::span(sources.begin(), sources.size()), options, where);
  }
  std::vector<Tensor> gradient(const Tensor& target, std::span<const Variable> variables,
                               const GradientOptions& options = {}, Where where = Where::current());

  /// Ends the recording: what is computed from now on is not followed, and watch() throws (StateError LS1008).
  /// gradient() works as before for what was recorded, and is itself not recorded any more. Stopping twice, or after
  /// gradient() has consumed the tape, changes nothing.
  void stop(Where where = Where::current());

  /// Ops recorded so far.
  std::size_t size() const;

 private:
  std::unique_ptr<TapeImpl> impl_;
};

/// The tapes that are active now record nothing until the end of the scope; tapes made within it do.
class [[nodiscard]] NoGradient {
 public:
  NoGradient();
  ~NoGradient();
  NoGradient(const NoGradient&) = delete;
  NoGradient& operator=(const NoGradient&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct GradcheckOptions {
  double step = 1e-6;        // of the central differences
  double relative = 1e-5;    // largest difference, relative to the larger of the two
  double absolute = 1e-7;    // … plus this
  bool second_order = true;  // check the gradient of the gradient too
};

struct GradcheckResult {
  bool ok = true;
  double worst = 0;  // largest difference found, in units of what is allowed
  std::string text;  // where, with both values; empty if ok
};

/// Compares gradients by the tape with central differences, for f64 inputs of any shapes. `f` takes the inputs and
/// gives one tensor; it is called many times and must be deterministic.
GradcheckResult gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

}  // namespace lockstep
