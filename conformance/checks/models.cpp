#include "conformance/checks/models.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <iterator>

#include "conformance/case_data.h"
#include "conformance/checks/audit.h"
#include "conformance/checks/small_models.h"

namespace lockstep::conformance {
namespace {

constexpr std::int64_t trajectory_steps = 100;

template <std::size_t n>
bool is_one_of(const char* const (&names)[n], const std::string& name) {
  return std::any_of(std::begin(names), std::end(names), [&](const char* k) { return name == k; });
}

bool wants_models(const SpecialRequest& r) {
  return r.training && r.options.op.empty() && (r.options.dtype.empty() || r.options.dtype == "f32");
}

void fail(CaseResult& result, std::string text) {
  if (result.outcome == Outcome::fail) return;
  result.outcome = Outcome::fail;
  result.text = std::move(text);
}

// Trains on the device and on the trusted device, and compares the losses batch by batch.
class Race {
 public:
  Race(const std::string& model, const std::string& optimizer, const Setting& s, MathMode mode, CaseResult& result)
      : name_(model),
        setting_(s),
        mode_(mode),
        result_(result),
        mine_(small_model(model, optimizer, s.device, seed)),
        other_(small_model(model, optimizer, s.trusted, seed)) {}

  void run() {
    if (mine_.weights_sha256() != other_.weights_sha256()) return fail(result_, "the initial weights differ");
    for (std::int64_t step = 1; step <= trajectory_steps && result_.outcome == Outcome::pass; ++step) take(step);
    if (result_.outcome != Outcome::pass) return;
    if (mode_ == MathMode::lockstep && mine_.weights_sha256() != other_.weights_sha256()) {
      return fail(result_, "after " + std::to_string(trajectory_steps) + " steps the weights differ from those on " +
                               setting_.trusted.name() + " though all losses agree");
    }
    char text[160];
    std::snprintf(text, sizeof text, "the loss went from %.4f to %.4f: the model did not learn", first_, last_);
    if (!(last_ < 0.7 * first_)) fail(result_, text);
  }

 private:
  static constexpr std::uint64_t seed = 7;

  float loss_of(nn::Model& model, Device device, std::int64_t step) {
    RandomScope random(RandomKey{seed, static_cast<std::uint64_t>(100 + step)});
    return model.train_step(small_batch(name_, step, device, seed)).item<float>();
  }

  void take(std::int64_t step) {
    const float a = loss_of(mine_, setting_.device, step), b = loss_of(other_, setting_.trusted, step);
    last_ = 0.9 * last_ + 0.1 * double{a};
    if (step == 1) first_ = last_ = a;
    // Round-off depends on the order of sums, and training amplifies the difference: at most by this factor in each
    // step.
    const double allowed =
        mode_ == MathMode::lockstep ? 0 : 64 * 0x1p-24 * std::pow(1.08, static_cast<double>(step)) * (1 + std::fabs(b));
    const bool equal = mode_ == MathMode::lockstep ? std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b)
                                                   : std::fabs(a - b) <= allowed;
    const double share = allowed > 0 ? std::fabs(a - b) / allowed : 0;
    result_.errors.share = std::max(result_.errors.share, share);
    if (equal) return;
    char text[200];
    std::snprintf(text, sizeof text, "the loss of step %lld is %.9g, on %s %.9g; allowed is a difference of %.3g",
                  static_cast<long long>(step), double{a}, setting_.trusted.name().c_str(), double{b}, allowed);
    fail(result_, text);
  }

  const std::string name_;
  const Setting& setting_;
  const MathMode mode_;
  CaseResult& result_;
  nn::Model mine_, other_;
  double first_ = 0, last_ = 0;
};

}  // namespace

std::vector<std::string> audit_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  if (!wants_models(request)) return ids;
  for (MathMode mode : request.modes) {
    for (const char* model : model_names) {
      ids.push_back("audit/model/f32/" + std::string(name_of(mode)) + "/" + model);
    }
  }
  return ids;
}

bool run_audit(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 5 || !is_one_of(model_names, parts[4])) return false;
  const MathModeScope mode(find_mode(parts[3]).value_or(MathMode::strict));
  nn::Model model = small_model(parts[4], "adam", setting.device, 11);
  Audit audit(setting, result);
  for (std::int64_t step = 1; step <= 2; ++step) {
    RandomScope random(RandomKey{11, static_cast<std::uint64_t>(step)});
    const data::Batch batch = small_batch(parts[4], step, setting.device, 11);
    const AuditScope watching(audit);
    model.train_step(batch);
  }
  if (audit.calls() < 40) fail(result, "only " + std::to_string(audit.calls()) + " calls were seen");
  return true;
}

std::vector<std::string> trajectory_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  if (!wants_models(request)) return ids;
  for (MathMode mode : request.modes) {
    if (mode == MathMode::fast) continue;
    for (const char* model : model_names) {
      for (const char* optimizer : optimizer_names) {
        ids.push_back("trajectory/model/f32/" + std::string(name_of(mode)) + "/" + model + "." + optimizer);
      }
    }
  }
  return ids;
}

bool run_trajectory(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  const std::size_t dot = parts.size() == 5 ? parts[4].find('.') : std::string::npos;
  if (dot == std::string::npos) return false;
  const std::string model = parts[4].substr(0, dot), optimizer = parts[4].substr(dot + 1);
  if (!is_one_of(model_names, model) || !is_one_of(optimizer_names, optimizer)) return false;
  const MathMode mode = find_mode(parts[3]).value_or(MathMode::strict);
  const MathModeScope scope(mode);
  result.bound = mode == MathMode::lockstep ? "the same bits" : "64 u · 1.08^step";
  Race(model, optimizer, setting, mode, result).run();
  return true;
}

}  // namespace lockstep::conformance
