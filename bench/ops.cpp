// Single ops at sizes where arithmetic or memory matters.
#include <algorithm>

#include "bench/workload.h"
#include "lockstep/driver_ops.h"

namespace bench {
namespace {

namespace ls = lockstep;

ls::Tensor normal(const ls::Shape& shape, std::uint64_t stream) {
  return ls::random_normal(shape, 0, 1, {.key = ls::RandomKey{2, stream}});
}

bool is_cpu(ls::Device device) { return ls::describe(device).driver == "cpu"; }

// ------------------------------------------------------------------------------------------------------------ matmul

Workload matmul(const std::string& name, std::int64_t m, std::int64_t k, std::int64_t n) {
  Workload w{"matmul", "f32 " + name, "GFLOP/s",
             2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n)};
  w.prepare = [=](ls::Device device) -> Work {
    return throughput_of(device, [a = normal({m, k}, 1), b = normal({k, n}, 2)] { ls::matmul(a, b); });
  };
  w.peer = [=](ls::Device device) { return is_cpu(device) ? onednn_matmul(m, k, n) : std::nullopt; };
  return w;
}

// ------------------------------------------------------------------------------------------------------- convolution

struct Conv {
  const char* name;
  ConvShape shape;
};

const Conv convolutions[] = {
    {"3->64 7x7s2 224", {32, 3, 224, 64, 7, 2, 3, 1}},
    {"64->64 3x3 56", {32, 64, 56, 64, 3, 1, 1, 1}},
    {"256->256 3x3 14", {32, 256, 14, 256, 3, 1, 1, 1}},
    {"dw128 3x3 28", {32, 128, 28, 128, 3, 1, 1, 128}},
};

ls::Convolution how(const ConvShape& s) {
  return {{s.stride, s.stride}, ls::Padding::of(s.padding, s.padding, s.padding, s.padding), {1, 1}, s.groups};
}

struct ConvData {
  ls::Tensor x, w;
  explicit ConvData(const ConvShape& s)
      : x(normal({s.batch, s.size, s.size, s.channels}, 3)),
        w(normal({s.filters, s.kernel, s.kernel, s.channels / s.groups}, 4)) {}
};

Workload conv_forward(const Conv& c) {
  Workload w{"conv", std::string(c.name) + " fwd", "ms"};
  w.prepare = [s = c.shape](ls::Device device) -> Work {
    return throughput_of(device, [s, d = ConvData(s)] { ls::conv2d(d.x, d.w, how(s)); });
  };
  w.peer = [s = c.shape](ls::Device device) {
    return is_cpu(device) ? onednn_conv(s, ConvPass::forward) : std::nullopt;
  };
  return w;
}

// The gradient ops alone, called as the tape would call them.
Workload conv_backward(const Conv& c, ConvPass pass) {
  const bool of_input = pass == ConvPass::backward_input;
  Workload w{"conv", std::string(c.name) + (of_input ? " bwd input" : " bwd filter"), "ms"};
  w.prepare = [s = c.shape, of_input](ls::Device device) -> Work {
    const ls::OpDef& op = *ls::find_op(of_input ? "conv2d_backward_input" : "conv2d_backward_filter");
    const ConvData d(s);
    lks_conv2d_backward_input_attrs attrs{};  // the attribute structs of both gradients have the same layout
    static_assert(sizeof(lks_conv2d_backward_input_attrs) == sizeof(lks_conv2d_backward_filter_attrs));
    attrs.strides = {2, {s.stride, s.stride}};
    attrs.padding = {4, {s.padding, s.padding, s.padding, s.padding}};
    attrs.dilation = {2, {1, 1}};
    attrs.groups = s.groups;
    attrs.shape.count = 4;
    const ls::Shape& result = of_input ? d.x.shape() : d.w.shape();
    for (int i = 0; i < 4; ++i) attrs.shape.values[i] = result[i];
    const ls::Tensor dy = normal({s.batch, s.output_size(), s.output_size(), s.filters}, 5);
    const ls::Tensor first = of_input ? dy : d.x, second = of_input ? d.w : dy;
    return throughput_of(device, [&op, attrs, first, second] { ls::invoke1(op, {first, second}, &attrs); });
  };
  w.peer = [s = c.shape, pass](ls::Device device) { return is_cpu(device) ? onednn_conv(s, pass) : std::nullopt; };
  return w;
}

Workload conv_training(const Conv& c) {
  Workload w{"conv", std::string(c.name) + " fwd+bwd", "ms"};
  w.prepare = [s = c.shape](ls::Device device) -> Work {
    return throughput_of(device, [s, d = ConvData(s)] {
      ls::GradientTape tape;
      tape.watch(d.x);
      tape.watch(d.w);
      const ls::Tensor y = ls::conv2d(d.x, d.w, how(s));
      tape.gradient(y, {d.x, d.w}, {.upstream = y});
    });
  };
  return w;
}

// ------------------------------------------------------------------------------------------------------------ memory

constexpr std::int64_t n16m = 1 << 24, n64m = 1 << 26;

const ls::OpDef& registered(const char* name, ls::Expr (*body)(ls::Expr, ls::Expr, ls::Expr, ls::Expr)) {
  if (const ls::OpDef* op = ls::find_op(name)) return *op;
  return ls::register_op(ls::pointwise_op(name, body, {.doc = "For the benchmark."}));
}

// f(x, 1.1, 0.3, 0.7) as one op.
Work pointwise(ls::Device device, const ls::OpDef& op, std::int64_t n) {
  return throughput_of(device, [&op, x = normal({n}, 6)] { ls::invoke1(op, {x, 1.1f, 0.3f, 0.7f}); });
}

// The lower of two limits: the memory bandwidth, and the rate of the same op on a tensor that stays in the L1 caches.
std::optional<Peer> memory_or_own_rate(ls::Device device, const ls::OpDef& op) {
  Peer copy = non_temporal_copy();
  const double copy_rate = copy.amount / measure(copy.work).median;
  constexpr std::int64_t in_cache = 4096;
  const double per_thread = static_cast<double>(in_cache) * 8 / measure(pointwise(device, op, in_cache)).median;
  const double own_rate = per_thread * ls::thread_count();
  if (copy_rate <= own_rate) return copy;
  return Peer{"its rate from L1", pointwise(device, op, in_cache),
              static_cast<double>(in_cache) * 8 * ls::thread_count()};
}

std::string in_millions(std::int64_t n) { return " " + std::to_string(n >> 20) + "M"; }

Workload pointwise_chain(const char* name, std::int64_t n, const char* op_name,
                         ls::Expr (*body)(ls::Expr, ls::Expr, ls::Expr, ls::Expr)) {
  Workload w{"memory", name + in_millions(n), "GB/s", 8.0 * static_cast<double>(n)};
  w.prepare = [=](ls::Device device) { return pointwise(device, registered(op_name, body), n); };
  w.peer = [=](ls::Device device) {
    return is_cpu(device) ? memory_or_own_rate(device, registered(op_name, body)) : std::nullopt;
  };
  return w;
}

template <class F>
Workload memory_bound(const std::string& name, double bytes, F make) {
  Workload w{"memory", name, "GB/s", bytes};
  w.prepare = [make](ls::Device device) { return throughput_of(device, make()); };
  w.peer = [](ls::Device device) { return is_cpu(device) ? std::optional(non_temporal_copy()) : std::nullopt; };
  return w;
}

std::vector<Workload> memory_workloads(bool for_gpus) {
  using ls::Expr;
  // The L2 cache of a GPU can hold most of 16M elements.
  const std::int64_t n = for_gpus ? n64m : n16m;
  return {
      pointwise_chain("x*a+b", n, "bench::affine", [](Expr x, Expr a, Expr b, Expr) { return x * a + b; }),
      pointwise_chain("gelu_erf(x*a+b)*c", n, "bench::gelu_erf",
                      [](Expr x, Expr a, Expr b, Expr c) { return ls::gelu(x * a + b) * c; }),
      pointwise_chain("gelu_tanh(x*a+b)*c", n, "bench::gelu_tanh",
                      [](Expr x, Expr a, Expr b, Expr c) { return ls::gelu_tanh(x * a + b) * c; }),
      memory_bound("add" + in_millions(n) + " (2r+w)", 12.0 * static_cast<double>(n),
                   [n] { return [a = normal({n}, 7), b = normal({n}, 8)] { ls::add(a, b); }; }),
      memory_bound("softmax 8192x1024", 8.0 * 8192 * 1024,
                   [] {
                     return [x = normal({8192, 1024}, 9)] { ls::softmax(x); };
                   }),
      memory_bound("softmax 524288x10", 8.0 * 524288 * 10,
                   [] {
                     return [x = normal({524288, 10}, 13)] { ls::softmax(x); };
                   }),
      memory_bound("sum 262144x64 by column", 4.0 * 262144 * 64,
                   [] {
                     return [x = normal({262144, 64}, 14)] { ls::sum(x, {{0}}); };
                   }),
      memory_bound("sum 16384x1024 by column", 4.0 * 16384 * 1024,
                   [] {
                     return [x = normal({16384, 1024}, 15)] { ls::sum(x, {{0}}); };
                   }),
      memory_bound("sum 16384x1024 by row", 4.0 * 16384 * 1024,
                   [] {
                     return [x = normal({16384, 1024}, 15)] { ls::sum(x, {{1}}); };
                   }),
      memory_bound("sum 64M", 4.0 * n64m, [] { return [x = ls::ones({n64m})] { ls::sum(x); }; }),
      memory_bound("transpose 4096", 8.0 * 4096 * 4096,
                   [] {
                     return [x = normal({4096, 4096}, 10)] { ls::add(ls::transpose(x), 0.0f); };
                   }),
      memory_bound(
          "gather 65536 of 50kx256", 8.0 * 65536 * 256,
          [] {
            const ls::Tensor random = ls::random_uniform({65536}, 0, 50000, {.key = ls::RandomKey{2, 11}});
            return [table = normal({50000, 256}, 12), ids = ls::cast(random, ls::i64)] { ls::gather(table, ids); };
          }),
  };
}

}  // namespace

double ConvShape::flops() const {
  const double out = static_cast<double>(output_size());
  const std::int64_t per_group = channels / groups;
  return 2.0 * static_cast<double>(batch * filters * per_group * kernel * kernel) * out * out;
}

std::vector<Workload> op_workloads(bool for_gpus) {
  std::vector<Workload> all = {matmul("64", 64, 64, 64),
                               matmul("256", 256, 256, 256),
                               matmul("512", 512, 512, 512),
                               matmul("1024", 1024, 1024, 1024),
                               matmul("2048", 2048, 2048, 2048),
                               matmul("1x4096@4096x4096", 1, 4096, 4096),
                               matmul("32x1024@1024x1024", 32, 1024, 1024)};
  if (for_gpus) {
    all.push_back(matmul("4096", 4096, 4096, 4096));
    all.back().for_gpus_only = true;
  }
  for (const Conv& c : convolutions) {
    all.push_back(conv_forward(c));
    all.push_back(conv_backward(c, ConvPass::backward_input));
    all.push_back(conv_backward(c, ConvPass::backward_filter));
    all.push_back(conv_training(c));
  }
  for (Workload& w : memory_workloads(for_gpus)) all.push_back(std::move(w));
  return all;
}

}  // namespace bench
