// Layers.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/ops/nn.h"
#include "lockstep/scope.h"
#include "lockstep/tensor.h"
#include "lockstep/variable.h"

namespace LOCKSTEP_API lockstep {
namespace nn {

/// How a weight is initialised. Variance scaling draws numbers with variance scale / fan (Glorot and Bengio, AISTATS
/// 2010; He et al., ICCV 2015); fan is the number of inputs, the number of outputs, or the mean of both.
struct Initializer {
  enum class Kind : std::uint8_t { constant, uniform, normal, truncated_normal, variance_uniform, variance_normal };
  enum class Fan : std::uint8_t { in, out, mean };
  Kind kind = Kind::constant;
  double value = 0;  // the constant, the limit, the standard deviation or the scale
  Fan fan = Fan::in;

  static Initializer zeros() { return {Kind::constant, 0}; }
  static Initializer ones() { return {Kind::constant, 1}; }
  static Initializer constant(double value) { return {Kind::constant, value}; }
  static Initializer uniform(double limit) { return {Kind::uniform, limit}; }
  static Initializer normal(double stddev) { return {Kind::normal, stddev}; }
  static Initializer truncated_normal(double stddev) { return {Kind::truncated_normal, stddev}; }
  static Initializer glorot_uniform() { return {Kind::variance_uniform, 1, Fan::mean}; }
  static Initializer glorot_normal() { return {Kind::variance_normal, 1, Fan::mean}; }
  static Initializer he_uniform() { return {Kind::variance_uniform, 2, Fan::in}; }
  static Initializer he_normal() { return {Kind::variance_normal, 2, Fan::in}; }

  /// Returns an initial value; uses the thread's next random key.
  Tensor make(const Shape& shape, DType dtype, double fan_in, double fan_out) const;
};

struct Call {
  bool training = false;  // changes layers such as Dropout
};

/// A part of a model: it maps a tensor to a tensor, and owns variables and child layers. Derive from it to write your
/// own:
///
///     class Residual : public nn::Layer {
///      public:
///       explicit Residual(std::int64_t units) : inner_(add(nn::Dense{.units = units})) {}
///       Tensor call(const Tensor& x, const nn::Call& c) const override { return x + inner_(x, c); }
///      private:
///       nn::Layer& inner_;
///     };
///
/// Variables are created in build(), which runs once, before the first call, when the input's shape is known.
///
/// Several threads may call one layer at the same time if it is const, or if it and the layers that it calls are built.
/// Calls do not change it and take no lock of it. The exceptions are calls with Call::training, which may assign to
/// variables (running statistics): meanwhile no other thread may use the layer. The same holds while variables are
/// assigned, by an optimizer or by loading weights.
class Layer {
 public:
  explicit Layer(std::string type_name);
  virtual ~Layer();
  Layer(Layer&&) noexcept;
  Layer& operator=(Layer&&) noexcept;

  /// Runs the layer within its name scope. Builds it first if necessary.
  Tensor operator()(const Tensor& x, const Call& c = {}, CallSite where = CallSite::current());
  /// The same without building. Throws StateError LS1001 if this layer, or one that it calls, is not built.
  Tensor operator()(const Tensor& x, const Call& c = {}, CallSite where = CallSite::current()) const;

  /// Such as "dense_1"; unique among its siblings.
  const std::string& name() const;
  const std::string& type_name() const;
  void set_name(std::string name);
  /// Makes this the outermost layer of a model. Its name is not part of the names of variables.
  void make_root(std::string name);
  bool built() const;
  const std::vector<std::unique_ptr<Layer>>& children() const;

  /// The variables of this layer and its children, in the order of creation.
  std::vector<Variable> variables() const;
  std::vector<Variable> trainable_variables() const;
  /// Undoes build(), after a layer of the model failed to build.
  void forget_variables();
  /// Variables of this layer without its children.
  const std::vector<Variable>& own_variables() const;

 protected:
  virtual void build(const Shape& /*input*/) {}
  /// For build(): the dtype for weights; f64 if the input is f64, otherwise f32.
  DType variable_dtype() const;
  /// The layer's computation. Const because several threads may run it; in training it may assign to variables.
  virtual Tensor call(const Tensor& x, const Call& c) const = 0;

  /// Creates a variable named "<path>/<name>".
  Variable add_variable(const std::string& name, const Tensor& initial, bool trainable = true);
  /// Adds a layer, or the layer that options describe, as a child.
  template <class L>
  Layer& add(L layer);
  Layer& add_child(std::unique_ptr<Layer> layer);

 private:
  struct LOCKSTEP_HIDDEN State;
  HandlePointer<std::unique_ptr<State>, "layer"> state_;
};

/// The options of a layer: an aggregate with a function make() that creates the layer.
template <class T>
concept LayerOptions = requires(const T& t) {
  { t.make() } -> std::same_as<std::unique_ptr<Layer>>;
};

namespace detail {
template <class L>
std::unique_ptr<Layer> to_layer(L layer) {
  if constexpr (std::same_as<L, std::unique_ptr<Layer>>) {
    return layer;
  } else if constexpr (LayerOptions<L>) {
    return layer.make();
  } else {
    static_assert(std::derived_from<L, Layer>, "pass a layer, or the options of one");
    return std::make_unique<L>(std::move(layer));
  }
}
}  // namespace detail

template <class L>
Layer& Layer::add(L layer) {
  return add_child(detail::to_layer(std::move(layer)));
}

using Activation = Tensor (*)(Operand);

/// x · kernel + bias over the last dimension: (…, inputs) to (…, units). kernel (inputs, units), bias (units). Throws
/// DTypeError LS2102 for an input that is not floating.
struct Dense {
  std::int64_t units = 0;
  Activation activation = nullptr;
  bool use_bias = true;
  Initializer kernel = Initializer::glorot_uniform();
  Initializer bias = Initializer::zeros();
  std::string name = "";
  std::unique_ptr<Layer> make() const;
};

/// Convolution over one, two or three spatial axes, to which `kernel`, `strides` and `dilation` apply alike. The
/// variables are kernel (filters, spatial extents, channels / groups) and bias (filters). Throws DTypeError LS2102 for
/// an input that is not floating.
template <int axes>
struct ConvOptions {
  std::int64_t filters = 0;
  std::int64_t kernel = 3;
  std::int64_t strides = 1;
  Padding padding = Padding::valid();
  std::int64_t dilation = 1;
  std::int64_t groups = 1;
  Activation activation = nullptr;
  bool use_bias = true;
  Initializer kernel_initializer = Initializer::glorot_uniform();
  Initializer bias_initializer = Initializer::zeros();
  std::string name = "";
  std::unique_ptr<Layer> make() const;
};
using Conv1d = ConvOptions<1>;  // over (batch, width, channels)
using Conv2d = ConvOptions<2>;  // over (batch, height, width, channels)
using Conv3d = ConvOptions<3>;  // over (batch, depth, height, width, channels)

/// Pools over the same axes.
template <int axes>
struct MaxPoolOptions {
  std::int64_t window = 2;
  std::int64_t strides = 0;  // 0: equal to the window
  Padding padding = Padding::valid();
  std::unique_ptr<Layer> make() const;
};
using MaxPool1d = MaxPoolOptions<1>;
using MaxPool2d = MaxPoolOptions<2>;
using MaxPool3d = MaxPoolOptions<3>;

template <int axes>
struct AvgPoolOptions {
  std::int64_t window = 2;
  std::int64_t strides = 0;  // 0: equal to the window
  Padding padding = Padding::valid();
  std::unique_ptr<Layer> make() const;
};
using AvgPool1d = AvgPoolOptions<1>;
using AvgPool2d = AvgPoolOptions<2>;
using AvgPool3d = AvgPoolOptions<3>;

/// (N, H, W, C) to (N, C).
struct GlobalMaxPool2d {
  std::unique_ptr<Layer> make() const;
};
struct GlobalAvgPool2d {
  std::unique_ptr<Layer> make() const;
};

/// In training, sets each element to 0 with probability `rate` and scales the others by 1 / (1 - rate).
struct Dropout {
  double rate = 0.5;
  std::unique_ptr<Layer> make() const;
};

/// Reshapes (N, …) to (N, product of the other extents).
struct Flatten {
  std::unique_ptr<Layer> make() const;
};

struct Relu {
  std::unique_ptr<Layer> make() const;
};
struct Gelu {
  std::unique_ptr<Layer> make() const;
};
struct Silu {
  std::unique_ptr<Layer> make() const;
};
struct Sigmoid {
  std::unique_ptr<Layer> make() const;
};
struct Tanh {
  std::unique_ptr<Layer> make() const;
};
/// Softmax over the last dimension.
struct Softmax {
  std::unique_ptr<Layer> make() const;
};

/// Any function of tensors that has no variables. If several threads run the model, it is called on all of them.
struct Lambda {
  std::function<Tensor(const Tensor&)> function;
  std::string name = "lambda";
  std::unique_ptr<Layer> make() const;
};

/// Applies layers one after the other.
class Sequential : public Layer {
 public:
  template <class... L>
  explicit Sequential(L... layers) : Layer("sequential") {
    (add(std::move(layers)), ...);
  }
  using Layer::add;

 protected:
  Tensor call(const Tensor& x, const Call& c) const override;
};

}  // namespace nn
}  // namespace lockstep
