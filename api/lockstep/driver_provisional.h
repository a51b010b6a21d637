/* driver_provisional.h: the tables that lks_driver_api::get_group returns for the capability bits whose table is not in
 * driver.h.
 *
 * PROVISIONAL. No driver offers any of these groups yet. A group may change without a new major version until the first
 * driver offers it. Its table then moves to driver.h, and the rules of driver.h apply to it. */
/* clang-format off */ /* the columns are set by hand */
#ifndef LOCKSTEP_DRIVER_PROVISIONAL_H_
#define LOCKSTEP_DRIVER_PROVISIONAL_H_

#include "lockstep/driver.h"

#ifdef __cplusplus
extern "C" {
#endif

/* LKS_CAP_GRAPH: a fixed list of launches, replayed with new bindings. graph_build copies the launches. */
typedef struct lks_graph lks_graph;
typedef struct lks_graph_group {
  lks_header hdr;
  lks_status(LKS_CALL* graph_build)(lks_device* device, const lks_launch* launches, uint32_t count, lks_graph** out,
                                    lks_diag* diag);
  lks_status(LKS_CALL* graph_launch)(lks_queue* queue, lks_graph* graph, const lks_launch* launches, uint32_t count,
                                     uint64_t* value, lks_diag* diag); /* launches: NULL, or new bindings and scalars */
  void(LKS_CALL* graph_release)(lks_graph* graph);
} lks_graph_group;

/* LKS_CAP_PEER: queue_copy accepts buffers of both devices if peer_query returns LKS_OK. */
typedef struct lks_peer_group {
  lks_header hdr;
  lks_status(LKS_CALL* peer_query)(lks_device* from, lks_device* to, double* bytes_per_second, lks_diag* diag);
} lks_peer_group;

/* LKS_CAP_TIMESTAMPS: device times in nanoseconds. Times of one device are comparable. */
typedef struct lks_timestamp_group {
  lks_header hdr;
  lks_status(LKS_CALL* queue_timestamp)(lks_queue* queue, uint32_t slot, uint64_t* value, lks_diag* diag);
  lks_status(LKS_CALL* timestamp_read)(lks_queue* queue, uint32_t slot, uint64_t* nanoseconds, lks_diag* diag);
} lks_timestamp_group;

/* LKS_CAP_KERNEL_SERIALIZATION: saves a kernel as a blob, which loads faster than the kernel prepares.
 * kernel_deserialize rejects foreign or damaged blobs with LKS_DATA_CORRUPT. *size is [in] capacity, [out] bytes
 * needed; blob may be NULL to query the size. */
typedef struct lks_serialization_group {
  lks_header hdr;
  lks_status(LKS_CALL* kernel_serialize)(lks_device* device, lks_kernel* kernel, void* blob, uint64_t* size,
                                         lks_diag* diag);
  lks_status(LKS_CALL* kernel_deserialize)(lks_device* device, const lks_kernel_desc* desc, const void* blob,
                                           uint64_t size, lks_kernel** out, lks_diag* diag);
} lks_serialization_group;

/* LKS_CAP_HOST_CALL: fn runs on a host thread in queue order; it may not call the driver. */
typedef struct lks_host_call_group {
  lks_header hdr;
  lks_status(LKS_CALL* queue_host_call)(lks_queue* queue, void(LKS_CALL* fn)(void* arg), void* arg, uint64_t* value,
                                        lks_diag* diag);
} lks_host_call_group;

/* LKS_CAP_REGION_COMPILE: a sub-graph as one kernel. Node operands are region inputs, or LKS_ROOT_RESULT | k for the
 * k-th result counted over all earlier nodes. `results` names the region's outputs in the same way. */
typedef struct lks_region_node {
  const lks_kernel_desc* desc;
  const uint32_t* operands;
} lks_region_node;
typedef struct lks_region_group {
  lks_header hdr;
  lks_status(LKS_CALL* region_prepare)(lks_device* device, const lks_region_node* nodes, uint32_t node_count,
                                       const uint32_t* results, uint32_t result_count, lks_kernel** out,
                                       lks_kernel_info* info, lks_diag* diag);
} lks_region_group;

/* LKS_CAP_COLLECTIVES: a communicator over ranks; its kernels (all_reduce, broadcast …) are launched like others. */
typedef struct lks_communicator lks_communicator;
typedef struct lks_collective_group {
  lks_header hdr;
  lks_status(LKS_CALL* communicator_create)(lks_device* device, const void* unique_id, uint64_t id_size, uint32_t rank,
                                            uint32_t rank_count, lks_communicator** out, lks_diag* diag);
  void(LKS_CALL* communicator_destroy)(lks_communicator* communicator);
  lks_status(LKS_CALL* collective_prepare)(lks_communicator* communicator, const lks_kernel_desc* desc,
                                           lks_kernel** out, lks_kernel_info* info, lks_diag* diag);
} lks_collective_group;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOCKSTEP_DRIVER_PROVISIONAL_H_ */
