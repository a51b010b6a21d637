// Calls of ops by name, with arguments by name: for bindings of other languages and for tools.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/export.h"
#include "lockstep/op_def.h"

namespace LOCKSTEP_API lockstep {

using Arguments = std::vector<std::pair<std::string, ArgumentValue>>;

/// Calls an op as its public function does, with what OpDef::arguments describes:
///
///     call_op("sum", std::array<Operand, 1>{x}, {{"axes", {-1}}, {"keep", true}})[0]
///
/// Inputs are in the order of OpDef::inputs; optional ones at the end may be left out. Returns all outputs of the op;
/// if there are several, its public function may return fewer. An empty list of axes, strides and the like is one that
/// is not given: `{"axes", {}}` of `sum` are all axes. An Operand refers to its tensor, which must live until
/// call_op() returns: keep the tensor in a variable, and do not create it in the array's initialiser. `where` is the
/// caller's line for ops without inputs.
///
/// Throws StateError LS1011 if there is no op of that name, or if it has no public function: parts of other ops, and
/// updates, which write into their inputs (use Optimizer::apply or Variable::assign); ShapeError LS2011 for a wrong
/// number of inputs, LS2012 for an argument that the op does not have, LS2013 for one that is missing, given twice or
/// of another kind, LS2007 for a list or text that is longer than the op has room for; TraceError LS4101 for a number
/// that is known only at launch, except for arguments of the kind `number` and the keys of random ops, if the call is
/// described; and what the public function throws.
std::vector<Tensor> call_op(std::string_view name, std::span<const Operand> inputs, const Arguments& arguments = {},
                            CallSite where = CallSite::current());

/// One call by name, as OpDef::by_name receives it. Arguments have the kinds that OpDef::arguments states, and defaults
/// are filled in. The accessors take names of arguments that the op has.
class CallByName {
 public:
  CallByName(const OpDef& op, std::span<const Operand> inputs, CallSite where)
      : op_(op), inputs_(inputs), where_(where), values_(op.arguments.size()) {}

  const OpDef& op() const { return op_; }
  std::span<const Operand> inputs() const { return inputs_; }
  const Operand& input(std::size_t i) const { return inputs_[i]; }
  CallSite where() const { return where_; }

  /// Whether the argument is given or has a default.
  bool has(std::string_view name) const { return find(name).has_value(); }
  /// These two throw TraceError LS4101 for a number that is known only at launch.
  bool truth(std::string_view name) const { return integer(name) != 0; }
  std::int64_t integer(std::string_view name) const {
    const Scalar& value = number(name);
    if (!value.is_known()) value.fail_unknown();
    return value.integer;
  }
  const Scalar& number(std::string_view name) const { return *find(name)->get<Scalar>(); }
  DType dtype(std::string_view name) const { return *find(name)->get<DType>(); }
  const std::string& text(std::string_view name) const { return *find(name)->get<std::string>(); }
  const std::vector<std::int64_t>& list(std::string_view name) const {
    return *find(name)->get<std::vector<std::int64_t>>();
  }

  /// Throws an error about this call, with its operands.
  [[noreturn]] void fail(ErrorId id, std::string headline, std::string fix) const;

  /// For call_op: the values in the order of OpDef::arguments.
  std::span<std::optional<ArgumentValue>> values() { return values_; }
  std::span<const std::optional<ArgumentValue>> values() const { return values_; }

 private:
  const std::optional<ArgumentValue>& find(std::string_view name) const;

  const OpDef& op_;
  std::span<const Operand> inputs_;
  CallSite where_;
  std::vector<std::optional<ArgumentValue>> values_;
};

}  // namespace lockstep
