// The functions behind the driver's table: one declaration for each slot of lks_driver_api, grouped by source file.
#pragma once

#include <lockstep/driver.h>

#include <cstdint>

// device.cpp
lks_status LKS_CALL driver_open(const lks_host_api*, lks_driver**, lks_diag*);
void LKS_CALL driver_close(lks_driver*);
uint32_t LKS_CALL device_count(lks_driver*);
lks_status LKS_CALL device_describe(lks_driver*, uint32_t, lks_device_info*, lks_diag*);
const void* LKS_CALL get_group(lks_driver*, uint64_t);
lks_status LKS_CALL device_open(lks_driver*, uint32_t, lks_device**, lks_diag*);
void LKS_CALL device_close(lks_device*);
lks_status LKS_CALL device_memory(lks_driver*, uint32_t, lks_device*, uint32_t, uint64_t*, uint64_t*, lks_diag*);
lks_status LKS_CALL device_health(lks_device*, lks_diag*);

// memory.cpp
lks_status LKS_CALL buffer_alloc(lks_device*, uint32_t, uint64_t, lks_buffer**, lks_diag*);
void LKS_CALL buffer_free(lks_device*, lks_buffer*);
lks_status LKS_CALL buffer_map(lks_device*, lks_buffer*, uint64_t, uint64_t, void**, lks_diag*);
void LKS_CALL buffer_unmap(lks_device*, lks_buffer*);

// commands.cpp
lks_status LKS_CALL queue_create(lks_device*, uint32_t, lks_queue**, lks_timeline**, lks_diag*);
void LKS_CALL queue_destroy(lks_queue*);
lks_status LKS_CALL queue_launch(lks_queue*, const lks_launch*, uint32_t, uint64_t*, lks_diag*);
lks_status LKS_CALL queue_copy(lks_queue*, lks_buffer*, uint64_t, lks_buffer*, uint64_t, uint64_t, uint64_t*,
                               lks_diag*);
lks_status LKS_CALL queue_write(lks_queue*, lks_buffer*, uint64_t, const void*, uint64_t, uint64_t*, lks_diag*);
lks_status LKS_CALL queue_read(lks_queue*, void*, lks_buffer*, uint64_t, uint64_t, uint64_t*, lks_diag*);
lks_status LKS_CALL queue_fill(lks_queue*, lks_buffer*, uint64_t, uint64_t, uint64_t, uint32_t, uint64_t*, lks_diag*);
lks_status LKS_CALL queue_wait(lks_queue*, lks_timeline*, uint64_t, lks_diag*);
lks_status LKS_CALL queue_flush(lks_queue*, lks_diag*);
lks_status LKS_CALL queue_recover(lks_queue*, uint64_t*, lks_diag*);

// timeline.cpp
lks_status LKS_CALL timeline_create(lks_device*, lks_timeline**, lks_diag*);
void LKS_CALL timeline_destroy(lks_timeline*);
lks_status LKS_CALL timeline_query(lks_timeline*, uint64_t*, lks_diag*);
lks_status LKS_CALL timeline_wait(lks_timeline*, uint64_t, uint64_t, lks_diag*);
lks_status LKS_CALL timeline_signal(lks_timeline*, uint64_t, const lks_diag*, lks_diag*);

// kernel_table.cpp
lks_status LKS_CALL kernel_query(lks_driver*, uint32_t, const lks_kernel_desc*, lks_kernel_info*, lks_diag*);
lks_status LKS_CALL kernel_prepare(lks_device*, const lks_kernel_desc*, lks_kernel**, lks_kernel_info*, lks_diag*);
void LKS_CALL kernel_release(lks_device*, lks_kernel*);
const char* LKS_CALL kernel_variant(lks_driver*, uint32_t, uint32_t);

// Every kernel here sums in the order of lockstep mode, which strict and fast mode also permit.
inline constexpr std::uint32_t offered_modes = 1u << LKS_MODE_STRICT | 1u << LKS_MODE_FAST | 1u << LKS_MODE_LOCKSTEP;
inline constexpr std::uint64_t device_bytes = std::uint64_t{4} << 30;  // the memory size that this device reports
inline constexpr std::uint64_t buffer_alignment = 64;
