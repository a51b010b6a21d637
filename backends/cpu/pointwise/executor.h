// Runs a plan over a space: splits it into blocks, copies non-contiguous inputs into scratch, and distributes the
// blocks among threads.
#pragma once

#include "backends/cpu/pointwise/space.h"

namespace cpu {

/// How a space is split. A block is `rows` × `columns` elements; columns run along the innermost dimension.
struct Blocking {
  enum class Kind : std::uint8_t {
    rows,  // a segment is a piece of one row; a block may hold pieces of several rows, for fast transposition
    flat,  // rows are short: a segment is several consecutive whole rows
  };
  Kind kind = Kind::rows;
  int row_dim = -1;  // the dimension along which a block of several rows extends
  std::int64_t rows = 1, columns = 1;
  std::uint64_t staged = 0;    // inputs that are copied into scratch, one bit each
  std::uint64_t periodic = 0;  // staged inputs that are the same in every block: copied once per thread

  bool is_staged(std::size_t input) const { return staged >> input & 1; }
};

/// The kind of split that suits a space.
Blocking::Kind preferred_kind(const Space& space);

/// Splits a space in the given way, except for the blocks' extents, and sets the classes that its tensors have then.
Blocking make_blocking(Blocking::Kind kind, const Space& space, std::size_t input_count, Classes& classes);

/// Sets the blocks' extents, for tiles of at most `tile` elements. Returns false if a tile must hold whole rows but
/// they are too long.
bool size_blocks(Blocking& blocking, const Space& space, std::size_t input_count, std::int64_t tile);

/// The data of a launch besides the space.
struct LaunchData {
  std::size_t input_count = 0, output_count = 0;
  const std::uint64_t* scalars = nullptr;
  const std::int64_t* dims = nullptr;  // of the outputs before merging, for logical indices
  int rank = 0;
  std::uint32_t streamed = 0;  // outputs written with non-temporal stores, one bit each
};

/// Single values of a launch: constants, launch-time scalars and values computed from them.
struct Cells {
  std::uint64_t values[max_cells];
};

/// Computes the cells and sets their places. `places` must have the tensors.
void compute_cells(const Plan& plan, const LaunchData& data, void** places, Cells& cells);

/// Runs one segment of n elements from row-major index `first` on. `places` must have the tensors and cells; this
/// function places the slots in `scratch`, of slot_bytes.
void run_segment(const Plan& plan, const LaunchData& data, void** places, char* scratch, std::int64_t first,
                 std::int64_t n);

/// Runs all blocks, on as many threads as the work is worth.
void execute(const lks_host_api& api, const Plan& plan, const Space& space, const Blocking& blocking,
             const LaunchData& data);

}  // namespace cpu
