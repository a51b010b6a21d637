// Comparisons as text.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "lockstep/compare.h"

namespace lockstep {
namespace {

template <class... T>
std::string format(const char* pattern, T... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

std::string index_text(const std::vector<std::int64_t>& index) {
  std::string text;
  for (std::int64_t i : index) text += (text.empty() ? "" : ", ") + std::to_string(i);
  return "[" + text + "]";
}

long long number(std::int64_t n) { return static_cast<long long>(n); }

std::string title(const DivergingCall& c) {
  std::string text =
      "call " + std::to_string(c.call) + " of step " + std::to_string(c.step + 1) + ", " + c.part + ": " + c.op;
  if (!c.scope.empty()) text += " in " + c.scope;
  return c.where.empty() ? text : text + ", " + c.where;
}

// A value in its own column, with its bits and its distance from the exact value.
std::string value_line(std::string name, std::size_t width, double value, const std::string& bits,
                       const DivergingElement& e) {
  name.resize(std::max(width, name.size()), ' ');
  std::string text = "      " + name + format("  %.17g  %s", value, bits.c_str());
  if (e.exact) text += format("   off by %.3g", std::fabs(value - *e.exact));
  return text + "\n";
}

std::string element_text(const DivergingCall& c, const Comparison& r) {
  const DivergingElement& e = c.worst;
  const std::size_t width = std::max({r.first.size(), r.second.size(), std::string_view("exact").size()});
  std::string text = "    " + c.output + index_text(e.index) + " of " + std::string(name_of(c.dtype)) + " " +
                     c.shape.to_string() + format(", %.3g ulp apart", e.ulp) +
                     format("; %lld of %lld elements differ\n", number(c.differing), number(c.elements));
  text +=
      value_line(r.first, width, e.first, e.first_bits, e) + value_line(r.second, width, e.second, e.second_bits, e);
  if (!e.exact) return text;
  std::string name = "exact";
  name.resize(width, ' ');
  text += "      " + name + format("  %.17g", *e.exact);
  return text + (e.allowed ? format("   each may be off by %.3g", *e.allowed) : "") + "\n";
}

std::string call_text(const DivergingCall& c, const Comparison& r) {
  std::string text = "    " + title(c) + "\n" + element_text(c, r);
  for (const std::string& input : c.inputs) text += "      " + input + "\n";
  return text;
}

}  // namespace

std::string describe(const Comparison& r) {
  std::string text =
      " " + r.second + " beside " + r.first + ", " + std::string(name_of(r.mode)) +
      format(": %lld op calls in %lld step%s, %lld of them with the same bits, %lld numbers compared\n",
             number(r.calls), number(r.steps), r.steps == 1 ? "" : "s", number(r.identical), number(r.elements));
  if (r.culprits.empty()) {
    text += r.identical == r.calls ? "  no difference: the same bits everywhere\n"
                                   : "  no divergence: every op, given equal inputs, agrees within what is allowed\n";
  } else {
    text += format("  %zu call%s diverge%s given equal inputs. The first:\n", r.culprits.size(),
                   r.culprits.size() == 1 ? "" : "s", r.culprits.size() == 1 ? "s" : "");
    text += call_text(r.culprits.front(), r);
    for (std::size_t i = 1; i < r.culprits.size() && i < 6; ++i) {
      text +=
          (i == 1 ? "  then\n    " : "    ") + title(r.culprits[i]) + format(", %.3g ulp\n", r.culprits[i].worst.ulp);
    }
    if (r.culprits.size() > 6) text += format("    and %zu more\n", r.culprits.size() - 6);
  }
  if (r.first_difference) text += "  the first difference of the two runs:\n" + call_text(*r.first_difference, r);
  if (r.steepest) {
    text += format("  where the difference grows most, %.3g-fold:\n", r.steepest_growth) + "    " + title(*r.steepest) +
            "\n";
    for (const std::string& input : r.steepest->inputs) text += "      " + input + "\n";
  }
  text += format("  loss %.9g and %.9g; weights ", r.first_loss, r.second_loss);
  const bool same = r.first_weights == r.second_weights;
  return text +
         (same ? "the same, " + r.first_weights
               : r.first_weights.substr(0, 12) + "… and " + r.second_weights.substr(0, 12) + "…") +
         "\n";
}

}  // namespace lockstep
