// Saving, loading and hashing weights, and saving and loading optimizers. Model::save_checkpoint() saves both.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lockstep/call_site.h"
#include "lockstep/export.h"
#include "lockstep/optim.h"
#include "lockstep/tensor.h"
#include "lockstep/variable.h"

namespace LOCKSTEP_API lockstep {

/// Saves named tensors in the safetensors format (https://github.com/huggingface/safetensors): eight bytes of header
/// length, a JSON header, then the tensors' bytes. The file appears under its name only when it is complete. If `path`
/// is a symbolic link, the link stays and its target is replaced. Throws IoError LS8005 if the file cannot be written,
/// also if `path` is a pipe, device or folder.
void save_tensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                  const std::map<std::string, std::string>& metadata = {});

/// Throws IoError LS8005 if a file cannot be saved under this path. Call it before a long training run. Creates no file
/// and does not change an existing one.
void check_can_write(const std::string& path);

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Loads a safetensors file to `device` (default: the default device). The device reads the mapped file, so that the
/// host needs no memory for the tensors. The file must not be changed in place meanwhile; the functions that save
/// replace it instead. Throws IoError LS8001 (missing), LS8002 (not safetensors), LS8003 (truncated), LS8004
/// (inconsistent).
TensorFile load_tensors(const std::string& path, std::optional<Device> device = std::nullopt,
                        CallSite where = CallSite::current());

/// Saves the variables by name; throws StateError LS1008 if two have the same name.
void save_weights(const std::string& path, std::span<const Variable> variables);

/// Assigns every variable from the file, or none: throws IoError LS8006 if names, shapes or dtypes do not match. Leaves
/// out an optimizer's state, so the file may be a checkpoint. Each value goes from the mapped file to the device of its
/// variable; until all are there, that device holds the old values and the new ones.
void load_weights(const std::string& path, std::span<const Variable> variables, CallSite where = CallSite::current());

/// Saves an optimizer: its kind, options and steps, and its slots by name. Numbers are exact. Throws StateError LS1008
/// if two variables have the same name; IoError LS8005 as save_tensors() does.
void save_optimizer(const std::string& path, const optim::Optimizer& optimizer, CallSite where = CallSite::current());

/// Loads a file of save_optimizer() or Model::save_checkpoint(). The next steps then give the same bits as those of the
/// optimizer that was saved, given the same variables and gradients. `variables` are all variables that it updated, in
/// any order; they are found by name, and do not change. The options and the learning rate of the file replace those of
/// `optimizer`, which must be of the same kind. Throws IoError LS8001 to LS8004 for files that cannot be read or are
/// damaged, LS8006 if the file has no optimizer, one of another kind, or other names, shapes or dtypes. After any
/// failure the optimizer is as before.
void load_optimizer(const std::string& path, optim::Optimizer& optimizer, std::span<const Variable> variables,
                    CallSite where = CallSite::current());

/// SHA-256 of the variables, as 64 hexadecimal digits. It covers, for each variable in the order of names, its name,
/// dtype, shape and little-endian bytes in row-major order; each string and list is preceded by its length. Equal
/// hashes mean equal bits.
std::string weights_sha256(std::span<const Variable> variables);

}  // namespace lockstep
