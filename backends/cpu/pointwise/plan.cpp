#include "backends/cpu/pointwise/plan.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/element.h"

namespace cpu {
namespace {

enum class Level : std::uint8_t { constant, uniform, varies };

constexpr Place no_place = 0xffff;
constexpr std::size_t forever = ~std::size_t{0};

// Rough cost of an instruction per element, with AVX2, in nanoseconds.
double cost_of(const Code& code, const Op& op) {
  switch (op.opcode) {
    case LKS_INSTR_CALL: return code.functions[op.function].name == "pow" ? 2.5 : 0.8;
    case LKS_INSTR_DIV: return LKS_DTYPE_CLASS(op.type) == LKS_CLASS_FLOAT ? 0.2 : 1.5;
    case LKS_INSTR_SQRT: return 0.3;
    default: return bytes_of(op.result) > 4 ? 0.08 : 0.04;
  }
}

class Planner {
 public:
  Planner(const Code& code, std::size_t inputs, std::size_t outputs, const Aliases& aliases, const Classes& classes)
      : code_(code), inputs_(inputs), outputs_(outputs), aliases_(aliases) {
    plan_.classes = classes;
    plan_.first_cell = static_cast<std::uint16_t>(inputs + outputs);
  }

  Plan run() {
    find_levels();
    find_last_uses();
    choose_direct_outputs();
    make_cells();
    plan_.first_slot = static_cast<std::uint16_t>(plan_.first_cell + plan_.cells.size());
    for (std::size_t i = 0; i < code_.ops.size(); ++i) place_leaf(i);
    for (std::size_t i = 0; i < code_.ops.size(); ++i) {
      if (!code_.ops[i].is_leaf()) levels_[i] == Level::varies ? emit_on_tile(i) : emit_on_values(i);
    }
    deliver_outputs();
    choose_tile();
    return std::move(plan_);
  }

 private:
  bool is_input(std::size_t value) const { return code_.ops[value].opcode == LKS_INSTR_INPUT; }
  Place tensor_of_output(std::size_t o) const { return static_cast<Place>(inputs_ + o); }

  void find_levels() {
    for (const Op& op : code_.ops) {
      Level level = Level::constant;
      if (op.opcode == LKS_INSTR_INDEX || op.opcode == LKS_INSTR_LINEAR) level = Level::varies;
      if (op.opcode == LKS_INSTR_INPUT) {
        const Access access = plan_.classes.input(op.imm);
        level = access == Access::varies ? Level::varies : access == Access::uniform ? Level::uniform : Level::constant;
      }
      for (int a = 0; a < op.arg_count; ++a) level = std::max(level, levels_[op.args[a]]);
      levels_.push_back(level);
    }
  }

  void find_last_uses() {
    last_use_.assign(code_.ops.size(), 0);
    for (std::size_t i = 0; i < code_.ops.size(); ++i) {
      for (int a = 0; a < code_.ops[i].arg_count; ++a) last_use_[code_.ops[i].args[a]] = i;
    }
    for (std::uint32_t o : code_.outputs) last_use_[o] = forever;
  }

  // The last op that reads the memory of an input; 0 if none does.
  std::size_t last_read(std::size_t input) const {
    std::size_t last = 0;
    for (std::size_t i = 0; i < code_.ops.size(); ++i) {
      if (is_input(i) && code_.ops[i].imm == input) last = std::max(last, last_use_[i]);
    }
    return last;
  }

  // The op that computes an output writes it directly to the output's memory, unless that memory is read later.
  void choose_direct_outputs() {
    direct_.assign(code_.ops.size(), no_place);
    for (std::size_t o = 0; o < outputs_; ++o) {
      const std::uint32_t value = code_.outputs[o];
      if (plan_.classes.holds(o) || levels_[value] != Level::varies || is_input(value)) continue;
      if (aliases_[o] >= 0) {
        if (code_.ops[value].is_leaf() || last_read(static_cast<std::size_t>(aliases_[o])) > value) continue;
      }
      if (direct_[value] == no_place) direct_[value] = tensor_of_output(o);
    }
  }

  void make_cells() {
    places_.assign(code_.ops.size(), no_place);
    for (std::size_t i = 0; i < code_.ops.size(); ++i) {
      const Op& op = code_.ops[i];
      if (op.opcode == LKS_INSTR_LINEAR && plan_.linear_cell < 0) plan_.linear_cell = static_cast<int>(add_cell(0));
      if (levels_[i] == Level::varies || is_input(i)) continue;
      const std::uint16_t cell = add_cell(op.opcode == LKS_INSTR_CONST ? op.imm : 0);
      places_[i] = static_cast<Place>(plan_.first_cell + cell);
      if (op.opcode == LKS_INSTR_SCALAR) plan_.scalars.emplace_back(cell, static_cast<std::uint32_t>(op.imm));
    }
  }

  std::uint16_t add_cell(std::uint64_t bits) {
    plan_.cells.push_back(bits);
    return static_cast<std::uint16_t>(plan_.cells.size() - 1);
  }

  Place take_slot(std::int64_t width) {
    plan_.slot_width = std::max(plan_.slot_width, width);
    if (free_slots_.empty()) {
      free_slots_.push_back(static_cast<Place>(plan_.first_slot + plan_.slot_count));
      ++plan_.slot_count;
    }
    const Place slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }

  // Frees the slots of operands whose last use is op i: those of the result's width if `own_width`, otherwise the
  // others.
  void release_operands(std::size_t i, bool own_width) {
    const Op& op = code_.ops[i];
    for (int a = 0; a < op.arg_count; ++a) {
      const std::uint32_t arg = op.args[a];
      const bool repeated = std::find(op.args, op.args + a, arg) != op.args + a;
      const bool same = bytes_of(code_.ops[arg].result) == bytes_of(op.result);
      if (repeated || last_use_[arg] != i || places_[arg] < plan_.first_slot || same != own_width) continue;
      free_slots_.push_back(places_[arg]);
    }
  }

  // Leaves are placed before all other ops, so that no other op uses their slots before they are read.
  void place_leaf(std::size_t i) {
    const Op& op = code_.ops[i];
    const Place cell = static_cast<Place>(plan_.first_cell + plan_.linear_cell);
    switch (op.opcode) {
      case LKS_INSTR_INPUT:
        places_[i] = static_cast<Place>(op.imm);
        if (last_use_[i] == forever) save_if_overwritten(i);
        break;
      case LKS_INSTR_INDEX:
        places_[i] = direct_[i] != no_place ? direct_[i] : take_slot(8);
        plan_.indices.push_back({places_[i], static_cast<std::uint32_t>(op.imm)});
        break;
      case LKS_INSTR_LINEAR:
        places_[i] = direct_[i] != no_place ? direct_[i] : take_slot(8);
        plan_.steps.push_back({linear_loop(), places_[i], cell, cell, cell, cell});
        break;
      default: break;  // cells already have their places
    }
  }

  // If outputs overwrite inputs, an input that is also an output is copied before anything is written.
  void save_if_overwritten(std::size_t i) {
    const bool overwritten = std::any_of(aliases_.begin(), aliases_.end(), [](int a) { return a >= 0; });
    if (!overwritten || levels_[i] != Level::varies) return;
    const lks_dtype type = code_.ops[i].result;
    const Place saved = take_slot(bytes_of(type));
    plan_.steps.push_back({copy_loop(type, false), saved, places_[i], places_[i], places_[i], places_[i]});
    places_[i] = saved;
  }

  void emit_on_values(std::size_t i) {
    (levels_[i] == Level::constant ? plan_.once : plan_.before).push_back(step_of(i, {}, code_.ops[i].opcode));
  }

  void emit_on_tile(std::size_t i) {
    const std::vector<Place> spread = must_spread(i) ? spread_operands(i) : std::vector<Place>();
    release_operands(i, true);
    places_[i] = direct_[i] != no_place ? direct_[i] : take_slot(bytes_of(code_.ops[i].result));
    Step step = spread.empty() ? tile_step(i) : step_of(i, {}, code_.ops[i].opcode);
    Place* const operands[] = {&step.a, &step.b, &step.c, &step.d};
    for (std::size_t a = 0; a < spread.size(); ++a) *operands[a] = spread[a];
    plan_.steps.push_back(step);
    plan_.ns_per_element += cost_of(code_, code_.ops[i]);
    release_operands(i, false);
    free_slots_.insert(free_slots_.end(), spread_slots_.begin(), spread_slots_.end());
    spread_slots_.clear();
  }

  Place arg_place(const Op& op, int a) const { return places_[op.args[a < op.arg_count ? a : 0]]; }

  Step step_of(std::size_t i, const Uniform& uniform, std::uint32_t opcode) const {
    Op op = code_.ops[i];
    op.opcode = opcode;
    return {find_loop(code_.key(op, uniform)),
            places_[i],
            arg_place(op, 0),
            arg_place(op, 1),
            arg_place(op, 2),
            arg_place(op, 3)};
  }

  bool is_uniform(const Op& op, int a) const { return a < op.arg_count && levels_[op.args[a]] != Level::varies; }

  Uniform uniform_operands(const Op& op) const {
    return {is_uniform(op, 0), is_uniform(op, 1), is_uniform(op, 2), is_uniform(op, 3)};
  }

  bool is_mirrored(const Op& op) const { return op.opcode >= choose_lt && is_uniform(op, 0) && !is_uniform(op, 1); }

  // Uniform operands are passed to the loop as single values. If there is no such loop, as for selects whose
  // condition is uniform, they are spread over slots.
  bool must_spread(std::size_t i) const {
    const Op& op = code_.ops[i];
    return !is_mirrored(op) && !find_loop(code_.key(op, uniform_operands(op)));
  }

  // Fills a slot with each uniform operand, and returns the places of all operands.
  std::vector<Place> spread_operands(std::size_t i) {
    const Op& op = code_.ops[i];
    std::vector<Place> operands;
    for (int a = 0; a < op.arg_count; ++a) {
      const Place from = places_[op.args[a]];
      operands.push_back(from);
      if (!is_uniform(op, a)) continue;
      const lks_dtype type = code_.ops[op.args[a]].result;
      operands.back() = take_slot(bytes_of(type));
      spread_slots_.push_back(operands.back());
      plan_.steps.push_back({copy_loop(type, true), operands.back(), from, from, from, from});
    }
    return operands;
  }

  Step tile_step(std::size_t i) const {
    const Op& op = code_.ops[i];
    const Uniform u = uniform_operands(op);
    if (!is_mirrored(op)) return step_of(i, u, op.opcode);
    static constexpr std::uint32_t mirrored[] = {choose_gt, choose_ge, choose_lt, choose_le, choose_eq};
    Step step = step_of(i, {u.b, u.a, u.c, u.d}, mirrored[op.opcode - choose_lt]);
    std::swap(step.a, step.b);
    return step;
  }

  void deliver_outputs() {
    for (std::size_t o = 0; o < outputs_; ++o) {
      const std::uint32_t value = code_.outputs[o];
      const Place from = places_[value], to = tensor_of_output(o);
      const bool uniform = levels_[value] != Level::varies;
      Place result = from;
      if (plan_.classes.holds(o)) {
        if (uniform) {
          result = take_slot(bytes_of(code_.ops[value].result));
          plan_.steps.push_back({copy_loop(code_.ops[value].result, true), result, from, from, from, from});
        }
      } else if (from != to) {
        plan_.steps.push_back({copy_loop(code_.ops[value].result, uniform), to, from, from, from, from});
      }
      plan_.results.push_back(result);
    }
  }

  void choose_tile() {
    const std::int64_t per_element = plan_.slot_width * std::max<std::int64_t>(1, plan_.slot_count);
    const std::int64_t fits = slot_bytes / per_element;
    // Short enough that the next tile's inputs arrive while this one is computed, long enough to amortise the calls.
    const std::int64_t wanted = std::clamp<std::int64_t>(2048 / widest(), 512, 2048);
    plan_.tile = std::clamp<std::int64_t>(fits >= 64 ? fits / 64 * 64 : fits, 1, wanted);
  }

  std::int64_t widest() const {
    std::int64_t bytes = 1;
    for (const Op& op : code_.ops) bytes = std::max(bytes, bytes_of(op.result));
    return bytes;
  }

  const Code& code_;
  const std::size_t inputs_, outputs_;
  const Aliases& aliases_;
  Plan plan_;
  std::vector<Level> levels_;
  std::vector<std::size_t> last_use_;
  std::vector<Place> direct_;  // the output tensor that a value is written to directly
  std::vector<Place> places_;
  std::vector<Place> free_slots_;
  std::vector<Place> spread_slots_;  // taken for the operands of one step
};

}  // namespace

Plan make_plan(const Code& code, std::size_t input_count, std::size_t output_count, const Aliases& aliases,
               const Classes& classes) {
  return Planner(code, input_count, output_count, aliases, classes).run();
}

}  // namespace cpu
