"""Faults made by hand in ops/; faults.py has others of that folder."""

FAULTS = {
    "ops/infer.cpp": [
        ("out = a.is_known() ? a : b;", "out = a;", "a symbolic extent beside a known one hides it"),
    ],
    "ops/call_types.cpp": [
        ("has_floating_number && !is_floating(of_tensors) && accepted.has(DType::f32)", "has_floating_number && accepted.has(DType::f32)",
         "a floating number makes f64 and f16 tensors f32"),
    ],
    "ops/host_kernel.cpp": [
        ("  device.queue().wait_idle();", "", "the host writes memory before the commands that still write it"),
    ],
    "ops/promote.cpp": [
        ("if (call.op.gradient || !call.op.decompose) pause.emplace();", "pause.emplace();",
         "a composite without a rule is not recorded where it is computed by way of f32"),
    ],
    "ops/launch.cpp": [
        ("while (number_dtypes.size() < i) number_dtypes.push_back(0);", "", "x - 2 and 2 - x share a kernel"),
    ],
    "ops/support.cpp": [
        ("const auto question = question_of(*op, dtype);", "const auto question = question_of(*op);",
         "support in a dtype is that of the op's first case"),
    ],
    "ops/differentiate.cpp": [
        ("saves.inputs |= 1u << u;", "saves.inputs = 1u << u;", "of the inputs that a derived rule reads only the last is kept"),
    ],
    "ops/math/arithmetic.cpp": [
        ("gradient_op(whole_pow_gradient_op(i), k)", "gradient_op(whole_pow_gradient_op(1 - i), k)",
         "the slopes of pow by base and exponent exchange their derivatives"),
    ],
    "ops/nn/window.cpp": [
        (" || padding[2 * side + 1] >= window[side]", "", "a window may lie in the padding below or to the right"),
        ("const std::int64_t span = (window[s] - 1) * dilation[s] + 1;", "const std::int64_t span = window[s];",
         "same padding ignores the dilation"),
    ],
    "ops/nn/softmax.cpp": [
        ("(in[1] == 0) & (in[0] == in[0].constant(-INFINITY))", "(in[1] == 0)", "NaN of a class without a target is lost"),
    ],
    "ops/random/dropout.cpp": [
        ("{g.scalar(0), g.scalar(1), g.scalar(2), g.scalar(3), g.scalar(4)}", "{g.scalar(0), g.scalar(3), g.scalar(4), g.scalar(1), g.scalar(2)}",
         "in the gradient of dropout seed and stream change places"),
    ],
    "ops/shape/select.cpp": [
        ("std::numeric_limits<std::int64_t>::max()", "std::numeric_limits<std::int32_t>::max()", "the padding of a sort comes before large keys"),
    ],
    "ops/shape/views.cpp": [
        ("if (strides[k] != strides[k + 1] * dims[k + 1]) return std::nullopt;", "if (strides[k] < strides[k + 1] * dims[k + 1]) return std::nullopt;",
         "a reshape of some columns is a view"),
    ],
}
