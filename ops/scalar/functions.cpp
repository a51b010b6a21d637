// The table of scalar functions: bodies recorded from the *.inc files, derivatives, and oracles in long double.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "lockstep/error.h"
#include "lockstep/program.h"
#include "ops/scalar/dialect_record.h"

namespace lockstep {
namespace {

#include "ops/scalar/exp.inc"

struct Table {
  std::recursive_mutex mutex;
  std::deque<ScalarFunction> functions;  // stable addresses
  std::deque<Program> bodies;
  std::map<std::pair<std::string, lks_dtype>, const ScalarFunction*, std::less<>> index;
};

const Program* record_body(const ScalarFunction& f, std::deque<Program>& bodies) {
  ProgramBuilder builder;
  ProgramBuilder* outer = std::exchange(recording::builder, &builder);
  std::vector<Expr> args;
  for (std::uint32_t i = 0; i < f.arity; ++i) args.push_back(builder.input(f.dtype));
  const Expr result = f.body(args);
  recording::builder = outer;
  bodies.push_back(builder.finish(std::span(&result, 1)));
  return &bodies.back();
}

const ScalarFunction& add(Table& table, ScalarFunction function) {
  if (function.name.empty() || !function.body || !function.oracle || function.arity == 0 || function.arity > 3) {
    ErrorBuilder(ErrorId::invalid_op_definition, function.name, "a scalar function needs a name, one to three "
                 "arguments, a body and an oracle").raise();
  }
  std::lock_guard lock(table.mutex);
  const std::pair key(function.name, function.dtype);
  if (table.index.contains(key)) {
    ErrorBuilder(ErrorId::already_registered, function.name, "a scalar function of that name and dtype exists")
        .fix("choose a name with your own prefix, such as acme::" + function.name)
        .raise();
  }
  function.lowered = record_body(function, table.bodies);
  table.functions.push_back(std::move(function));
  table.index[key] = &table.functions.back();
  return table.functions.back();
}

using Args = std::span<const Expr>;
using Numbers = std::span<const long double>;

void add_built_in(Table& table) {
  add(table, {.name = "exp",
              .body = [](Args a) { return exp_f32(a[0]); },
              .derivative = [](Args, Expr y, std::uint32_t) { return y; },
              .oracle = [](Numbers a) { return std::exp(a[0]); }});
}

Table& table() {
  static Table* t = [] {
    auto* fresh = new Table;
    add_built_in(*fresh);
    return fresh;
  }();
  return *t;
}

}  // namespace

const ScalarFunction* find_scalar_function(std::string_view name, lks_dtype dtype) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  const auto it = t.index.find(std::pair(std::string(name), dtype));
  return it == t.index.end() ? nullptr : it->second;
}

std::vector<const ScalarFunction*> scalar_functions() {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  std::vector<const ScalarFunction*> all;
  for (const ScalarFunction& f : t.functions) all.push_back(&f);
  return all;
}

const ScalarFunction& register_scalar_function(ScalarFunction function) { return add(table(), std::move(function)); }

}  // namespace lockstep
