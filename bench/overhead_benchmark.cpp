// The overhead of calls, measured with Google Benchmark: `overhead_benchmark --benchmark_filter=add`.
#include <benchmark/benchmark.h>

#include "bench/workload.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const lockstep::Device device = lockstep::default_device();
  const std::vector<bench::Workload> workloads = bench::overhead_workloads();
  for (const bench::Workload& w : workloads) {
    benchmark::RegisterBenchmark(w.name.c_str(), [&w, work = w.prepare(device)](benchmark::State& state) {
      for (auto _ : state) work.call();
      // One iteration makes many calls; the counter shows the time of one call.
      state.counters["per call"] = benchmark::Counter(static_cast<double>(state.iterations()) * w.amount,
                                                      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    });
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
