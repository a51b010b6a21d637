#include "backends/cpu/pointwise/executor.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/copy/move_block.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/stream.h"

namespace cpu {
namespace {

constexpr std::int64_t pieces_ahead = 2;  // prefetch distance of inputs
constexpr std::int64_t stage_alignment = 64;

void run_steps(const std::vector<Step>& steps, void** p, std::int64_t n) {
  for (const Step& s : steps) s.loop(p[s.out], p[s.a], p[s.b], p[s.c], p[s.d], n);
}

// Writes the logical index along an axis, for n elements from row-major position `first` on.
void fill_index(std::int64_t* to, const LaunchData& data, std::uint32_t axis, std::int64_t first, std::int64_t n) {
  std::int64_t inner = 1;
  for (int d = static_cast<int>(axis) + 1; d < data.rank; ++d) inner *= data.dims[d];
  const std::int64_t extent = data.dims[axis];
  std::int64_t index = first / inner % extent, left = inner - first % inner;
  for (std::int64_t i = 0; i < n;) {
    const std::int64_t run = std::min(left, n - i);
    for (std::int64_t k = 0; k < run; ++k) to[i + k] = index;
    i += run;
    left = inner;
    if (++index == extent) index = 0;
  }
}

void set_slots(const Plan& plan, void** places, char* scratch) {
  for (std::size_t k = 0; k < plan.slot_count; ++k) {
    places[plan.first_slot + k] = scratch + static_cast<std::int64_t>(k) * plan.tile * plan.slot_width;
  }
}

void set_cells(const Plan& plan, void** places, Cells& cells) {
  for (std::size_t k = 0; k < plan.cells.size(); ++k) places[plan.first_cell + k] = &cells.values[k];
}

void run_tile(const Plan& plan, const LaunchData& data, void** places, std::int64_t first, std::int64_t n) {
  if (plan.linear_cell >= 0) *static_cast<std::int64_t*>(places[plan.first_cell + plan.linear_cell]) = first;
  run_steps(plan.before, places, 1);
  for (const IndexFill& fill : plan.indices) {
    fill_index(static_cast<std::int64_t*>(places[fill.place]), data, fill.axis, first, n);
  }
  run_steps(plan.steps, places, n);
}

// One thread's part of a launch.
class Worker {
 public:
  Worker(const Plan& plan, const Space& space, const Blocking& blocking, const LaunchData& data, const Cells& cells)
      : plan_(plan), s_(space), blocking_(blocking), data_(data) {
    std::memcpy(cells_.values, cells.values, plan.cells.size() * sizeof cells.values[0]);
    set_cells(plan, places_, cells_);
    set_slots(plan, places_, slots_);
    char* stage = staging_;
    for (std::size_t t = 0; t < data.input_count; ++t) {
      stage_[t] = stage;
      if (blocking.is_staged(t))
        stage += (blocking.rows * blocking.columns * s_.sizes[t] + stage_alignment - 1) & -stage_alignment;
    }
    for (std::size_t t = 0; t < s_.tensor_count; ++t) places_[t] = s_.data[t];
  }
  ~Worker() {
    if (data_.streamed) stream_fence();
  }

  void run(std::int64_t begin, std::int64_t end) {
    blocking_.kind == Blocking::Kind::flat ? run_flat(begin, end) : run_rows(begin, end);
  }

  static std::int64_t block_count(const Space& s, const Blocking& blocking) {
    const std::int64_t total = s.count();
    if (blocking.kind == Blocking::Kind::flat) return (total / s.columns() + blocking.rows - 1) / blocking.rows;
    const std::int64_t row_extent = blocking.row_dim >= 0 ? s.dims[blocking.row_dim] : 1;
    const std::int64_t outer = total / s.columns() / row_extent;
    return outer * ((row_extent + blocking.rows - 1) / blocking.rows) *
           ((s.columns() + blocking.columns - 1) / blocking.columns);
  }

 private:
  // ---------------------------------------------------------------------------------------------------- long rows

  // Sets the byte offsets of row number `outer`, counted over all dimensions except the last and blocking_.row_dim.
  // Returns its row-major position.
  std::int64_t locate(std::int64_t outer, std::int64_t* offsets) const {
    std::int64_t linear = 0, weight = s_.columns();
    std::fill(offsets, offsets + s_.tensor_count, 0);
    for (int d = s_.rank - 2; d >= 0; --d) {
      if (d != blocking_.row_dim) {
        const std::int64_t index = outer % s_.dims[d];
        outer /= s_.dims[d];
        linear += index * weight;
        for (std::size_t t = 0; t < s_.tensor_count; ++t) offsets[t] += index * s_.strides[t][d];
      }
      weight *= s_.dims[d];
    }
    return linear;
  }

  std::int64_t row_weight() const {
    std::int64_t weight = 1;
    for (int d = s_.rank - 1; blocking_.row_dim >= 0 && d > blocking_.row_dim; --d) weight *= s_.dims[d];
    return weight;
  }

  void run_rows(std::int64_t begin, std::int64_t end) {
    const std::int64_t row_extent = blocking_.row_dim >= 0 ? s_.dims[blocking_.row_dim] : 1;
    const std::int64_t across = (s_.columns() + blocking_.columns - 1) / blocking_.columns;
    const std::int64_t down = (row_extent + blocking_.rows - 1) / blocking_.rows;
    const std::int64_t weight = row_weight();
    std::int64_t offsets[max_tensors], linear = 0, located = -1;
    if (blocking_.row_dim < 0 && blocking_.staged == 0) return run_stretches(begin, end, across);
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t outer = block / across / down;
      if (outer != located) linear = locate(outer, offsets);
      located = outer;
      const std::int64_t row = block / across % down * blocking_.rows, column = block % across * blocking_.columns;
      run_block(offsets, row, std::min(blocking_.rows, row_extent - row), column,
                std::min(blocking_.columns, s_.columns() - column), linear + row * weight + column, weight);
    }
  }

  // For rows without staged inputs: from one piece to the next, the pointers only advance.
  void run_stretches(std::int64_t begin, std::int64_t end, std::int64_t across) {
    std::int64_t offsets[max_tensors];
    Moving moving[max_tensors];
    std::size_t moving_count = 0;
    for (std::size_t t = 0; t < s_.tensor_count; ++t) {
      const std::int64_t step = blocking_.columns * s_.column_stride(t);
      if (step != 0) moving[moving_count++] = {t, step, t < data_.input_count && s_.prefetches(t)};
    }
    for (std::int64_t block = begin; block < end;) {
      const std::int64_t linear = locate(block / across, offsets), column = block % across * blocking_.columns;
      for (std::size_t t = 0; t < s_.tensor_count; ++t) {
        places_[t] = s_.data[t] + offsets[t] + column * s_.column_stride(t);
      }
      const std::int64_t pieces = std::min(across - block % across, end - block);
      run_stretch(moving, moving_count, linear + column, std::min(pieces * blocking_.columns, s_.columns() - column));
      block += pieces;
    }
  }

  struct Moving {
    std::size_t tensor;
    std::int64_t step;  // bytes from one piece to the next
    bool prefetched;
  };

  void run_stretch(const Moving* moving, std::size_t moving_count, std::int64_t first, std::int64_t length) {
    for (std::int64_t at = 0; at < length; at += blocking_.columns) {
      const std::int64_t n = std::min(blocking_.columns, length - at);
      for (std::size_t k = 0; k < moving_count; ++k) {
        const Moving& m = moving[k];
        if (m.prefetched) prefetch(static_cast<char*>(places_[m.tensor]) + pieces_ahead * m.step, m.step);
      }
      run_tile(plan_, data_, places_, first + at, n);
      if (plan_.classes.held_outputs) {
        for (std::size_t o = 0; o < data_.output_count; ++o) {
          if (plan_.classes.holds(o)) deliver_row(o, n);
        }
      }
      for (std::size_t k = 0; k < moving_count; ++k) {
        places_[moving[k].tensor] = static_cast<char*>(places_[moving[k].tensor]) + moving[k].step;
      }
    }
  }

  void run_block(const std::int64_t* offsets, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t n,
                 std::int64_t first, std::int64_t weight) {
    char* origin[max_tensors];
    for (std::size_t t = 0; t < s_.tensor_count; ++t) {
      origin[t] = s_.data[t] + offsets[t] + column * s_.column_stride(t) + (row ? row * row_stride(t) : 0);
      if (t >= data_.input_count || !blocking_.is_staged(t)) continue;
      const std::int64_t size = s_.sizes[t];
      move_block({stage_[t], n * size, size}, {origin[t], row_stride(t), s_.column_stride(t)}, rows, n, size);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::size_t t = 0; t < s_.tensor_count; ++t) {
        const bool staged = t < data_.input_count && blocking_.is_staged(t);
        places_[t] = staged ? stage_[t] + r * n * s_.sizes[t] : origin[t] + (r ? r * row_stride(t) : 0);
      }
      run_tile(plan_, data_, places_, first + r * weight, n);
      for (std::size_t o = 0; o < data_.output_count; ++o) {
        if (plan_.classes.holds(o)) deliver_row(o, n);
      }
    }
  }

  std::int64_t row_stride(std::size_t t) const { return blocking_.row_dim >= 0 ? s_.strides[t][blocking_.row_dim] : 0; }

  void deliver_row(std::size_t o, std::int64_t n) {
    const std::size_t t = data_.input_count + o;
    auto* to = static_cast<char*>(places_[t]);
    auto* from = static_cast<char*>(places_[plan_.results[o]]);
    const std::int64_t size = s_.sizes[t];
    if (data_.streamed >> o & 1) return stream_out(to, from, n * size);
    move_block({to, 0, s_.column_stride(t)}, {from, 0, size}, 1, n, size);
  }

  // --------------------------------------------------------------------------------------------------- short rows

  // Calls move(pointer into the tensor, first row relative to `row`, rows) for runs of evenly spaced rows.
  template <class Move>
  void for_each_run(std::size_t t, std::int64_t row, std::int64_t rows, Move&& move) const {
    const int inner = s_.rank - 2;
    for (std::int64_t done = 0; done < rows;) {
      std::int64_t rest = row + done, offset = 0;
      const std::int64_t run = std::min(rows - done, s_.dims[inner] - rest % s_.dims[inner]);
      for (int d = inner; d >= 0; --d) {
        offset += rest % s_.dims[d] * s_.strides[t][d];
        rest /= s_.dims[d];
      }
      move(s_.data[t] + offset, done, run);
      done += run;
    }
  }

  void gather(std::size_t t, std::int64_t row, std::int64_t rows) {
    const std::int64_t size = s_.sizes[t], bytes = s_.columns() * size;
    for_each_run(t, row, rows, [&](char* from, std::int64_t at, std::int64_t run) {
      move_block({stage_[t] + at * bytes, bytes, size}, {from, s_.strides[t][s_.rank - 2], s_.column_stride(t)}, run,
                 s_.columns(), size);
    });
  }

  void scatter(std::size_t t, const void* held, std::int64_t row, std::int64_t rows) {
    auto* from = static_cast<char*>(const_cast<void*>(held));
    const std::int64_t size = s_.sizes[t], bytes = s_.columns() * size;
    for_each_run(t, row, rows, [&](char* to, std::int64_t at, std::int64_t run) {
      move_block({to, s_.strides[t][s_.rank - 2], s_.column_stride(t)}, {from + at * bytes, bytes, size}, run,
                 s_.columns(), size);
    });
  }

  void run_flat(std::int64_t begin, std::int64_t end) {
    const std::int64_t all_rows = s_.count() / s_.columns();
    for (std::size_t t = 0; t < data_.input_count; ++t) {
      if (blocking_.is_staged(t)) places_[t] = stage_[t];
      if (blocking_.periodic >> t & 1) gather(t, 0, std::min(blocking_.rows, all_rows));
    }
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t row = block * blocking_.rows, rows = std::min(blocking_.rows, all_rows - row);
      const std::int64_t first = row * s_.columns(), n = rows * s_.columns();
      for (std::size_t t = 0; t < s_.tensor_count; ++t) {
        const bool is_input = t < data_.input_count;
        if (is_input && blocking_.is_staged(t)) {
          if (!(blocking_.periodic >> t & 1)) gather(t, row, rows);
        } else if (!is_input || plan_.classes.input(t) == Access::varies) {
          places_[t] = s_.data[t] + first * s_.sizes[t];
        }
      }
      run_tile(plan_, data_, places_, first, n);
      for (std::size_t o = 0; o < data_.output_count; ++o) {
        if (!plan_.classes.holds(o)) continue;
        const std::size_t t = data_.input_count + o;
        const void* held = places_[plan_.results[o]];
        if (data_.streamed >> o & 1) {
          stream_out(s_.data[t] + first * s_.sizes[t], static_cast<const char*>(held), n * s_.sizes[t]);
        } else {
          scatter(t, held, row, rows);
        }
      }
    }
  }

  const Plan& plan_;
  const Space& s_;
  const Blocking& blocking_;
  const LaunchData& data_;
  char* stage_[max_tensors];
  void* places_[max_places];
  Cells cells_;
  alignas(64) char slots_[slot_bytes];
  alignas(64) char staging_[slot_bytes + stage_alignment * max_tensors];
};

}  // namespace

void compute_cells(const Plan& plan, const LaunchData& data, void** places, Cells& cells) {
  std::copy(plan.cells.begin(), plan.cells.end(), cells.values);
  for (const auto& [cell, scalar] : plan.scalars) cells.values[cell] = data.scalars[scalar];
  set_cells(plan, places, cells);
  run_steps(plan.once, places, 1);
}

void run_segment(const Plan& plan, const LaunchData& data, void** places, char* scratch, std::int64_t first,
                 std::int64_t n) {
  set_slots(plan, places, scratch);
  run_tile(plan, data, places, first, n);
}

void execute(const lks_host_api& api, const Plan& plan, const Space& space, const Blocking& blocking,
             const LaunchData& data) {
  Cells cells;
  {
    void* places[max_places];
    for (std::size_t t = 0; t < space.tensor_count; ++t) places[t] = space.data[t];
    compute_cells(plan, data, places, cells);
  }
  std::int64_t bytes = 0;
  for (std::size_t t = 0; t < space.tensor_count; ++t) bytes += space.sizes[t];
  const double ns_per_element = plan.ns_per_element + 0.03 * static_cast<double>(bytes);
  const double ns_per_block = ns_per_element * static_cast<double>(blocking.rows * blocking.columns);
  parallel(api, Worker::block_count(space, blocking), grain_for(ns_per_block),
           [&](std::int64_t begin, std::int64_t end) { Worker(plan, space, blocking, data, cells).run(begin, end); });
}

}  // namespace cpu
