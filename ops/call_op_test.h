// What the tests of calls by name share.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "lockstep/call_op.h"
#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "runtime/expect_error.h"

namespace lockstep {

using One = std::array<Operand, 1>;

inline const std::vector<float> counted = {1, 2, 3, 4, 5, 6};
inline Tensor matrix() { return Tensor(counted, Shape{2, 3}); }

inline std::vector<float> values(const std::vector<Tensor>& results) { return results.at(0).to_vector<float>(); }

template <class F>
void expect_error(ErrorId id, F&& f) {
  expect_error_saying(f, id, {""}, nullptr);
}

/// An op that returns its operand.
inline OpDef same_def(std::string name) {
  OpDef def;
  def.name = std::move(name);
  def.inputs = {{"x"}};
  def.infer = [](InferContext& c) { c.set(0, c.dtype(0), c.shape(0)); };
  def.decompose = [](DecomposeContext& d) { d.set(0, d.tensor(0)); };
  def.reference = [](RefContext& r) { r.outputs[0].values = r.inputs[0].values; };
  return def;
}

}  // namespace lockstep
