// A variable, a tape and a slope: y = 3x² at x = 2 gives 12, with slope 12; the slope's own slope is 6.
#include <iostream>

#include "lockstep/lockstep.h"

using namespace lockstep;

int main() {
  const Variable x(2.0f, "x");

  GradientTape outer;  // records what the inner tape computes, for the second order
  Tensor y(0.0f), slope(0.0f);
  {
    GradientTape inner;
    y = 3 * square(x);
    slope = inner.gradient(y, x);
  }
  const Tensor curvature = outer.gradient(slope, x);

  std::cout << "y = 3x^2 at x = " << x.read().item<float>() << "\n"
            << "y       " << y.item<float>() << "\n"
            << "dy/dx   " << slope.item<float>() << "\n"
            << "d2y/dx2 " << curvature.item<float>() << "\n";
}
