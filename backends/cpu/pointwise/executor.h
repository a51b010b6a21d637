// Running a plan over a space: cutting it into blocks, bringing what does not lie side by side into scratch, and
// sharing the blocks among threads.
#pragma once

#include "backends/cpu/pointwise/space.h"

namespace cpu {

/// How a space is cut. A block is `rows` × `columns` elements; columns run along the innermost dimension.
struct Cut {
  enum class Kind : std::uint8_t {
    rows,  // a segment is a piece of one row; a block may hold such pieces of several rows, so as to transpose well
    flat,  // rows are short: a segment is several whole rows on end
  };
  Kind kind = Kind::rows;
  int row_dim = -1;  // the dimension along which a block of several rows extends
  std::int64_t rows = 1, columns = 1;
  std::uint64_t staged = 0;    // inputs that are copied into scratch, one bit each
  std::uint64_t periodic = 0;  // those of them that are the same in every block: copied once by each thread

  bool is_staged(std::size_t input) const { return staged >> input & 1; }
};

/// The kind of cut that suits a space.
Cut::Kind preferred_kind(const Space& space);

/// How a space is cut that way, but for the blocks' extents, and the classes that its tensors then fall into.
Cut make_cut(Cut::Kind kind, const Space& space, std::size_t input_count, Classes& classes);

/// Sets the blocks' extents, for tiles of at most `tile` elements; false where rows are too long to be taken whole.
bool size_blocks(Cut& cut, const Space& space, std::size_t input_count, std::int64_t tile);

/// What a launch brings besides the space.
struct LaunchData {
  std::size_t input_count = 0, output_count = 0;
  const std::uint64_t* scalars = nullptr;
  const std::int64_t* dims = nullptr;  // of the outputs as they were given, for logical indices
  int rank = 0;
  std::uint32_t streamed = 0;  // outputs written past the caches, one bit each
};

/// Single values of a launch: constants, launch-time scalars and what is computed from them.
struct Cells {
  std::uint64_t values[most_cells];
};

/// Fills in the cells. `places` has the tensors.
void compute_cells(const Plan& plan, const LaunchData& data, void** places, Cells& cells);

/// One segment: `places` has tensors and cells; slots are set here, from `scratch` of slot_bytes.
void run_segment(const Plan& plan, const LaunchData& data, void** places, char* scratch, std::int64_t first,
                 std::int64_t n);

/// Everything, on as many threads as are worth it.
void execute(const lks_host_api& api, const Plan& plan, const Space& space, const Cut& cut, const LaunchData& data);

}  // namespace cpu
