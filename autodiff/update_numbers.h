// The numbers that the update of an optimizer gets, from its options and its progress. Number is double, or
// LaunchNumber for an update that is launched later: both make the same operations in f64, so they have the same bits.
#pragma once

#include <vector>

#include "lockstep/optim.h"
#include "lockstep/tensor.h"

namespace lockstep::optim {

/// 1 - beta^t, the sum of the weights in a moving average after t steps, from that after t - 1. Not computed from
/// powers: the difference from 1 would lose digits.
template <class Number>
Number next_weight_sum(const Number& sum, double beta) {
  return sum * Number(beta) + Number(1 - beta);
}

/// In the order of adam_update's numbers. `sum_1` and `sum_2` are the sums of weights after the step.
template <class Number>
std::vector<Scalar> adam_numbers(const Number& rate, const Adam& o, const Number& sum_1, const Number& sum_2) {
  return {Scalar(rate),
          Scalar(o.beta_1),
          Scalar(o.beta_2),
          Scalar(1 - o.beta_1),
          Scalar(1 - o.beta_2),
          Scalar(Number(1.0) / sum_1),
          Scalar(Number(1.0) / sum_2),
          Scalar(o.epsilon),
          Scalar(o.weight_decay)};
}

/// In the order of the numbers of momentum_update, or of sgd_update if there is no momentum.
template <class Number>
std::vector<Scalar> sgd_numbers(const Number& rate, const Sgd& o) {
  if (o.momentum == 0) return {Scalar(rate)};
  return {Scalar(rate), Scalar(o.momentum), Scalar(o.nesterov ? o.momentum : 1.0), Scalar(o.nesterov ? 1.0 : 0.0)};
}

}  // namespace lockstep::optim
