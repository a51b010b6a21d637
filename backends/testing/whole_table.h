// A driver table whose slots are all non-null, for test drivers that need only a few functions.
#pragma once

#include <cstddef>
#include <cstring>

#include "lockstep/driver.h"

/// Every slot points to a function that does nothing; the ABI version and the sanitizer match the host's. The driver
/// sets its name and the slots that are called.
inline lks_driver_api whole_table() {
  lks_driver_api table;
  std::memset(&table, 0, sizeof table);
  void (*const unused)() = [] {};
  void* const filler = reinterpret_cast<void*>(unused);
  char* const slots = reinterpret_cast<char*>(&table.driver_open);
  const std::size_t bytes = sizeof table - static_cast<std::size_t>(slots - reinterpret_cast<char*>(&table));
  for (std::size_t at = 0; at + sizeof filler <= bytes; at += sizeof filler) {
    std::memcpy(slots + at, static_cast<const void*>(&filler), sizeof filler);
  }
  table.hdr.size = sizeof table;
  table.abi_major = LKS_ABI_MAJOR;
  table.abi_minor = LKS_ABI_MINOR;
  table.flags = LKS_DRIVER_UNLOADABLE;
#if defined(__SANITIZE_ADDRESS__)
  table.sanitizer = LKS_SANITIZER_ADDRESS;
#elif defined(__SANITIZE_THREAD__)
  table.sanitizer = LKS_SANITIZER_THREAD;
#endif
  return table;
}
