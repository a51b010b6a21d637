// The pool on OpenMP. It shares its threads with oneDNN, so that the two do not compete for cores.
#include <omp.h>

#include "runtime/parallel.h"

namespace lockstep {

void run_on_pool(unsigned n, void (*piece)(void* arg, unsigned index), void* arg) {
#pragma omp parallel num_threads(static_cast <int>(n))
  {
    // OpenMP may provide fewer threads than requested.
    const auto team = static_cast<unsigned>(omp_get_num_threads());
    for (auto i = static_cast<unsigned>(omp_get_thread_num()); i < n; i += team) piece(arg, i);
  }
}

}  // namespace lockstep
