// The scalar dialect as recorded instructions. Include it only in the file that records (functions.cpp).
#pragma once

#include <cstdint>

#include "lockstep/program.h"

// Constants belong to a program: the one that this thread is recording.
namespace lockstep::recording {
inline thread_local ProgramBuilder* builder = nullptr;
inline Expr constant(lks_dtype dtype, double number) { return builder->constant(dtype, number); }
inline Expr bits(lks_dtype dtype, std::uint64_t value) { return builder->constant_bits(dtype, value); }
}  // namespace lockstep::recording

#define LS_FUNCTION(type) [[maybe_unused]] static type

using F32 = lockstep::Expr;
using F64 = lockstep::Expr;
using I32 = lockstep::Expr;
using U32 = lockstep::Expr;
using I64 = lockstep::Expr;
using U64 = lockstep::Expr;
using BOOL = lockstep::Expr;

#define F32_CONST(x) (lockstep::recording::constant(LKS_F32, x##f))
#define F64_CONST(x) (lockstep::recording::constant(LKS_F64, x))
#define I32_CONST(x) (lockstep::recording::bits(LKS_I32, static_cast<std::uint32_t>(x)))
#define U32_CONST(x) (lockstep::recording::bits(LKS_U32, static_cast<std::uint32_t>(x)))
#define I64_CONST(x) (lockstep::recording::bits(LKS_I64, static_cast<std::uint64_t>(x)))
#define U64_CONST(x) (lockstep::recording::bits(LKS_U64, static_cast<std::uint64_t>(x)))

#define LS_SELECT(c, a, b) (lockstep::select((c), (a), (b)))
#define LS_AND(a, b) ((a) & (b))
#define LS_OR(a, b) ((a) | (b))
#define LS_NOT(a) (!(a))
#define LS_SQRT(x) (lockstep::sqrt(x))
#define LS_ABS(x) (lockstep::abs(x))
#define BITS_F32(x) (lockstep::bitcast((x), LKS_U32))
#define FLOAT_U32(u) (lockstep::bitcast((u), LKS_F32))
#define BITS_F64(x) (lockstep::bitcast((x), LKS_U64))
#define FLOAT_U64(u) (lockstep::bitcast((u), LKS_F64))
#define I32_OF_U32(x) (lockstep::bitcast((x), LKS_I32))
#define U32_OF_I32(x) (lockstep::bitcast((x), LKS_U32))
#define I64_OF_U64(x) (lockstep::bitcast((x), LKS_I64))
#define U64_OF_I64(x) (lockstep::bitcast((x), LKS_U64))
#define F32_OF_I32(x) (lockstep::convert((x), LKS_F32))
#define F64_OF_I64(x) (lockstep::convert((x), LKS_F64))
#define LS_SHL(x, n) ((x) << (n))
#define LS_SHR(x, n) ((x) >> (n))
#define LS_BITAND(a, b) ((a) & (b))
#define LS_BITOR(a, b) ((a) | (b))
#define LS_BITXOR(a, b) ((a) ^ (b))
#define LS_MULHI(a, b) (lockstep::mulhi((a), (b)))
