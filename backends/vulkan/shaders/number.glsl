// The dtype of a variant: T, and its array in memory TS. Integers are unsigned where they add, so that they wrap. One of
// T_F32, T_F64, T_I32, T_I64 is defined; T_F64 comes with WITH_F64.
#if defined(T_F32)
#define T float
#define TS Floats
T from_bits(uint64_t bits) { return uintBitsToFloat(uint(bits)); }
#elif defined(T_F64)
#define T double
#define TS Doubles
T from_bits(uint64_t bits) { return packDouble2x32(unpackUint2x32(bits)); }
#elif defined(T_I32)
#define T uint
#define TS Words
#else
#define T uint64_t
#define TS Longs
#endif
