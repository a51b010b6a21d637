// Weights in files and as hashes.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "lockstep/export.h"
#include "lockstep/tensor.h"
#include "lockstep/variable.h"

namespace LOCKSTEP_API lockstep {

/// Named tensors in the safetensors format (https://github.com/huggingface/safetensors): eight bytes of header length,
/// a JSON header, then the bytes. The file appears under its name only when it is complete; a symbolic link stays and
/// leads to it. Throws IoError LS8005, also where the name is that of a pipe, device or folder.
void save_tensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                  const std::map<std::string, std::string>& metadata = {});

/// Throws IoError LS8005 where a file could not be saved under this path, so that it is known before hours of training.
/// Leaves nothing behind and an existing file as it is.
void check_can_write(const std::string& path);

struct TensorFile {
  std::map<std::string, Tensor> tensors;  // on the default device
  std::map<std::string, std::string> metadata;
};

/// Throws IoError LS8001 (missing), LS8002 (not safetensors), LS8003 (truncated), LS8004 (contradicts itself).
TensorFile load_tensors(const std::string& path);

/// Variables by name; throws StateError LS1008 where two have the same name.
void save_weights(const std::string& path, std::span<const Variable> variables);

/// Assigns every variable from the file, or none: throws IoError LS8006 where names, shapes or dtypes do not agree.
void load_weights(const std::string& path, std::span<const Variable> variables);

/// SHA-256, as 64 hexadecimal digits, over the variables sorted by name: name, dtype, shape and little-endian bytes in
/// row-major order, each text and list preceded by its length. Equal hashes mean equal bits.
std::string weights_sha256(std::span<const Variable> variables);

}  // namespace lockstep
