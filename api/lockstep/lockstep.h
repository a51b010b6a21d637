// Lockstep: everything in one include.
#pragma once

#include "lockstep/autodiff.h"
#include "lockstep/device.h"
#include "lockstep/error.h"
#include "lockstep/memory.h"
#include "lockstep/op_def.h"
#include "lockstep/ops.h"
#include "lockstep/options.h"
#include "lockstep/parallel.h"
#include "lockstep/scope.h"
#include "lockstep/tensor.h"
#include "lockstep/variable.h"
