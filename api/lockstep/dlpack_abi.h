// The structs of DLPack 1.x, a C ABI by which libraries exchange arrays (https://dmlc.github.io/dlpack). A program that
// has DLPack's own header includes it before this one: then its definitions are used.
#pragma once

#include <cstdint>

namespace lockstep::dlpack {

inline constexpr std::uint32_t major_version = 1;
inline constexpr std::uint32_t minor_version = 0;

/// Values of DLDevice::device_type whose memory the host reads like its own.
enum : std::int32_t { cpu = 1, cuda_host = 3, rocm_host = 11 };
/// Values of DLDataType::code.
enum : std::uint8_t { int_code = 0, uint_code = 1, float_code = 2, bfloat_code = 4, bool_code = 6 };
/// Bits of DLManagedTensorVersioned::flags.
enum : std::uint64_t { read_only_flag = 1, copied_flag = 2 };

}  // namespace lockstep::dlpack

#ifndef DLPACK_DLPACK_H_
extern "C" {

struct DLDevice {
  std::int32_t device_type;
  std::int32_t device_id;  // among the devices of this type
};

struct DLDataType {
  std::uint8_t code;    // int, uint, float …
  std::uint8_t bits;    // of one number
  std::uint16_t lanes;  // numbers in one element; 1 unless elements are vectors
};

struct DLTensor {
  void* data;
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
  std::int64_t* shape;        // ndim extents
  std::int64_t* strides;      // ndim distances in elements; nullptr: row-major without gaps
  std::uint64_t byte_offset;  // from `data` to the first element
};

/// An array of before version 1.0. Whoever takes it over calls the deleter once, with this struct.
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;                       // the producer's
  void (*deleter)(DLManagedTensor* self);  // nullptr: nothing to free
};

struct DLPackVersion {
  std::uint32_t major;  // with another major version only the deleter may be used
  std::uint32_t minor;
};

/// The same since version 1.0.
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);
  std::uint64_t flags;
  DLTensor dl_tensor;
};

}  // extern "C"
#endif
