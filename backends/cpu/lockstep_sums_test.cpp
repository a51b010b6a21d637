// Tests that sums, softmax, losses, pooling and scatter_add in lockstep mode give the bits of plain loops written from
// the specification, for all axes, layouts and numbers of threads.
#include <cmath>
#include <limits>

#include "backends/cpu/lockstep_spec.h"
#include "lockstep/autodiff.h"

namespace lockstep::testing {
namespace {

using spec::expect_bits;

// ------------------------------------------------------------------------------------------------------ sum and mean

struct AxesCase {
  Shape shape;
  Ints axes;
};

const AxesCase axes_cases[] = {{{1}, {0}},
                               {{31}, {0}},
                               {{32}, {0}},
                               {{33}, {0}},
                               {{1023}, {0}},
                               {{1024}, {0}},
                               {{1025}, {0}},
                               {{2049}, {0}},
                               {{3073}, {0}},
                               {{4099}, {0}},
                               {{140001}, {0}},
                               {{5, 33}, {1}},
                               {{5, 1025}, {1}},
                               {{1025, 5}, {0}},
                               {{2049, 3}, {0}},
                               {{40, 3}, {0}},
                               {{10, 300}, {0}},
                               {{33, 300}, {0}},
                               {{4099, 70}, {0}},
                               {{1024, 257}, {0}},
                               {{300, 10}, {1}},
                               {{70000, 4}, {1}},
                               {{70000, 4}, {0}},
                               {{3, 60000}, {1}},
                               {{6, 50, 64}, {0, 1}},
                               {{6, 50, 64}, {1}},
                               {{6, 50, 64}, {0, 2}},
                               {{6, 50, 64}, {2}},
                               {{6, 50, 64}, {0, 1, 2}},
                               {{7, 1030, 5}, {1}},
                               {{3, 14, 15, 16}, {1, 3}},
                               {{13, 4, 35, 6}, {0, 2}},
                               {{40, 9, 9, 8}, {0, 1, 2}},
                               {{5, 1, 6}, {1}},
                               {{0, 3}, {0}},
                               {{3, 0}, {1}},
                               {{2, 0, 4}, {0}}};

// Tensors of one shape with different memory layouts.
std::vector<Tensor> layouts(DType t, const Shape& shape, Values values) {
  Shape reversed, doubled, single;
  std::vector<Slice> every_other, backwards;
  for (int i = 0; i < shape.rank(); ++i) {
    reversed.append(shape[shape.rank() - 1 - i]);
    doubled.append(2 * shape[i]);
    single.append(i == 0 ? 1 : shape[i]);
    every_other.push_back({i, 1, std::nullopt, 2});
    backwards.push_back({i, -1, std::nullopt, -1});
  }
  return {random_tensor(cpu(), t, shape, 1, values), transpose(random_tensor(cpu(), t, reversed, 2, values)),
          slice(random_tensor(cpu(), t, doubled, 3, values), every_other),
          slice(random_tensor(cpu(), t, shape, 4, values), backwards),
          broadcast_to(random_tensor(cpu(), t, single, 5, values), shape)};
}

bool contains(const Ints& axes, int d) {
  for (std::int64_t a : axes) {
    if (a == d) return true;
  }
  return false;
}

// The terms of each output, in the logical order of the reduced axes. Outputs are in row-major order.
template <class T>
std::vector<std::vector<T>> terms_by_output(const Tensor& x, const Ints& axes) {
  const std::vector<T> values = x.to_vector<T>();
  std::int64_t outputs = 1;
  for (int d = 0; d < x.rank(); ++d) outputs *= contains(axes, d) ? 1 : x.shape()[d];
  std::vector<std::vector<T>> terms(static_cast<std::size_t>(outputs));
  std::size_t n = 0;
  spec::for_each_index(x.shape(), [&](const std::vector<std::int64_t>& index) {
    std::int64_t output = 0;
    for (int d = 0; d < x.rank(); ++d) {
      if (!contains(axes, d)) output = output * x.shape()[d] + index[static_cast<std::size_t>(d)];
    }
    terms[static_cast<std::size_t>(output)].push_back(values[n++]);
  });
  return terms;
}

template <class T>
void expect_sums(const Tensor& x, const Ints& axes, const std::string& what) {
  Shape shape;
  for (int d = 0; d < x.rank(); ++d) {
    if (!contains(axes, d)) shape.append(x.shape()[d]);
  }
  std::vector<T> sums, means;
  for (const std::vector<T>& terms : terms_by_output<T>(x, axes)) {
    sums.push_back(spec::lane_sum(terms));
    means.push_back(sums.back() / static_cast<T>(terms.size()));
  }
  expect_bits("sum of " + what, spec::tensor(sums, shape), [&] { return sum(x, {axes}); });
  if (x.size() == 0) return;  // an empty tensor has no mean
  expect_bits("mean of " + what, spec::tensor(means, shape), [&] { return mean(x, {axes}); });
}

TEST(LockstepSum, AnyAxesAndLayouts) {
  for (Values values : {Values::plain, Values::awkward}) {
    for (const AxesCase& c : axes_cases) {
      for (DType t : {f32, f64}) {
        const std::vector<Tensor> all = layouts(t, c.shape, values);
        for (std::size_t i = 0; i < all.size(); ++i) {
          const std::string what = std::string(name_of(t)) + " " + c.shape.to_string() + " layout " + std::to_string(i);
          t == f64 ? expect_sums<double>(all[i], c.axes, what) : expect_sums<float>(all[i], c.axes, what);
        }
      }
    }
  }
}

TEST(LockstepSum, NegativeZerosSumToPositiveZero) {
  for (const Shape& shape : {Shape{1}, Shape{5}, Shape{3000}}) {
    const Tensor x = neg(zeros(shape, f32));
    for (const Tensor& y : {to_device(x, cpu()), broadcast_to(slice(to_device(x, cpu()), {{0, 0, 1}}), shape)}) {
      expect_sums<float>(y, {0}, "negative zeros");
    }
  }
}

TEST(LockstepSum, ExtremesAndIntegersAreThoseOfStrictMode) {
  for (DType t : {f32, f64, i32, i64}) {
    for (const Tensor& x : layouts(t, {50, 1100}, Values::awkward)) {
      for (std::int64_t axis : {0, 1}) {
        expect_bits("max", max(x, {{axis}}), [&] { return max(x, {{axis}}); });
        expect_bits("argmax", argmax(x, axis), [&] { return argmax(x, axis); });
        if (!is_floating(t)) expect_bits("sum", sum(x, {{axis}}), [&] { return sum(x, {{axis}}); });
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------- softmax and the losses

template <class T>
Tensor row_sums(const Tensor& x) {
  std::vector<T> sums;
  for (const std::vector<T>& terms : terms_by_output<T>(x, {x.rank() - 1})) sums.push_back(spec::lane_sum(terms));
  Shape kept;
  for (int d = 0; d + 1 < x.rank(); ++d) kept.append(x.shape()[d]);
  kept.append(1);
  return spec::tensor(sums, kept);
}

// Softmax and log_softmax along the last axis, computed with single ops. Of these, exp, log and max are exact or the
// same in every mode.
struct Decomposed {
  Tensor softmax, log_softmax;
};

template <class T>
Decomposed decomposed(const Tensor& x) {
  const Tensor shifted = sub(x, max(x, {{-1}, true})), exponentials = exp(shifted);
  const Tensor total = row_sums<T>(exponentials);
  return {div(exponentials, total), sub(shifted, log(total))};
}

template <class T>
void expect_softmax(const Tensor& x, const std::string& what) {
  const Decomposed expected = decomposed<T>(x);
  expect_bits("softmax " + what, expected.softmax, [&] { return softmax(x); });
  expect_bits("log_softmax " + what, expected.log_softmax, [&] { return log_softmax(x); });
  const std::int64_t classes = x.shape()[-1];
  Shape rows;
  for (int d = 0; d + 1 < x.rank(); ++d) rows.append(x.shape()[d]);
  const Tensor targets = random_tensor(cpu(), x.dtype(), x.shape(), 7);
  const Tensor weighted = mul(expected.log_softmax, targets);
  expect_bits("cross_entropy " + what, neg(reshape(row_sums<T>(weighted), rows)),
              [&] { return cross_entropy(x, targets); });
  const Tensor labels = random_tensor(cpu(), i64, rows, 8);  // in [-9, 9], so some are out of range
  const Tensor label = reshape(labels, [&] {
    Shape s = rows;
    s.append(1);
    return s;
  }());
  const Tensor one = one_hot(labels, classes, DType::boolean);
  const Tensor picked = where(one, expected.log_softmax, zeros_like(x));
  const Tensor inside = logical_and(greater_equal(label, std::int64_t{0}), less(label, classes));
  const Tensor nan = to_device(full({}, std::nan(""), x.dtype()), cpu());
  expect_bits("sparse_cross_entropy " + what, neg(reshape(row_sums<T>(where(inside, picked, nan)), rows)),
              [&] { return sparse_cross_entropy(x, labels); });
}

TEST(LockstepSoftmax, GivesTheBitsOfItsDecomposition) {
  const DeviceScope device(cpu());
  const Shape shapes[] = {{1, 1},    {5, 10},   {1000, 10}, {3, 31},   {3, 32},    {3, 33},   {2, 1024}, {2, 1025},
                          {70, 700}, {2, 2047}, {2, 2048},  {3, 2049}, {2, 10007}, {7, 5, 3}, {100}};
  for (DType t : {f32, f64}) {
    for (const Shape& shape : shapes) {
      for (Values values : {Values::plain, Values::awkward}) {
        const std::vector<Tensor> all = layouts(t, shape, values);
        for (std::size_t i = 0; i < all.size(); ++i) {
          const std::string what = shape.to_string() + " layout " + std::to_string(i);
          t == f64 ? expect_softmax<double>(all[i], what) : expect_softmax<float>(all[i], what);
        }
      }
    }
  }
}

// ----------------------------------------------------------------------------------------------------------- pooling

struct Pooling {
  Shape x;
  Pool2d options;
};

const Pooling poolings[] = {{{2, 7, 8, 5}, {{2, 2}}},
                            {{2, 7, 9, 19}, {{3, 3}, Pair{2, 2}, Padding::of(1, 1, 1, 1)}},
                            {{1, 9, 8, 3}, {{3, 2}, Pair{1, 3}, Padding::of(0, 2, 1, 0)}},
                            {{3, 6, 6, 33}, {{4, 4}, Pair{1, 1}, Padding::of(2, 1, 1, 2)}}};

// Calls visit(index of the window, index of the image element) for all taps inside the image, windows and taps in
// ascending order.
template <class Visit>
void for_each_tap(const Pooling& p, const Shape& pooled, Visit&& visit) {
  const Pair strides = p.options.strides.value_or(p.options.window);
  const auto& padding = p.options.padding.amounts();
  std::size_t at = 0;
  spec::for_each_index(pooled, [&](const std::vector<std::int64_t>& i) {
    for (std::int64_t kh = 0; kh < p.options.window[0]; ++kh) {
      for (std::int64_t kw = 0; kw < p.options.window[1]; ++kw) {
        const std::int64_t h = i[1] * strides[0] - padding[0] + kh, w = i[2] * strides[1] - padding[2] + kw;
        if (h < 0 || h >= p.x[1] || w < 0 || w >= p.x[2]) continue;
        visit(at, static_cast<std::size_t>(((i[0] * p.x[1] + h) * p.x[2] + w) * p.x[3] + i[3]));
      }
    }
    ++at;
  });
}

template <class T>
void expect_pooling(const Pooling& p, DType t, Values values) {
  const Tensor x = random_tensor(cpu(), t, p.x, 1, values);
  const Shape pooled = avg_pool2d(x, p.options).shape();
  const Tensor dy = random_tensor(cpu(), t, pooled, 2, values);
  const std::vector<T> in = x.to_vector<T>(), upstream = dy.to_vector<T>();
  std::vector<T> average(upstream.size(), 0), best(upstream.size(), 0), count(upstream.size(), 0);
  std::vector<std::size_t> winner(upstream.size(), in.size());
  for_each_tap(p, pooled, [&](std::size_t window, std::size_t at) {
    average[window] = average[window] + in[at];
    count[window] += 1;
    const bool first = winner[window] == in.size();
    const bool positive_zero = in[at] == best[window] && std::signbit(best[window]) && !std::signbit(in[at]);
    const bool wins =
        first || in[at] > best[window] || positive_zero || (std::isnan(in[at]) && !std::isnan(best[window]));
    if (wins) best[window] = in[at], winner[window] = at;
  });
  for (std::size_t i = 0; i < average.size(); ++i) average[i] = average[i] / count[i];
  std::vector<T> average_gradient(in.size(), 0), max_gradient(in.size(), 0);
  for_each_tap(p, pooled, [&](std::size_t window, std::size_t at) {
    average_gradient[at] = average_gradient[at] + upstream[window] / count[window];
    if (winner[window] == at) max_gradient[at] = max_gradient[at] + upstream[window];
  });
  const auto gradient_of = [&](auto pool) {
    GradientTape tape;
    tape.watch(x);
    const Tensor y = pool(x, p.options);
    return tape.gradient(y, x, {.upstream = dy});
  };
  const std::string what = std::string(name_of(t)) + " " + p.x.to_string();
  expect_bits("avg " + what, spec::tensor(average, pooled), [&] { return avg_pool2d(x, p.options); });
  expect_bits("max " + what, spec::tensor(best, pooled), [&] { return max_pool2d(x, p.options); });
  expect_bits("avg gradient " + what, spec::tensor(average_gradient, p.x),
              [&] { return gradient_of([](const Tensor& a, const Pool2d& o) { return avg_pool2d(a, o); }); });
  expect_bits("max gradient " + what, spec::tensor(max_gradient, p.x),
              [&] { return gradient_of([](const Tensor& a, const Pool2d& o) { return max_pool2d(a, o); }); });
}

TEST(LockstepPool, AveragesExtremesAndTheirGradients) {
  for (const Pooling& p : poolings) {
    for (Values values : {Values::plain, Values::awkward}) {
      expect_pooling<float>(p, f32, values);
      expect_pooling<double>(p, f64, values);
    }
  }
}

// ------------------------------------------------------------------------------------------------------- scatter_add

TEST(LockstepScatterAdd, AddsInAscendingOrderOfTheSource) {
  for (const auto& [rows, width, extent] :
       {std::array<std::int64_t, 3>{500, 1, 7}, {3000, 40, 60}, {20000, 3, 2}, {50, 700, 9}}) {
    const Tensor updates = random_tensor(cpu(), f32, {rows, width}, 1, Values::awkward);
    std::vector<std::int64_t> places;
    TestRandom random(3);
    for (std::int64_t i = 0; i < rows; ++i) places.push_back(random.below(extent));
    const std::vector<float> in = updates.to_vector<float>();
    std::vector<float> out(static_cast<std::size_t>(extent * width), 0);
    for (std::size_t i = 0; i < in.size(); ++i) {
      const auto w = static_cast<std::size_t>(width);
      float& to = out[static_cast<std::size_t>(places[i / w]) * w + i % w];
      to = to + in[i];
    }
    const Tensor ids = spec::tensor(places, {rows});
    expect_bits("scatter_add", spec::tensor(out, {extent, width}),
                [&, n = extent] { return scatter_add(updates, ids, n); });
  }
}

}  // namespace
}  // namespace lockstep::testing
