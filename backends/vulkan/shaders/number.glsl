// The dtype of a variant: T, a vector of four (T4), and an array in memory (TS). Integers are unsigned, so that sums
// wrap. One of T_F32, T_F64, T_I32, T_I64 is defined; T_F64 requires WITH_F64.
#if defined(T_F32)
#define T float
#define T4 vec4
#define TS Floats
T from_bits(uint64_t bits) { return uintBitsToFloat(uint(bits)); }
#elif defined(T_F64)
#define T double
#define T4 dvec4
#define TS Doubles
T from_bits(uint64_t bits) { return packDouble2x32(unpackUint2x32(bits)); }
#elif defined(T_I32)
#define T uint
#define T4 uvec4
#define TS Words
#else
#define T uint64_t
#define T4 u64vec4
#define TS Longs
#endif
#if defined(T_F32) || defined(T_I32)
#define ELEMENT_BYTES 4
#else
#define ELEMENT_BYTES 8
#endif
