// Calls oneDNN directly, as its documentation shows. Images and results are NHWC; filters are reordered beforehand into
// the layout that the primitive prefers.
#include <omp.h>

#include <dnnl.hpp>
#include <memory>
#include <unordered_map>

#include "bench/peers/peer.h"

using dnnl::memory;

struct peer_work {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
  int threads = 0;

  memory make(const memory::desc& desc) {
    memory m(desc, engine);
    auto* data = static_cast<float*>(m.get_data_handle());
    for (std::size_t i = 0; i < desc.get_size() / sizeof(float); ++i) data[i] = static_cast<float>(i % 17) * 0.01f;
    return m;
  }
};

namespace {

// oneDNN divides the work by the thread count at the time the primitive is created, and runs it with the thread count
// at the time of execution.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) {
    if (count != before_) omp_set_num_threads(count);
  }
  ~Threads() {
    if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

using tag = memory::format_tag;
constexpr auto f32 = memory::data_type::f32;

peer_work* matmul(int64_t m, int64_t k, int64_t n, int threads) try {
  const Threads scope(threads);
  auto work = std::make_unique<peer_work>();
  work->threads = threads;
  const memory::desc a({m, k}, f32, tag::ab), b({k, n}, f32, tag::ab), c({m, n}, f32, tag::ab);
  work->primitive = dnnl::matmul(dnnl::matmul::primitive_desc(work->engine, a, b, c));
  work->arguments = {{DNNL_ARG_SRC, work->make(a)}, {DNNL_ARG_WEIGHTS, work->make(b)}, {DNNL_ARG_DST, work->make(c)}};
  return work.release();
} catch (const dnnl::error&) {
  return nullptr;
}

peer_work* conv(const peer_conv* s, int threads) try {
  const Threads scope(threads);
  auto work = std::make_unique<peer_work>();
  work->threads = threads;
  const int64_t out = (s->size + 2 * s->padding - s->kernel) / s->stride + 1, per_group = s->channels / s->groups;
  const memory::desc x({s->batch, s->channels, s->size, s->size}, f32, tag::nhwc);
  const memory::desc y({s->batch, s->filters, out, out}, f32, tag::nhwc);
  const memory::desc w =
      s->groups == 1
          ? memory::desc({s->filters, per_group, s->kernel, s->kernel}, f32, tag::any)
          : memory::desc({s->groups, s->filters / s->groups, per_group, s->kernel, s->kernel}, f32, tag::any);
  const memory::dims strides{s->stride, s->stride}, padding{s->padding, s->padding};
  constexpr auto direct = dnnl::algorithm::convolution_direct;
  const dnnl::convolution_forward::primitive_desc forward(work->engine, dnnl::prop_kind::forward_training, direct, x, w,
                                                          y, strides, padding, padding);
  if (s->pass == 0) {
    work->primitive = dnnl::convolution_forward(forward);
    work->arguments = {{DNNL_ARG_SRC, work->make(x)},
                       {DNNL_ARG_WEIGHTS, work->make(forward.weights_desc())},
                       {DNNL_ARG_DST, work->make(y)}};
  } else if (s->pass == 1) {
    const dnnl::convolution_backward_data::primitive_desc backward(work->engine, direct, x, w, y, strides, padding,
                                                                   padding, forward);
    work->primitive = dnnl::convolution_backward_data(backward);
    work->arguments = {{DNNL_ARG_DIFF_DST, work->make(y)},
                       {DNNL_ARG_WEIGHTS, work->make(backward.weights_desc())},
                       {DNNL_ARG_DIFF_SRC, work->make(x)}};
  } else {
    const dnnl::convolution_backward_weights::primitive_desc backward(work->engine, direct, x, w, y, strides, padding,
                                                                      padding, forward);
    work->primitive = dnnl::convolution_backward_weights(backward);
    work->arguments = {{DNNL_ARG_SRC, work->make(x)},
                       {DNNL_ARG_DIFF_DST, work->make(y)},
                       {DNNL_ARG_DIFF_WEIGHTS, work->make(backward.diff_weights_desc())}};
  }
  return work.release();
} catch (const dnnl::error&) {
  return nullptr;
}

void run(peer_work* work) {
  const Threads scope(work->threads);
  work->primitive.execute(work->stream, work->arguments);
  work->stream.wait();
}

void release(peer_work* work) { delete work; }

}  // namespace

const peer_api* lockstep_bench_peer(void) {
  static const peer_api api = {"oneDNN", &matmul, &conv, &run, &release};
  return &api;
}
