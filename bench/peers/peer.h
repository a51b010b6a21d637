/* What a peer library exports: work that can be run again and again. */
#ifndef LOCKSTEP_BENCH_PEER_H_
#define LOCKSTEP_BENCH_PEER_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct peer_work peer_work;

typedef struct peer_conv {
  int64_t batch, channels, size, filters, kernel, stride, padding, groups;
  int64_t pass; /* 0 forward, 1 gradient of the input, 2 gradient of the filter */
} peer_conv;

typedef struct peer_api {
  const char* name;
  peer_work* (*matmul)(int64_t m, int64_t k, int64_t n, int threads); /* NULL on failure */
  peer_work* (*conv)(const peer_conv* shape, int threads);
  void (*run)(peer_work* work);
  void (*release)(peer_work* work);
} peer_api;

__attribute__((visibility("default"))) const peer_api* lockstep_bench_peer(void);

#ifdef __cplusplus
}
#endif

#endif
