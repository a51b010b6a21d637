// The beginning of every shader: extensions, push constants (with two addresses), and the queue's state.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require

// queue/state.h
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer State {
  uint failed;
  int axis;
  uint64_t value;
  int64_t index;
  int64_t position;
  int64_t extent;
  uint launch;
};

// The push constants (device/pipelines.h); `Pushed` declares those after the addresses. A shader uses this once, or one
// of PUSHED_PARAMS and PARAMS_IN_MEMORY.
#define PUSH_CONSTANTS(Pushed)                      \
  layout(push_constant, scalar) uniform Push {      \
    uint64_t params; /* address of the parameters */ \
    State state;                                    \
    Pushed                                          \
  } push

// Once a command has failed, the commands after it do nothing.
#define RETURN_IF_FAILED \
  if (push.state.failed != 0) return

// Workgroups are dispatched in rows (Plan::groups_for).
uint group_number() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
// A macro, because gl_WorkGroupSize is 1 until the shader has set it.
#define ITEM_NUMBER (uint64_t(group_number()) * gl_WorkGroupSize.x + gl_LocalInvocationIndex)

// Pointers to arrays in memory: (a + i).v is element i; i is an int, uint or uint64_t (glslang 12 crashes on an
// int64_t).
layout(buffer_reference, scalar, buffer_reference_align = 1) buffer Bytes { uint8_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 2) buffer Halves { uint16_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Words { uint v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Longs { uint64_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer Quads { u64vec2 v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Floats { float v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Ints { int v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Int64s { int64_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 1) buffer SignedBytes { int8_t v; };
#ifdef WITH_F64
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Doubles { double v; };
#endif

// The first 112 bytes of a dispatch's parameters are pushed. If there are more, all of them are in memory too, at
// push.params (Plan::dispatch). PUSHED_PARAMS reads a struct of at most 112 bytes from the pushed ones.
#define PUSHED_PARAMS(Struct) \
  PUSH_CONSTANTS(Struct v;);  \
  Struct load_params() { return push.v; }
// Loads all parameters at once. A shader that loaded them where it uses them would load them repeatedly.
#define PARAMS_IN_MEMORY(Struct)                                                              \
  PUSH_CONSTANTS(uint64_t first[14];);                                                        \
  layout(buffer_reference, scalar, buffer_reference_align = 8) buffer InMemory { Struct v; }; \
  Struct load_params() { return InMemory(push.params).v; }

// Marks loops that the Vulkan driver is to unroll. The optimizer of SPIRV-Tools would unroll loops marked `unroll`, but
// its copies lose NoContraction, so that it fuses their products and sums. Therefore this is another mark, which is
// replaced when the pipeline is made (device/unroll.h).
#define UNROLL [[dependency_infinite]]
