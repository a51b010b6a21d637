// C functions for the DLPack test in Python (dlpack_with.py), as a language binding would have them. Functions that
// return a pointer return null after an exception.
#include <cstdio>
#include <exception>
#include <vector>

#include "lockstep/lockstep.h"

using namespace lockstep;

namespace {

template <class F>
auto* guarded(F&& f) {
  try {
    return f();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return decltype(f())(nullptr);
  }
}

const Tensor& tensor_of(const void* handle) { return *static_cast<const Tensor*>(handle); }

}  // namespace

#define PLUGIN_API extern "C" __attribute__((visibility("default")))

/// 0, 1 … 5 as a dtype of that name, of shape (3, 2) and transposed, so that it is not dense.
PLUGIN_API void* dlpack_make(const char* dtype) {
  return guarded([&] { return new Tensor(transpose(reshape(cast(iota(6, f32), parse_dtype(dtype)), {2, 3}))); });
}
PLUGIN_API void dlpack_free(void* tensor) { delete static_cast<Tensor*>(tensor); }

/// A DLManagedTensorVersioned, or a DLManagedTensor.
PLUGIN_API void* dlpack_export(const void* tensor, int versioned, int copy) {
  return guarded([&]() -> void* {
    if (!versioned) return to_dlpack_unversioned(tensor_of(tensor));
    return to_dlpack(tensor_of(tensor), static_cast<CopyPolicy>(copy));
  });
}

/// A new tensor from an array that is taken over.
PLUGIN_API void* dlpack_import(void* array, int versioned) {
  return guarded([&] {
    return versioned ? new Tensor(from_dlpack(static_cast<DLManagedTensorVersioned*>(array)))
                     : new Tensor(from_dlpack(static_cast<DLManagedTensor*>(array)));
  });
}

/// "f32", or another dtype; valid for ever.
PLUGIN_API const char* dlpack_dtype(const void* tensor) { return name_of(tensor_of(tensor).dtype()).data(); }

/// Writes at most `room` elements in row-major order. Returns their number, or -1 after an exception.
PLUGIN_API int dlpack_values(const void* tensor, double* out, int room) {
  try {
    const std::vector<double> values = cast(tensor_of(tensor), f64).to_vector<double>();
    for (int i = 0; i < room && i < static_cast<int>(values.size()); ++i) out[i] = values[static_cast<std::size_t>(i)];
    return static_cast<int>(values.size());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return -1;
  }
}
