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

/// How a weight gets its first value. Variance scaling draws with variance scale / fan (Glorot and Bengio, AISTATS
/// 2010; He et al., ICCV 2015): fan is the number of inputs, of outputs, or their mean.
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

  /// A value for a weight; takes the thread's next random key.
  Tensor make(const Shape& shape, DType dtype, double fan_in, double fan_out) const;
};

struct Call {
  bool training = false;  // layers such as Dropout differ
};

/// A piece of a model: takes a tensor, gives a tensor, and owns variables and further layers. Write your own by
/// deriving:
///
///     class Residual : public nn::Layer {
///      public:
///       explicit Residual(std::int64_t units) : inner_(add(nn::Dense{.units = units})) {}
///       Tensor call(const Tensor& x, const nn::Call& c) override { return x + inner_(x, c); }
///      private:
///       nn::Layer& inner_;
///     };
///
/// Variables are made in build(), which runs once, before the first call, when the input's shape is known.
class Layer {
 public:
  using Where = std::source_location;

  explicit Layer(std::string type_name);
  virtual ~Layer();
  Layer(Layer&&) noexcept;
  Layer& operator=(Layer&&) noexcept;

  /// Runs the layer within its name scope, building it first if need be.
  Tensor operator()(const Tensor& x, const Call& c = {}, Where where = Where::current());

  /// "dense_1"; unique among its siblings.
  const std::string& name() const;
  const std::string& type_name() const;
  void set_name(std::string name);
  /// Names it as the outermost layer of a model, which the names of variables leave out.
  void make_root(std::string name);
  bool built() const;
  const std::vector<std::unique_ptr<Layer>>& children() const;

  /// Its own and its children's, in the order in which they were made.
  std::vector<Variable> variables() const;
  std::vector<Variable> trainable_variables() const;
  /// Undoes build(), for a model of which some layer could not be built.
  void forget_variables();
  /// Variables of this layer alone.
  const std::vector<Variable>& own_variables() const;

 protected:
  virtual void build(const Shape& /*input*/) {}
  /// For build(): the dtype that weights should have, f64 where the input is and f32 otherwise.
  DType variable_dtype() const;
  virtual Tensor call(const Tensor& x, const Call& c) = 0;

  /// Makes a variable named "<path>/<name>".
  Variable add_variable(const std::string& name, const Tensor& initial, bool trainable = true);
  /// Takes a layer, or the options of one, as child.
  template <class L>
  Layer& add(L layer);
  Layer& add_child(std::unique_ptr<Layer> layer);

 private:
  struct State;
  Held<std::unique_ptr<State>, "layer"> state_;
};

/// The options of a layer: an aggregate that makes it.
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

/// x kernel + bias over the last dimension: (…, inputs) to (…, units). kernel (inputs, units), bias (units).
struct Dense {
  std::int64_t units = 0;
  Activation activation = nullptr;
  bool use_bias = true;
  Initializer kernel = Initializer::glorot_uniform();
  Initializer bias = Initializer::zeros();
  std::string name = "";
  std::unique_ptr<Layer> make() const;
};

/// conv2d over NHWC images; kernel (filters, height, width, channels / groups), bias (filters). A single number for
/// kernel, strides or dilation serves both sides.
struct Conv2d {
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

struct MaxPool2d {
  std::int64_t window = 2;
  std::int64_t strides = 0;  // 0: the window
  Padding padding = Padding::valid();
  std::unique_ptr<Layer> make() const;
};

struct AvgPool2d {
  std::int64_t window = 2;
  std::int64_t strides = 0;  // 0: the window
  Padding padding = Padding::valid();
  std::unique_ptr<Layer> make() const;
};

/// (N, H, W, C) to (N, C).
struct GlobalMaxPool2d {
  std::unique_ptr<Layer> make() const;
};
struct GlobalAvgPool2d {
  std::unique_ptr<Layer> make() const;
};

/// In training, sets a random share `rate` of the elements to 0 and scales the rest by 1 / (1 - rate).
struct Dropout {
  double rate = 0.5;
  std::unique_ptr<Layer> make() const;
};

/// (N, …) to (N, everything else).
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
/// Over the last dimension.
struct Softmax {
  std::unique_ptr<Layer> make() const;
};

/// Any function of tensors without variables.
struct Lambda {
  std::function<Tensor(const Tensor&)> function;
  std::string name = "lambda";
  std::unique_ptr<Layer> make() const;
};

/// Layers one after the other.
class Sequential : public Layer {
 public:
  template <class... L>
  explicit Sequential(L... layers) : Layer("sequential") {
    (add(std::move(layers)), ...);
  }
  using Layer::add;

 protected:
  Tensor call(const Tensor& x, const Call& c) override;
};

}  // namespace nn
}  // namespace lockstep
