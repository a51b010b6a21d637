// Tests that gather, scatter_add, one_hot and argsort give the same bits as the reference driver.
#include <algorithm>
#include <numeric>

#include "backends/cpu/test_support.h"
#include "lockstep/error.h"

namespace lockstep::testing {
namespace {

// Random indices below `extent`, with repetitions.
Tensor indices(Device d, DType t, const Shape& shape, std::int64_t extent, std::uint64_t seed) {
  TestRandom random(seed);
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < shape.size(); ++i) values.push_back(random.below(extent));
  return cast(Tensor::from_bytes(values.data(), values.size() * 8, {i64, shape}, d), t);
}

TEST(Gather, ShapesAndTypes) {
  struct Case {
    Shape x, indices;
    std::int64_t axis;
  };
  const Case cases[] = {{{7}, {5}, 0},       {{1000}, {70000}, 0},   {{50, 3}, {9}, 0},     {{50, 256}, {2000}, 0},
                        {{4, 900}, {33}, 1}, {{3, 5, 7}, {4, 2}, 1}, {{3, 5, 7}, {6}, 2},   {{9, 4}, {}, 0},
                        {{9, 4}, {0}, 0},    {{1, 1}, {3}, 0},       {{2, 3, 4, 5}, {7}, 1}};
  for (const Case& c : cases) {
    for (DType t : {f32, f64, f16, u8, i64, boolean}) {
      for (DType index : {i32, i64}) {
        expect_same("gather " + c.x.to_string(), [&](Device d) {
          return gather(random_tensor(d, t, c.x, 1), indices(d, index, c.indices, c.x[static_cast<int>(c.axis)], 2),
                        c.axis);
        });
      }
    }
  }
}

TEST(Gather, Layouts) {
  expect_same("transposed", [](Device d) {
    return gather(transpose(random_tensor(d, f32, {30, 50}, 1)), indices(d, i64, {40}, 50, 2));
  });
  expect_same("strided indices", [](Device d) {
    return gather(random_tensor(d, f32, {30, 8}, 1),
                  transpose(slice(indices(d, i64, {40, 6}, 30, 2), {{0, -1, std::nullopt, -2}})));
  });
  expect_same("repeated rows", [](Device d) {
    return gather(broadcast_to(random_tensor(d, f32, {1, 8}, 1), {30, 8}), indices(d, i64, {40}, 30, 2));
  });
}

// Large results take another code path than parts of them.
TEST(Gather, LargeLikeItsParts) {
  const Tensor table = random_tensor(cpu(), f32, {5000, 260}, 1), ids = indices(cpu(), i64, {40000}, 5000, 2);
  const Tensor all = gather(table, ids);
  for (std::int64_t at = 0; at < 40000; at += 8000) {
    const auto part = [&](const Tensor& x) { return slice(x, {{0, at, at + 8000}}); };
    EXPECT_TRUE(same_bits(part(all), gather(table, part(ids))));
  }
}

TEST(ScatterAdd, ShapesAndTypes) {
  struct Case {
    Shape updates;
    std::int64_t axis, extent;
  };
  const Case cases[] = {{{7}, 0, 3},         {{5000}, 0, 100}, {{40, 3}, 0, 9}, {{2000, 130}, 0, 60}, {{3, 40}, 1, 11},
                        {{4, 50, 6}, 1, 12}, {{0, 4}, 0, 3},   {{6, 5}, 0, 1},  {{30, 16, 4}, 0, 7}};
  for (const Case& c : cases) {
    for (DType t : {f32, f64, i32, i64}) {
      const Values values = t == i32 || t == i64 ? Values::awkward : Values::plain;
      const auto ids = [&](Device d) { return indices(d, i64, {c.updates[static_cast<int>(c.axis)]}, c.extent, 2); };
      expect_same("scatter_add " + c.updates.to_string(), [&](Device d) {
        return scatter_add(random_tensor(d, t, c.updates, 1, values), ids(d), c.extent, c.axis);
      });
      expect_same("strided scatter_add " + c.updates.to_string(), [&](Device d) {
        Shape reversed;
        for (int i = c.updates.rank() - 1; i >= 0; --i) reversed.append(c.updates[i]);
        return scatter_add(transpose(random_tensor(d, t, reversed, 1, values)), ids(d), c.extent, c.axis);
      });
    }
  }
}

TEST(OneHot, LabelsInsideAndOutside) {
  for (DType t : {f32, f64, f16, bf16, u8, i64, boolean}) {
    for (DType label : {i32, i64}) {
      for (const Shape& shape : {Shape{}, Shape{50}, Shape{6, 7}, Shape{3000}}) {
        expect_same("one_hot", [&](Device d) { return one_hot(random_tensor(d, label, shape, 1), 5, t); });
      }
      expect_same("transposed", [&](Device d) { return one_hot(transpose(random_tensor(d, label, {6, 7}, 1)), 5, t); });
    }
  }
}

TEST(Index, ThreadsDoNotMatter) {
  expect_same_for_threads("gather", [](Device d) {
    return gather(random_tensor(d, f32, {500, 64}, 1), indices(d, i64, {3000}, 500, 2));
  });
  expect_same_for_threads("scatter_add", [](Device d) {
    return scatter_add(random_tensor(d, f32, {30000, 64}, 1), indices(d, i64, {30000}, 500, 2), 500);
  });
}

TEST(Index, OutsideIsFoundBeforeAnythingIsWritten) {
  const Tensor x = random_tensor(cpu(), f32, {4, 3}, 1), updates = random_tensor(cpu(), f32, {3, 3}, 1);
  for (DType t : {i32, i64}) {
    for (std::int64_t bad : {std::int64_t{-1}, std::int64_t{4}}) {
      const std::vector<std::int64_t> values = {0, bad, 3};
      const Tensor ids = cast(Tensor::from_bytes(values.data(), 24, {i64, {3}}, cpu()), t);
      EXPECT_THROW(gather(x, ids), ShapeError);
      EXPECT_THROW(gather(x, slice(ids, {{0, -1, std::nullopt, -1}})), ShapeError);
      EXPECT_THROW(scatter_add(updates, ids, 4), ShapeError);
    }
  }
}

TEST(Argsort, StableForAllKeys) {
  for (std::int64_t n : {1, 2, 3, 100, 499, 500, 501, 2000}) {
    for (Values values : {Values::plain, Values::awkward}) {
      expect_same("argsort", [&](Device d) { return argsort(random_tensor(d, i64, {n}, 3, values)); });
    }
  }
  expect_same("backwards", [](Device d) {
    return argsort(slice(random_tensor(d, i64, {1000}, 3), {{0, -1, std::nullopt, -1}}));
  });
  EXPECT_EQ(argsort(random_tensor(cpu(), i64, {0}, 1)).size(), 0);
}

TEST(Argsort, Large) {
  constexpr std::int64_t n = 200000;
  for (Values values : {Values::plain, Values::awkward}) {
    const Tensor x = random_tensor(cpu(), i64, {n}, 3, values);
    const std::vector<std::int64_t> keys = x.to_vector<std::int64_t>();
    std::vector<std::int64_t> expected(n);
    std::iota(expected.begin(), expected.end(), 0);
    std::stable_sort(expected.begin(), expected.end(), [&](std::int64_t a, std::int64_t b) {
      return keys[static_cast<std::size_t>(a)] < keys[static_cast<std::size_t>(b)];
    });
    EXPECT_EQ(argsort(x).to_vector<std::int64_t>(), expected);
  }
}

}  // namespace
}  // namespace lockstep::testing
