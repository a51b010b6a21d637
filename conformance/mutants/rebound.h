// A launch whose bindings a fault may change before it runs the correct kernel.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <type_traits>
#include <utility>
#include <vector>

#include "backends/reference/kernels/kernels.h"
#include "conformance/mutants/mutant.h"

namespace mutants {

class Rebound {
 public:
  explicit Rebound(const Call& call)
      : call_(call), launch_(call.launch), bindings_(launch_.bindings, launch_.bindings + launch_.binding_count) {
    extents_.resize(bindings_.size());
    strides_.resize(bindings_.size());
    for (std::size_t i = 0; i < bindings_.size(); ++i) {
      if (!bindings_[i].buffer || !bindings_[i].dims) continue;
      const auto rank = static_cast<std::size_t>(call.correct.ranks[i]);
      std::copy_n(bindings_[i].dims, rank, extents_[i].begin());
      std::copy_n(bindings_[i].strides, rank, strides_[i].begin());
      bindings_[i].dims = extents_[i].data();
      bindings_[i].strides = strides_[i].data();
    }
    launch_.bindings = bindings_.data();
  }
  Rebound(const Rebound&) = delete;
  Rebound& operator=(const Rebound&) = delete;

  std::int64_t& dim(std::size_t tensor, int d) { return extents_[tensor][static_cast<std::size_t>(d)]; }
  std::int64_t& stride(std::size_t tensor, int d) { return strides_[tensor][static_cast<std::size_t>(d)]; }
  std::int64_t& offset(std::size_t tensor) { return bindings_[tensor].offset; }
  int rank(std::size_t tensor) const { return call_.correct.ranks[tensor]; }
  bool has(std::size_t tensor) const { return bindings_[tensor].buffer != nullptr; }
  void swap(std::size_t a, std::size_t b) { std::swap(bindings_[a], bindings_[b]); }
  /// Binds what is bound to `source`, a tensor of the same dtype and rank, to `tensor` too.
  void bind_as(std::size_t tensor, std::size_t source) { bindings_[tensor] = bindings_[source]; }

  /// Sets the strides of a dense tensor.
  void make_dense(std::size_t tensor) {
    std::int64_t next = 1;
    for (int d = rank(tensor) - 1; d >= 0; --d) {
      stride(tensor, d) = next;
      next *= dim(tensor, d);
    }
  }

  /// The same, unless a dense read could end outside: elements that repeat, or negative strides.
  void make_dense_if_inside(std::size_t tensor) {
    for (int d = 0; d < rank(tensor); ++d) {
      if (stride(tensor, d) <= 0 && dim(tensor, d) > 1) return;
    }
    make_dense(tensor);
  }
  /// Leaves out the gaps behind rows, where the elements of a row lie side by side.
  void close_up_rows(std::size_t tensor) {
    const int row = rank(tensor) - 2;
    if (row < 0 || stride(tensor, row + 1) != 1) return;
    if (stride(tensor, row) > dim(tensor, row + 1)) stride(tensor, row) = dim(tensor, row + 1);
  }

  /// Replaces a tensor of dtype T by a dense copy with f applied to each element. Other dtypes are left alone.
  template <class T = float, class F>
  void convert(std::size_t tensor, F&& f) {
    if (!has(tensor)) return;
    const host::TensorView from = call_.view(tensor);
    if (from.dtype != (std::is_same_v<T, double> ? LKS_F64 : LKS_F32)) return;
    std::vector<char>& bytes = copies_.emplace_back(static_cast<std::size_t>(from.count()) * sizeof(T));
    reference::Walk walk(from.rank, from.dims);
    walk.add(from.strides);
    for (std::size_t at = 0; !walk.done(); walk.next(), at += sizeof(T)) {
      const T value = f(from.as<T>()[walk.offset(0)]);
      std::memcpy(bytes.data() + at, &value, sizeof value);
    }
    bind(tensor, bytes);
  }

  /// Replaces a tensor by a dense one of these extents and the same rank, which has the old elements, in row-major
  /// order, over and over.
  void repeat_as(std::size_t tensor, const std::int64_t* dims) {
    const host::TensorView from = call_.view(tensor);
    const std::size_t size = host::size_of(from.dtype);
    std::vector<char> old;
    reference::Walk walk(from.rank, from.dims);
    walk.add(from.strides);
    for (; !walk.done(); walk.next()) {
      const char* const at = from.data + walk.offset(0) * static_cast<std::int64_t>(size);
      old.insert(old.end(), at, at + size);
    }
    std::size_t count = 1;
    for (int d = 0; d < from.rank; ++d) count *= static_cast<std::size_t>(dim(tensor, d) = dims[d]);
    std::vector<char>& bytes = copies_.emplace_back(count * size);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = old[i % old.size()];
    bind(tensor, bytes);
  }

  void run() const { call_.correct.run(launch_); }

 private:
  void bind(std::size_t tensor, std::vector<char>& dense) {
    buffers_.push_back({dense.data(), dense.size()});
    bindings_[tensor].buffer = &buffers_.back();
    bindings_[tensor].offset = 0;
    make_dense(tensor);
  }

  const Call& call_;
  lks_launch launch_;
  std::vector<lks_binding> bindings_;
  std::vector<std::array<std::int64_t, LKS_MAX_RANK>> extents_, strides_;
  std::deque<std::vector<char>> copies_;
  std::deque<lks_buffer> buffers_;
};

/// Calls f(element, row-major index) for each element of a tensor.
template <class T, class F>
void for_each(const host::TensorView& t, F&& f) {
  reference::Walk walk(t.rank, t.dims);
  walk.add(t.strides);
  for (std::int64_t i = 0; !walk.done(); walk.next(), ++i) f(t.as<T>()[walk.offset(0)], i);
}

}  // namespace mutants
