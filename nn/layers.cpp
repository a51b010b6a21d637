// The built-in layers.
#include <optional>

#include "lockstep/error.h"
#include "lockstep/nn.h"
#include "lockstep/ops.h"

namespace lockstep::nn {
namespace {

void require(bool ok, const char* layer, const std::string& what, const std::string& fix) {
  if (!ok) ErrorBuilder(ErrorId::invalid_attribute, layer, what).fix(fix).raise();
}

// Products of weights and integers would be integers.
void require_floating(const Layer& layer, const Tensor& x) {
  if (is_floating(x.dtype())) return;
  ErrorBuilder(ErrorId::dtype_not_accepted, layer.name(),
               "the input is " + std::string(name_of(x.dtype())) + ", the layer takes f32, f64, f16, bf16")
      .line("input", x.describe())
      .fix("cast the input to f32: cast(x, lockstep::f32), as data or in a Lambda layer")
      .raise();
}

class DenseLayer : public Layer {
 public:
  explicit DenseLayer(const Dense& options) : Layer("dense"), options_(options) {
    require(options.units > 0, "dense", "units is " + std::to_string(options.units),
            "give Dense{.units = …} of 1 or more");
    if (!options.name.empty()) set_name(options.name);
  }

 protected:
  void build(const Shape& input) override {
    if (input.rank() < 2) {
      ErrorBuilder(ErrorId::wrong_rank, name(),
                   "the input is " + input.to_string() + ", needed is (batch, …, features)")
          .fix("put Flatten{} before it")
          .raise();
    }
    const auto inputs = input[-1];
    const auto fan_in = static_cast<double>(inputs), fan_out = static_cast<double>(options_.units);
    kernel_ = add_variable("kernel", options_.kernel.make({inputs, options_.units}, variable_dtype(), fan_in, fan_out));
    if (options_.use_bias) {
      bias_ = add_variable("bias", options_.bias.make({options_.units}, variable_dtype(), fan_in, fan_out));
    }
  }

  Tensor call(const Tensor& x, const Call&) const override {
    require_floating(*this, x);
    Tensor y = matmul(x, *kernel_);
    if (bias_) y = y + *bias_;
    return options_.activation ? options_.activation(y) : y;
  }

 private:
  Dense options_;
  std::optional<Variable> kernel_, bias_;
};

template <int axes>
class ConvLayer : public Layer {
 public:
  explicit ConvLayer(const ConvOptions<axes>& options) : Layer(type), options_(options) {
    require(options.filters > 0, type, "filters is " + std::to_string(options.filters),
            std::string("give Conv") + std::to_string(axes) + "d{.filters = …} of 1 or more");
    require(options.kernel > 0, type, "kernel is " + std::to_string(options.kernel), "kernels are 1 or more");
    if (!options.name.empty()) set_name(options.name);
  }

 protected:
  void build(const Shape& input) override {
    if (input.rank() != axes + 2) {
      constexpr const char* needed[] = {"(batch, width, channels)", "(batch, height, width, channels)",
                                        "(batch, depth, height, width, channels)"};
      ErrorBuilder(ErrorId::wrong_rank, name(), "the input is " + input.to_string() + ", needed is " + needed[axes - 1])
          .fix("give images a channel dimension: expand_dims(images, -1)")
          .raise();
    }
    const std::int64_t channels = input[-1];
    require(options_.groups > 0 && channels % options_.groups == 0, type,
            std::to_string(channels) + " channels do not split into " + std::to_string(options_.groups) + " groups",
            "use a number of groups that divides the channels");
    const std::int64_t per_group = channels / options_.groups;
    double taps = 1;
    Shape filter{options_.filters};
    for (int side = 0; side < axes; ++side) {
      taps *= static_cast<double>(options_.kernel);
      filter.append(options_.kernel);
    }
    filter.append(per_group);
    const double fan_in = taps * static_cast<double>(per_group), fan_out = taps * static_cast<double>(options_.filters);
    kernel_ = add_variable("kernel", options_.kernel_initializer.make(filter, variable_dtype(), fan_in, fan_out));
    if (options_.use_bias) {
      bias_ =
          add_variable("bias", options_.bias_initializer.make({options_.filters}, variable_dtype(), fan_in, fan_out));
    }
  }

  Tensor call(const Tensor& x, const Call&) const override {
    require_floating(*this, x);
    const Tensor y = convolved(x);
    return options_.activation ? options_.activation(y) : y;
  }

 private:
  static constexpr const char* type = axes == 1 ? "conv1d" : axes == 2 ? "conv2d" : "conv3d";

  Tensor convolved(const Tensor& x) const {
    if constexpr (axes == 2) {
      const Convolution how{{options_.strides, options_.strides},
                            options_.padding,
                            {options_.dilation, options_.dilation},
                            options_.groups};
      return bias_ ? conv2d(x, *kernel_, *bias_, how) : conv2d(x, *kernel_, how);
    } else {
      const SpatialConvolution how{Ints(axes, options_.strides), options_.padding, Ints(axes, options_.dilation),
                                   options_.groups};
      return bias_ ? conv(x, *kernel_, *bias_, how) : conv(x, *kernel_, how);
    }
  }

  ConvOptions<axes> options_;
  std::optional<Variable> kernel_, bias_;
};

// A layer without variables: a named function.
class FunctionLayer : public Layer {
 public:
  using Function = std::function<Tensor(const Tensor&, const Call&)>;
  FunctionLayer(std::string type_name, Function function)
      : Layer(std::move(type_name)), function_(std::move(function)) {}

 protected:
  Tensor call(const Tensor& x, const Call& c) const override { return function_(x, c); }

 private:
  Function function_;
};

std::unique_ptr<Layer> function_layer(const char* name, Activation f) {
  return std::make_unique<FunctionLayer>(name, [f](const Tensor& x, const Call&) { return f(x); });
}

// A pool, by its name as a layer: `over_two` for two axes, `pool` for one or three.
template <int axes, class Options>
std::unique_ptr<Layer> pool_layer(const std::string& name, Tensor (*over_two)(Operand, Pool2d),
                                  Tensor (*pool)(Operand, SpatialPool), const Options& o) {
  const std::int64_t step = o.strides ? o.strides : o.window;
  const auto layer = [&](auto f, auto how) {
    return std::make_unique<FunctionLayer>(name + std::to_string(axes) + "d",
                                           [f, how](const Tensor& x, const Call&) { return f(x, how); });
  };
  if constexpr (axes == 2) {
    return layer(over_two, Pool2d{{o.window, o.window}, Pair{step, step}, o.padding});
  } else {
    return layer(pool, SpatialPool{Ints(axes, o.window), Ints(axes, step), o.padding});
  }
}

}  // namespace

std::unique_ptr<Layer> Dense::make() const { return std::make_unique<DenseLayer>(*this); }

template <int axes>
std::unique_ptr<Layer> ConvOptions<axes>::make() const {
  return std::make_unique<ConvLayer<axes>>(*this);
}
template <int axes>
std::unique_ptr<Layer> MaxPoolOptions<axes>::make() const {
  return pool_layer<axes>("max_pool", &max_pool2d, &max_pool, *this);
}
template <int axes>
std::unique_ptr<Layer> AvgPoolOptions<axes>::make() const {
  return pool_layer<axes>("avg_pool", &avg_pool2d, &avg_pool, *this);
}
template struct ConvOptions<1>;
template struct ConvOptions<2>;
template struct ConvOptions<3>;
template struct MaxPoolOptions<1>;
template struct MaxPoolOptions<2>;
template struct MaxPoolOptions<3>;
template struct AvgPoolOptions<1>;
template struct AvgPoolOptions<2>;
template struct AvgPoolOptions<3>;

std::unique_ptr<Layer> GlobalMaxPool2d::make() const { return function_layer("global_max_pool2d", &global_max_pool2d); }
std::unique_ptr<Layer> GlobalAvgPool2d::make() const { return function_layer("global_avg_pool2d", &global_avg_pool2d); }

std::unique_ptr<Layer> Dropout::make() const {
  require(rate >= 0 && rate < 1, "dropout", "the rate is " + std::to_string(rate), "the rate lies in [0, 1)");
  return std::make_unique<FunctionLayer>("dropout", [share = rate](const Tensor& x, const Call& c) {
    return c.training && share > 0 ? dropout(x, share) : x;
  });
}

std::unique_ptr<Layer> Flatten::make() const { return function_layer("flatten", &flatten); }
std::unique_ptr<Layer> Relu::make() const { return function_layer("relu", &relu); }
std::unique_ptr<Layer> Gelu::make() const { return function_layer("gelu", &gelu); }
std::unique_ptr<Layer> Silu::make() const { return function_layer("silu", &silu); }
std::unique_ptr<Layer> Sigmoid::make() const { return function_layer("sigmoid", &sigmoid); }
std::unique_ptr<Layer> Tanh::make() const { return function_layer("tanh", &tanh); }

std::unique_ptr<Layer> Softmax::make() const {
  return std::make_unique<FunctionLayer>("softmax", [](const Tensor& x, const Call&) { return softmax(x); });
}

std::unique_ptr<Layer> Lambda::make() const {
  require(static_cast<bool>(function), "lambda", "there is no function", "give Lambda{.function = …}");
  return std::make_unique<FunctionLayer>(name, [f = function](const Tensor& x, const Call&) { return f(x); });
}

}  // namespace lockstep::nn
