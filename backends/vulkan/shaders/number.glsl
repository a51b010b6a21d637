// The dtype of a variant: T, four of it, T4, and its array in memory TS. Integers are unsigned where they add, so that they wrap. One of
// T_F32, T_F64, T_I32, T_I64 is defined; T_F64 comes with WITH_F64.
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
