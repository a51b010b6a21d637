// Maps numbers to integer keys of the same order: -0 is below +0, and every NaN is above or below everything, as the
// caller chooses. Extremes of floats are then extremes of integers, which every device compares alike.
#if defined(T_F32) || defined(T_I32)
#define KEY int
#define KEY4 ivec4
#define KEYS Ints
const KEY lowest = int(0x80000000u), highest = 0x7fffffff;
#else
#define KEY int64_t
#define KEY4 i64vec4
#define KEYS Int64s
const KEY lowest = int64_t(0x8000000000000000ul), highest = 0x7fffffffffffffffl;
#endif

#if defined(T_F32)
const KEY magnitude_bits = 0x7fffffff, infinity_bits_of_key = 0x7f800000, nan_bits_of_key = 0x7fc00000;
const int key_shift = 31;
#elif defined(T_F64)
const KEY magnitude_bits = 0x7fffffffffffffffl, infinity_bits_of_key = 0x7ff0000000000000l,
          nan_bits_of_key = 0x7ff8000000000000l;
const int key_shift = 63;
#endif

#if defined(T_F32) || defined(T_F64)
bool key_is_nan(KEY bits) { return (bits & magnitude_bits) > infinity_bits_of_key; }
KEY key_of(KEY bits, KEY nan) { return key_is_nan(bits) ? nan : bits ^ ((bits >> key_shift) & magnitude_bits); }
KEY bits_of(KEY key, KEY nan) { return key == nan ? nan_bits_of_key : key ^ ((key >> key_shift) & magnitude_bits); }
// The key if zeros of both signs are equal.
KEY key_of_equal_zeros(KEY bits) { return (bits & magnitude_bits) == 0 ? KEY(0) : key_of(bits, highest); }
#else
KEY key_of(KEY bits, KEY nan) { return bits; }
KEY bits_of(KEY key, KEY nan) { return key; }
KEY key_of_equal_zeros(KEY bits) { return bits; }
#endif
