// Faults that ignore a part of the kernel description: programs, the order of operands, flags, layouts, extensions or
// versions of functions.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

void forget_programs(EditableDesc& e) {
  e.desc.program_count = 0;
  e.desc.programs = nullptr;
  e.desc.operands = e.desc.results = nullptr;
}

void forget_order(EditableDesc& e) {
  e.desc.operands = nullptr;
  e.desc.operand_count = e.desc.input_count;
}

// Replaces the tensor descriptions by changed copies.
template <class Change>
void change_tensors(EditableDesc& e, Change&& change) {
  auto tensors = std::make_shared<std::vector<lks_tensor_desc>>();
  for (std::uint32_t i = 0; i < e.desc.input_count + e.desc.output_count; ++i) {
    tensors->push_back(common::tensor_of(e.desc, i));
    tensors->back().hdr.size = sizeof(lks_tensor_desc);
    change(tensors->back());
  }
  e.desc.inputs = tensors->data();
  e.desc.outputs = tensors->data() + e.desc.input_count;
  e.storage = tensors;
}

// Indexes the host's arrays by the size of the driver's own lks_tensor_desc.
void tensors_by_own_size(EditableDesc& e) {
  auto tensors = std::make_shared<std::vector<lks_tensor_desc>>();
  tensors->assign(e.desc.inputs, e.desc.inputs + e.desc.input_count);
  tensors->insert(tensors->end(), e.desc.outputs, e.desc.outputs + e.desc.output_count);
  for (lks_tensor_desc& t : *tensors) t.hdr.size = sizeof t;
  e.desc.inputs = tensors->data();
  e.desc.outputs = tensors->data() + e.desc.input_count;
  e.storage = tensors;
}

void forget_flags(EditableDesc& e) {
  change_tensors(e, [](lks_tensor_desc& t) { t.flags &= LKS_TENSOR_OPTIONAL_ABSENT; });
}
void forget_high_flags(EditableDesc& e) {
  change_tensors(e, [](lks_tensor_desc& t) { t.flags &= 0xffffu; });
}
void forget_extensions(EditableDesc& e) { e.desc.hdr.next = nullptr; }
void forget_tensor_extensions(EditableDesc& e) {
  change_tensors(e, [](lks_tensor_desc& t) { t.hdr.next = nullptr; });
}

void forget_program_extensions(EditableDesc& e) {
  if (e.desc.program_count != 1) return;
  struct Plain {
    lks_program program;
    lks_attached_program attached;
  };
  auto plain = std::make_shared<Plain>();
  plain->program = *e.desc.programs[0].program;
  plain->program.hdr.next = nullptr;
  plain->attached = e.desc.programs[0];
  plain->attached.program = &plain->program;
  e.desc.programs = &plain->attached;
  e.storage = plain;
}

// Only the first extension of a chain is checked.
void forget_later_extensions(EditableDesc& e) {
  const auto* first = static_cast<const lks_header*>(e.desc.hdr.next);
  if (first && (first->type & LKS_MAY_SKIP)) e.desc.hdr.next = nullptr;
}

// The body reads the kernel's inputs in their order, regardless of lks_attached_program.inputs.
void forget_inputs_of_body(EditableDesc& e) {
  if (e.desc.program_count != 1) return;
  struct Straight {
    std::vector<std::uint32_t> inputs;
    lks_attached_program program;
  };
  auto straight = std::make_shared<Straight>();
  for (std::uint32_t i = 0; i < e.desc.input_count; ++i) straight->inputs.push_back(i);
  straight->program = e.desc.programs[0];
  straight->program.inputs = straight->inputs.data();
  e.desc.programs = &straight->program;
  e.storage = straight;
}

void first_program_only(EditableDesc& e) {
  if (e.desc.program_count > 1) e.desc.program_count = 1;
}

void forget_layouts(EditableDesc& e) {
  change_tensors(e, [](lks_tensor_desc& t) { t.layout = LKS_LAYOUT_STRIDED; });
}
void forget_results(EditableDesc& e) { e.desc.results = nullptr; }

// A function is known by its name: the first body of each name serves for all.
void first_body_of_each_name(EditableDesc& e) {
  static std::mutex mutex;
  static std::map<std::string, const lks_program*> bodies;
  if (e.desc.program_count != 1 || e.desc.programs[0].program->function_count == 0) return;
  struct Known {
    std::vector<lks_function> functions;
    lks_program program;
    lks_attached_program attached;
  };
  auto known = std::make_shared<Known>();
  known->program = *e.desc.programs[0].program;
  known->functions.assign(known->program.functions, known->program.functions + known->program.function_count);
  for (lks_function& function : known->functions) {
    const std::lock_guard lock(mutex);
    function.body = bodies.try_emplace(function.name, function.body).first->second;
  }
  known->program.functions = known->functions.data();
  known->attached = e.desc.programs[0];
  known->attached.program = &known->program;
  e.desc.programs = &known->attached;
  e.storage = known;
}

constexpr DescFault faults[] = {
    {Mutant::matmul_ignores_programs, LKS_OP_MATMUL, &forget_programs},
    {Mutant::max_ignores_programs, LKS_OP_MAX, &forget_programs},
    {Mutant::matmul_ignores_order, LKS_OP_MATMUL, &forget_order},
    {Mutant::conv_takes_any_operands, LKS_OP_CONV2D, &forget_order},
    {Mutant::tensors_by_own_size, LKS_OP_MATMUL, &tensors_by_own_size},
    {Mutant::flags_ignored, any_op, &forget_flags},
    {Mutant::high_flags_ignored, LKS_OP_COPY, &forget_high_flags},
    {Mutant::extensions_ignored, any_op, &forget_extensions},
    {Mutant::tensor_extensions_ignored, LKS_OP_POINTWISE, &forget_tensor_extensions},
    {Mutant::program_extensions_ignored, LKS_OP_POINTWISE, &forget_program_extensions},
    {Mutant::later_extensions_ignored, LKS_OP_SUM, &forget_later_extensions},
    {Mutant::body_takes_inputs_in_order, LKS_OP_POINTWISE, &forget_inputs_of_body},
    {Mutant::first_program_only, LKS_OP_POINTWISE, &first_program_only},
    {Mutant::layouts_ignored, any_op, &forget_layouts},
    {Mutant::results_ignored, LKS_OP_MATMUL, &forget_results},
    {Mutant::function_versions_ignored, LKS_OP_POINTWISE, &first_body_of_each_name},
};

}  // namespace

std::span<const DescFault> honour_faults() { return faults; }

}  // namespace mutants
