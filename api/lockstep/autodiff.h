// Gradients: a tape that records ops, and a check of gradients against finite differences.
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

class LOCKSTEP_HIDDEN TapeImpl;

/// What gradient() does for a source that the target does not depend on: throw, or return zeros.
enum class Unconnected : std::uint8_t { error, zero };

/// A tensor or variable with respect to which a gradient is taken.
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
      std::nullopt;  // the upstream gradient of the target; default: 1 if it has a single element
  Unconnected unconnected = Unconnected::error;
};

/// Records the ops that this thread runs after the tape was constructed, and differentiates through them:
///
///     Variable x(2.0f);
///     GradientTape tape;
///     Tensor y = 3.0f * x * x;
///     Tensor dy = tape.gradient(y, x);   // 12
///
/// A trainable variable is watched when it is used; for a tensor, call watch(). gradient() consumes the tape, unless it
/// is persistent or the target does not depend on a source. Tapes nest: outer tapes record what gradient() of an inner
/// tape computes, which gives second-order gradients. Gradients of abstract tensors are abstract, whether or not the
/// upstream gradient has elements. A tape belongs to its thread: using it on another thread throws StateError LS1004,
/// and destroying it there ends its recording.
class GradientTape {
 public:
  struct Options {
    bool persistent = false;      // gradient() may be called several times, also while the tape still records
    bool watch_trainable = true;  // watch trainable variables when they are used
  };

  GradientTape() : GradientTape(Options()) {}
  explicit GradientTape(Options options);
  ~GradientTape();
  GradientTape(const GradientTape&) = delete;
  GradientTape& operator=(const GradientTape&) = delete;

  /// Tracks what is computed from the tensor from now on. Floating dtypes only (GradientError LS4003).
  void watch(const Tensor& tensor, CallSite where = CallSite::current());
  void watch(const Variable& variable, CallSite where = CallSite::current());

  /// d target / d source, with the source's shape. Throws GradientError LS4001, with the reason, if the target does not
  /// depend on the source, and LS4002 if the target has several elements and no upstream gradient is given.
  Tensor gradient(const Tensor& target, const Source& source, const GradientOptions& options = {},
                  CallSite where = CallSite::current());
  std::vector<Tensor> gradient(const Tensor& target, std::span<const Source> sources,
                               const GradientOptions& options = {}, CallSite where = CallSite::current());
  std::vector<Tensor> gradient(const Tensor& target, std::initializer_list<Source> sources,
                               const GradientOptions& options = {}, CallSite where = CallSite::current()) {
    return gradient(target, std::span(sources.begin(), sources.size()), options, where);
  }
  std::vector<Tensor> gradient(const Tensor& target, std::span<const Variable> variables,
                               const GradientOptions& options = {}, CallSite where = CallSite::current());

  /// Ends the recording: later ops are not tracked, and watch() throws StateError LS1008. gradient() still works for
  /// what was recorded, but is not recorded itself. Calling stop() twice, or after gradient() has consumed the tape,
  /// has no effect.
  void stop(CallSite where = CallSite::current());

  /// Number of ops recorded so far.
  std::size_t size() const;

 private:
  std::unique_ptr<TapeImpl> impl_;
};

/// Until the end of the scope, the tapes that are active at its start record nothing. Tapes created within it do.
class [[nodiscard]] NoGradient {
 public:
  NoGradient();
  ~NoGradient();
  NoGradient(const NoGradient&) = delete;
  NoGradient& operator=(const NoGradient&) = delete;

 private:
  struct LOCKSTEP_HIDDEN State;
  std::unique_ptr<State> state_;
};

struct GradcheckOptions {
  double step = 1e-6;        // of the central differences
  double relative = 1e-5;    // allowed difference, relative to the larger of the two values …
  double absolute = 1e-7;    // … plus this absolute difference
  bool second_order = true;  // check the gradient of the gradient too
};

struct GradcheckResult {
  bool ok = true;
  double worst = 0;  // largest difference found, divided by the allowed difference
  std::string text;  // the first difference that is too large: its place and both values; empty if ok
};

/// Compares the tape's gradients with central differences, for f64 inputs of any shape. `f` takes the inputs and
/// returns one tensor. It is called many times and must be deterministic.
GradcheckResult gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

}  // namespace lockstep
