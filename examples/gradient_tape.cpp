// A variable, a tape and a derivative: y = 3x² at x = 2 is 12, its slope is 12, and the slope of the slope is 6.
#include <iostream>

#include "lockstep/lockstep.h"

using namespace lockstep;

int main() {
  const Variable x(2.0f, "x");

  GradientTape outer;  // records the ops of the inner tape, for the second derivative
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
