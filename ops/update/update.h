// The steps of optimizers: one fused in-place pointwise pass each.
#pragma once

#include <vector>

#include "lockstep/op_def.h"

namespace lockstep {

/// They compute in f32 for f16 and bf16 variables and round w once. The slots v, m and u are f32 then, and have the
/// dtype of w otherwise.
///
/// w -= rate g                                              inputs w, g; scalars rate
/// v = momentum v + g;  w -= rate (nesterov ? g + momentum v : v)   inputs w, v, g
/// Adam (Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015), with decoupled weight decay
/// (Loshchilov, Hutter, ICLR 2019):
///   m = b1 m + (1 - b1) g;  u = b2 u + (1 - b2) g²;  w -= rate (m c1 / (sqrt(u c2) + eps) + decay w)
///   with the bias corrections c1 = 1 / (1 - b1^t), c2 = 1 / (1 - b2^t)     inputs w, m, u, g
///   1 - b1, 1 - b2 and the corrections are separate scalars: differences of rounded betas would have few
///   correct digits
const OpDef& sgd_update_op();
const OpDef& momentum_update_op();
const OpDef& adam_update_op();

}  // namespace lockstep
