#include "ops/random/key_scalars.h"

#include "ops/launch_number.h"

namespace lockstep {
namespace {
thread_local RandomKey current_key;
}

std::vector<ScalarDef> key_scalars() {
  return {{"seed_low", LKS_U32}, {"seed_high", LKS_U32}, {"stream_low", LKS_U32}, {"stream_high", LKS_U32}};
}

void append_key(std::vector<Scalar>& scalars, RandomKey key) {
  for (std::uint64_t word : {key.seed, key.stream}) {
    scalars.push_back({Scalar::Kind::integer, static_cast<std::int64_t>(word & 0xffffffffu), 0});
    scalars.push_back({Scalar::Kind::integer, static_cast<std::int64_t>(word >> 32), 0});
  }
}

RandomKey key_from(std::span<const Scalar> scalars, std::size_t first) {
  const auto word = [&](std::size_t i) {
    const Scalar& number = scalars[first + i];
    if (!number.is_known()) number.fail_unknown();
    return static_cast<std::uint64_t>(number.integer) & 0xffffffffu;
  };
  return {word(0) | word(1) << 32, word(2) | word(3) << 32};
}

void add_key_arguments(OpDef& op) {
  for (const char* name : {"seed", "stream"}) {
    op.arguments.push_back({.name = name,
                            .kind = ArgumentKind::integer,
                            .doc = std::string(name) + " of the key; equal keys give equal numbers",
                            .otherwise = "that of the thread's next key",
                            .at_launch = true});
  }
}

std::vector<Tensor> invoke_with_key(const CallByName& call, const void* attrs, std::vector<Scalar> numbers) {
  if (call.has("seed") != call.has("stream")) {
    call.fail(ErrorId::wrong_argument, "a key is seed and stream, and one of them is missing", "give both, or none");
  }
  if (call.has("seed")) {
    for (const char* name : {"seed", "stream"}) {
      const LaunchNumber number(call.number(name));
      numbers.push_back(low_word(number));
      numbers.push_back(high_word(number));
    }
  } else {
    append_key(numbers, next_key());
  }
  const CallSite where = call.where();
  return invoke(call.op(), call.inputs(), attrs, numbers, &where);
}

std::vector<Scalar> case_scalars(std::vector<Scalar> own) {
  append_key(own, {0x123456789abcdefu, 0x2a0000001bu});
  return own;
}

void set_seed(std::uint64_t seed) { current_key = {seed, 0}; }

RandomKey next_key() {
  const RandomKey key = current_key;
  ++current_key.stream;
  return key;
}

RandomKey random_position() { return current_key; }
void set_random_position(RandomKey position) { current_key = position; }

RandomScope::RandomScope(RandomKey key) : previous_(current_key) { current_key = key; }
RandomScope::~RandomScope() { current_key = previous_; }

}  // namespace lockstep
