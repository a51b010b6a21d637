// The scalar dialect of ops/scalar as GLSL, for texts that lockstep_scalar_shader_text (shaders.cmake) has edited.
#define LS_FUNCTION(type) precise type

#define F32 float
#define I32 int
#define U32 uint
#define I64 int64_t
#define U64 uint64_t
#define BOOL bool
#define U32x4 uvec4

#define F32_CONST(x) (x)
#define I32_CONST(x) int(x)
#define U32_CONST(x) uint(x)
#define I64_CONST(x) int64_t(x)
#define U64_CONST(x) (x)

#define LS_SELECT(c, a, b) ((c) ? (a) : (b))
#define LS_AND(a, b) ((a) && (b))
#define LS_OR(a, b) ((a) || (b))
#define LS_NOT(a) (!(a))
#define BITS_F32(x) floatBitsToUint(x)
#define FLOAT_U32(u) uintBitsToFloat(u)
#define I32_OF_U32(x) int(x)
#define U32_OF_I32(x) uint(x)
#define I64_OF_U64(x) int64_t(x)
#define U64_OF_I64(x) uint64_t(x)
#define F32_OF_I32(x) float(x)
#define LS_SHL(x, n) ((x) << (n))
#define LS_SHR(x, n) ((x) >> (n))
#define LS_BITAND(a, b) ((a) & (b))
#define LS_BITOR(a, b) ((a) | (b))
#define LS_BITXOR(a, b) ((a) ^ (b))
#define LS_MULHI(a, b) mulhi(a, b)
#define LS_U32X4(x, y, z, w) uvec4(x, y, z, w)

uint mulhi(uint a, uint b) { return uint((uint64_t(a) * b) >> 32); }

#ifdef WITH_F64
#define F64 double
#define F64_CONST(x) (x)
#define BITS_F64(x) packUint2x32(unpackDouble2x32(x))
#define FLOAT_U64(u) packDouble2x32(unpackUint2x32(u))
#define F64_OF_I64(x) double(x)
#else
// Functions of F64 compile to something, which nobody calls and the compiler drops.
#define F64 float
#define F64_CONST(x) (0.0)
#define BITS_F64(x) uint64_t(x)
#define FLOAT_U64(u) float(u)
#define F64_OF_I64(x) float(x)
#endif
