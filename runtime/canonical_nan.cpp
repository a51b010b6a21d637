#include "runtime/canonical_nan.h"

#include <cstdint>
#include <cstring>

namespace lockstep {
namespace {

// Bits without the sign that are above those of infinity are a NaN.
template <class Bits>
void replace(std::span<std::byte> elements, Bits infinity, Bits canonical) {
  constexpr Bits magnitude = static_cast<Bits>(~Bits{0}) >> 1;
  for (std::size_t i = 0; i + sizeof(Bits) <= elements.size(); i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, elements.data() + i, sizeof bits);
    if ((bits & magnitude) > infinity) std::memcpy(elements.data() + i, &canonical, sizeof canonical);
  }
}

}  // namespace

void make_nans_canonical(DType dtype, std::span<std::byte> elements) {
  switch (dtype) {
    case DType::f32: return replace<std::uint32_t>(elements, 0x7f800000u, 0x7fc00000u);
    case DType::f64: return replace<std::uint64_t>(elements, 0x7ff0000000000000u, 0x7ff8000000000000u);
    case DType::f16: return replace<std::uint16_t>(elements, 0x7c00u, 0x7e00u);
    case DType::bf16: return replace<std::uint16_t>(elements, 0x7f80u, 0x7fc0u);
    default: return;
  }
}

}  // namespace lockstep
