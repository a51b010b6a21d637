/* driver.h: the C ABI between the Lockstep runtime (the host) and a device driver.
 *
 * A driver is a shared library that exports one symbol, `lks_driver_entry_v1`, and implements the tables below.
 * This header needs only <stdint.h>. A driver needs this header and driver_ops.h, which lists the ops.
 * Guide: docs/adding_a_driver.md.
 *
 * General rules
 *   Versions.   Tables and structs grow only at their end. Every struct that crosses the ABI begins with an
 *               `lks_header`, except the plain structs and the attributes of driver_ops.h, whose size is attrs_size. A
 *               reader accepts any size that covers the fields it needs, and treats a missing tail as zero. Zero always
 *               means the old behaviour; for another value of an attribute, a host asks with the op_version that has it.
 *               LKS_HAS_FIELD says whether the writer of a struct knew a field. Every table has the slots of ABI 1.0,
 *               none of them NULL. A slot that was added later may be absent or NULL; its comment says what its
 *               caller then does. Nobody writes beyond the size of another's struct. An extension of unknown type is
 *               ignored if its type has the bit LKS_MAY_SKIP; otherwise a kernel description that has it is refused.
 *   Arrays.     In an array of structs with headers, every element has the size that the first one's header says, a
 *               multiple of 8. LKS_ELEMENT finds an element by it; [] would use the reader's own size. The plain
 *               structs never change, so their arrays are indexed as usual: lks_heap, lks_instr, lks_function,
 *               lks_attached_program, lks_alias, lks_operand_deps, lks_binding and lks_region_node. What has to be
 *               added to one of them comes in an array of its own, which a later field or an extension points to.
 *   Failure.    Every call that can fail returns a status. It fills the caller's `lks_diag` (never NULL) only on
 *               failure. Nothing throws across the ABI, aborts, exits or installs signal handlers.
 *   State.      A driver has no mutable process-global state and does no work in static constructors or destructors.
 *   Ownership.  The host frees what a driver creates, through the same table, children before parents. A string that
 *               a driver returns is valid as long as the object it was queried from. A driver keeps no pointer that
 *               was passed to it beyond the call, unless a comment says so.
 *   Threads.    Calls on different devices may run concurrently. Calls on one device may too, except that the host
 *               serialises the calls on one queue. A driver never calls the host while it holds a lock of its own.
 *   Blocking.   Only these may block: timeline_wait, queue_recover, queue_destroy, device_close and driver_close;
 *               kernel_prepare, which may run compiled code on the device to compare variants; and the commands of an
 *               inline queue, which do their work on the caller's thread before they return.
 *   Fork.       A child process does not use objects that were opened before the fork: the host refuses such calls
 *               before they reach the driver. If no device was open at the fork, the child calls driver_open again and
 *               leaves the parent's lks_driver untouched.
 *
 * Comment tags: [in] read by the callee, [out] written by the callee. Sizes are in bytes unless stated otherwise. */
/* clang-format off */ /* the columns are set by hand */
#ifndef LOCKSTEP_DRIVER_H_
#define LOCKSTEP_DRIVER_H_

#include <stdint.h>

#if defined(_WIN32)
#define LKS_CALL __cdecl
#define LKS_EXPORT __declspec(dllexport)
#else
#define LKS_CALL
#define LKS_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LKS_ABI_MAJOR 1u
#define LKS_ABI_MINOR 1u
#define LKS_ENTRY_SYMBOL "lks_driver_entry_v1"
#define LKS_MAX_RANK 8

/* ---------------------------------------------------------------------------------------------------------- basics */

/* `type` identifies an extension; it is 0 in a struct whose C type identifies it. `next` links optional extensions. */
#define LKS_MAY_SKIP 0x80000000u
typedef struct lks_header {
  uint32_t size;
  uint32_t type;
  const void* next;
} lks_header;

/* Element i of an array of structs with headers. */
#define LKS_ELEMENT(type, first, i) (*(const type*)((const char*)(first) + (uint64_t)(i) * (first)->hdr.size))
/* Whether the struct or table that `s` points to is large enough to have this field. */
#define LKS_HAS_FIELD(s, field) ((s)->hdr.size >= (uint32_t)((const char*)(&(s)->field + 1) - (const char*)(s)))

typedef int32_t lks_status;
enum {
  LKS_OK = 0,
  LKS_NOT_READY = 1,        /* the answer of a query; not a failure */
  LKS_INVALID_ARGUMENT = -1,
  LKS_UNSUPPORTED = -2,     /* diag.reason says what is not supported */
  LKS_OUT_OF_MEMORY = -3,   /* diag.requested_bytes and diag.free_bytes are set */
  LKS_UNAVAILABLE = -4,     /* a library, device or permission is missing; diag.what names it */
  LKS_DEVICE_LOST = -5,     /* sticky: every later call on the device, except close, returns it too */
  LKS_TIMEOUT = -6,
  LKS_CANCELLED = -7,
  LKS_ABI_MISMATCH = -8,
  LKS_DATA_CORRUPT = -9,    /* a cache, blob or file fails its check */
  LKS_INTERNAL = -10
};

/* Why a kernel, dtype or layout is refused, in machine-readable form. diag.operand is the operand that caused it. A
 * refusal for OP, DTYPE, RANK, ATTRIBUTE, MATH_MODE, VERSION, HARDWARE or EXTENSION must hold for all extents, strides
 * and alignments: the host remembers it for the op, attributes, dtypes, ranks, programs and mode, and does not ask
 * again. A refusal for LAYOUT, SIZE, ALIAS or PROGRAM must hold for equal extents, strides and alignments: the host
 * remembers it for these. A refusal for RESOURCE is not remembered. */
enum {
  LKS_REASON_NONE = 0,
  LKS_REASON_OP = 1,
  LKS_REASON_DTYPE = 2,
  LKS_REASON_RANK = 3,      /* see "Ranks" at lks_kernel_desc */
  LKS_REASON_LAYOUT = 4,    /* or alignment; the host retries with a dense, well-aligned copy of that input */
  LKS_REASON_ATTRIBUTE = 5,
  LKS_REASON_MATH_MODE = 6,
  LKS_REASON_SIZE = 7,
  LKS_REASON_ALIAS = 8,
  LKS_REASON_RESOURCE = 9,  /* the same request may succeed later */
  LKS_REASON_PROGRAM = 10,  /* a prologue or epilogue; a later host that fuses ops will retry with the root op alone */
  LKS_REASON_VERSION = 11,  /* op schema newer than the driver knows */
  LKS_REASON_HARDWARE = 12, /* this device lacks a feature; diag.what names it */
  LKS_REASON_INDEX = 13,    /* a launch failed: an index is outside the tensor that it indexes */
  LKS_REASON_EXTENSION = 14 /* an extension or a flag that the driver does not know */
};

/* Owned by the caller and of fixed size, so that no error path allocates. The host passes it with all fields zero but
 * `hdr`, which a driver never changes, and `operand`, which is -1. Texts are NUL-terminated UTF-8, truncated to fit. */
typedef struct lks_diag {
  lks_header hdr;
  lks_status code;
  int32_t reason;           /* LKS_REASON_* */
  int32_t operand;          /* index into the kernel's inputs, then outputs; -1: no particular one */
  uint32_t heap;
  int64_t native_code;      /* CUresult, VkResult, dnnl_status_t, errno … */
  uint64_t requested_bytes;
  uint64_t free_bytes;      /* in that heap, as device_memory reports them */
  uint64_t value;           /* if an enqueued command failed: its value on the queried timeline; otherwise 0 */
  char native_name[48];
  char what[256];           /* what failed, with its numbers */
  char where[96];           /* file:line in the driver */
  char hint[160];           /* one thing the user can do; may be empty */
  uint32_t launch;          /* since ABI 1.1: 1 + the index in queue_launch of the launch that failed; otherwise 0 */
  uint32_t reserved;
} lks_diag;

/* An element type: class and bits per element. New formats need no new ABI. */
typedef uint32_t lks_dtype;
#define LKS_DTYPE(cls, bits) (((uint32_t)(cls) << 16) | (uint32_t)(bits))
#define LKS_DTYPE_CLASS(t) ((t) >> 16)
#define LKS_DTYPE_BITS(t) ((t)&0xffffu)
enum {
  LKS_CLASS_FLOAT = 1,      /* IEEE 754 binary interchange format */
  LKS_CLASS_BFLOAT = 2,     /* 8 exponent bits */
  LKS_CLASS_INT = 3,        /* two's complement */
  LKS_CLASS_UINT = 4,
  LKS_CLASS_BOOL = 5,       /* one byte, 0 or 1 */
  LKS_CLASS_FLOAT_E4M3 = 6, /* reserved */
  LKS_CLASS_FLOAT_E5M2 = 7  /* reserved */
};
#define LKS_F16 LKS_DTYPE(LKS_CLASS_FLOAT, 16)
#define LKS_F32 LKS_DTYPE(LKS_CLASS_FLOAT, 32)
#define LKS_F64 LKS_DTYPE(LKS_CLASS_FLOAT, 64)
#define LKS_BF16 LKS_DTYPE(LKS_CLASS_BFLOAT, 16)
#define LKS_I8 LKS_DTYPE(LKS_CLASS_INT, 8)
#define LKS_I32 LKS_DTYPE(LKS_CLASS_INT, 32)
#define LKS_I64 LKS_DTYPE(LKS_CLASS_INT, 64)
#define LKS_U8 LKS_DTYPE(LKS_CLASS_UINT, 8)
#define LKS_U32 LKS_DTYPE(LKS_CLASS_UINT, 32)  /* inside programs only */
#define LKS_U64 LKS_DTYPE(LKS_CLASS_UINT, 64)  /* inside programs only */
#define LKS_BOOL LKS_DTYPE(LKS_CLASS_BOOL, 8)

/* docs/lockstep_mode.md defines the arithmetic of each mode. */
enum { LKS_MODE_STRICT = 0, LKS_MODE_FAST = 1, LKS_MODE_LOCKSTEP = 2 };

typedef struct lks_driver lks_driver;
typedef struct lks_device lks_device;
typedef struct lks_buffer lks_buffer;
typedef struct lks_queue lks_queue;
typedef struct lks_timeline lks_timeline;
typedef struct lks_kernel lks_kernel;

/* -------------------------------------------------------------------------------------------------- host services */

/* A driver calls fault_point before native work of these kinds, and does the work only if the result is LKS_OK. A wait
 * is native if a vendor's function does it; "Failed waits" below says what a driver does if one fails. A wait for a
 * lock or condition variable of the driver itself cannot fail and needs no fault point. */
enum { LKS_FAULT_ALLOC = 1, LKS_FAULT_MAP = 2, LKS_FAULT_SUBMIT = 3, LKS_FAULT_COMPILE = 4, LKS_FAULT_WAIT = 5 };
enum { LKS_LOG_ERROR = 1, LKS_LOG_WARN = 2, LKS_LOG_INFO = 3, LKS_LOG_DEBUG = 4 };

typedef void(LKS_CALL* lks_range_fn)(void* arg, int64_t begin, int64_t end);

/* Filled by the host, valid until driver_close returns. All entries may be called from any thread. A driver uses an
 * entry that is newer than ABI 1.0 only if LKS_HAS_FIELD(host, entry). */
typedef struct lks_host_api {
  lks_header hdr;
  uint32_t abi_major;
  uint32_t abi_minor;
  void* host; /* first argument of every entry */

  void(LKS_CALL* log)(void* host, uint32_t level, const char* component, const char* text);
  /* Copies the value of the option `key` (such as "cpu.isa") to buf, truncated to `size` bytes including the NUL.
   * Returns the full length of the value, or -1 if the option is not set. Drivers never read the environment. */
  int64_t(LKS_CALL* get_option)(void* host, const char* key, char* buf, uint64_t size);
  /* Runs fn over [0, n) in chunks of at least `grain`, on the thread pool that the application chose. Returns when all
   * chunks are done. fn must not throw. Nested calls run on the calling thread. */
  void(LKS_CALL* parallel_for)(void* host, int64_t n, int64_t grain, lks_range_fn fn, void* arg);
  uint32_t(LKS_CALL* thread_count)(void* host); /* of parallel_for; in kernel_prepare at least the application's */
  /* Called before each native allocation, map, submit, compile and wait; `site` is a literal such as
   * "cpu.buffer_alloc". If the result is not LKS_OK, the driver behaves as if the native call had failed with it, and
   * names the site in diag.what. */
  lks_status(LKS_CALL* fault_point)(void* host, uint32_t kind, const char* site);
} lks_host_api;

/* ----------------------------------------------------------------------------------------------- device description */

enum { LKS_DEVICE_CPU = 1, LKS_DEVICE_GPU = 2, LKS_DEVICE_INTEGRATED_GPU = 3, LKS_DEVICE_ACCELERATOR = 4 };

/* Capability bits. If a bit is set, get_group returns that group's table, with every slot filled that the group had in
 * its first version. Optional groups stay optional for the whole major version. The table of LKS_CAP_IMPORT_EXPORT is
 * at the end of this file, the others are in driver_provisional.h. */
enum {
  LKS_CAP_GRAPH = 1 << 0,
  LKS_CAP_PEER = 1 << 1,
  LKS_CAP_IMPORT_EXPORT = 1 << 2,
  LKS_CAP_TIMESTAMPS = 1 << 3,
  LKS_CAP_KERNEL_SERIALIZATION = 1 << 4,
  LKS_CAP_HOST_CALL = 1 << 5,
  LKS_CAP_REGION_COMPILE = 1 << 6,
  LKS_CAP_COLLECTIVES = 1 << 7,
  LKS_CAP_INLINE_QUEUE = 1 << 8, /* has no group. A command is done when its call returns, and several threads may call
                                   one queue at once. The values of commands need not increase and may be 0. A command
                                   fails in its call, never later. queue_wait blocks until its value is reached */
  LKS_CAP_COPIES_WRITES = 1 << 9 /* since ABI 1.1; has no group. When queue_write returns, it has copied the host's
                                    bytes, even if the command runs later. Inline queues need not say so */
};

enum { LKS_HEAP_DEVICE_LOCAL = 1, LKS_HEAP_HOST_VISIBLE = 2, LKS_HEAP_HOST_CACHED = 4 };

typedef struct lks_heap {
  uint64_t bytes;
  uint32_t flags;
  uint32_t reserved;
} lks_heap;

/* Describes one listed device; querying it opens nothing. `status` is LKS_OK, or says (with `reason`) why the device
 * cannot be opened. */
typedef struct lks_device_info {
  lks_header hdr;
  lks_status status;
  int32_t type;                 /* LKS_DEVICE_* */
  uint64_t capabilities;        /* LKS_CAP_* */
  uint32_t math_modes;          /* bit 1 << LKS_MODE_* for each mode offered */
  uint32_t max_rank;            /* must be LKS_MAX_RANK; see "Ranks" at lks_kernel_desc */
  uint32_t compute_units;
  uint32_t heap_count;
  lks_heap heaps[4];            /* heap 0 is the default */
  uint64_t min_alignment;       /* of every buffer; a power of two, at least 16 */
  uint64_t max_allocation;
  uint64_t max_tensor_bytes;    /* 0: no limit below max_allocation */
  uint8_t uuid[16];             /* equal if two drivers expose the same physical device; zero if unknown */
  char name[128];
  char vendor[64];
  char version[96];             /* of the vendor driver or library, and the instruction set if it matters */
  char reason[256];
} lks_device_info;

/* ------------------------------------------------------------------------------------------------ tensors and programs */

enum {
  LKS_LAYOUT_STRIDED = 0,       /* any other value is an opaque layout that only the driver knows; its reorder kernels
                                   (op `copy` between a strided and an opaque tensor) write and read it */
  LKS_TENSOR_HOST_RESIDENT = 1, /* flag: the input is in host-visible memory */
  LKS_TENSOR_OPTIONAL_ABSENT = 2 /* flag: this optional input is not given; nothing is bound to it */
};

typedef struct lks_tensor_desc {
  lks_header hdr;
  lks_dtype dtype;
  int32_t rank;
  int64_t dims[LKS_MAX_RANK];    /* the product of all that are not 0, times the size of an element, is below 2^63 */
  int64_t strides[LKS_MAX_RANK]; /* in elements; may be 0 or negative; ignored at extent 1; dense in an empty tensor */
  uint64_t alignment;            /* the first element's address is a multiple of this power of two */
  uint32_t layout;
  uint32_t flags;
  uint64_t opaque_bytes;         /* the tensor's size in a driver-opaque layout */
} lks_tensor_desc;

/* Core opcodes. Floating add, sub, mul, div and sqrt are IEEE round-to-nearest-even with gradual underflow, never
 * contracted. Integers wrap; x / 0 is 0 and MIN / -1 is MIN; a shift count is taken modulo the width. */
enum {
  LKS_INSTR_INPUT = 1,     /* imm: program input index */
  LKS_INSTR_SCALAR = 2,    /* imm: index into lks_launch.scalars */
  LKS_INSTR_CONST = 3,     /* imm: the bits */
  LKS_INSTR_INDEX = 4,     /* logical index along axis imm of the output, as i64 */
  LKS_INSTR_LINEAR = 5,    /* row-major logical index in the output, as i64 */
  LKS_INSTR_CALL = 6,      /* imm: index into lks_program.functions; result is that function's only output */
  LKS_INSTR_ADD = 16, LKS_INSTR_SUB = 17, LKS_INSTR_MUL = 18, LKS_INSTR_DIV = 19,
  LKS_INSTR_SQRT = 20, LKS_INSTR_NEG = 21, LKS_INSTR_ABS = 22, /* neg, abs of floats change only the sign bit */
  LKS_INSTR_LT = 32, LKS_INSTR_LE = 33, LKS_INSTR_EQ = 34, LKS_INSTR_NE = 35, /* bool; with NaN only ne is true */
  LKS_INSTR_SELECT = 36,   /* args: bool, if true, if false */
  LKS_INSTR_CONVERT = 37,  /* value conversion: narrowing rounds to nearest even once; float to integer truncates and
                              saturates, NaN gives 0; integer to integer wraps; to bool: != 0 */
  LKS_INSTR_BITCAST = 38,  /* same width */
  LKS_INSTR_AND = 48, LKS_INSTR_OR = 49, LKS_INSTR_XOR = 50, LKS_INSTR_NOT = 51, /* integers and bool */
  LKS_INSTR_SHL = 52, LKS_INSTR_SHR = 53, /* SHR is arithmetic for signed types, logical for unsigned */
  LKS_INSTR_MULHI = 54     /* upper half of the u32 product */
};

typedef struct lks_instr {
  uint32_t opcode;
  lks_dtype dtype;         /* of the result */
  uint32_t args[3];        /* indices of earlier instructions */
  uint32_t reserved;
  uint64_t imm;
} lks_instr;

/* A short list of instructions in SSA form. It computes one element of each output from one element of each input.
 * Instruction i defines value i. */
typedef struct lks_program {
  lks_header hdr;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t instr_count;
  uint32_t function_count;
  const lks_dtype* input_dtypes;
  const lks_instr* instrs;
  const uint32_t* outputs;               /* indices of the values that are outputs */
  const struct lks_function* functions;
} lks_program;

/* A named scalar function always has a body in core opcodes. A driver that does not know this name and version runs
 * the body and gets the same bits. */
typedef struct lks_function {
  const char* name;        /* such as "exp" */
  uint32_t version;
  uint32_t reserved;
  const lks_program* body;
} lks_function;

/* ------------------------------------------------------------------------------------------------------------ kernels */

#define LKS_FROM_PROGRAM 0x80000000u /* or-ed with an index into lks_kernel_desc.programs */
#define LKS_ROOT_RESULT 0x40000000u  /* or-ed with a result index of the root op */

/* A pointwise program attached to the root op. For the op `pointwise` the only program is the body: its inputs and
 * outputs are the kernel's, in the same order. If no kernel can run a program, the driver refuses with
 * LKS_REASON_PROGRAM. */
typedef struct lks_attached_program {
  const lks_program* program;
  const uint32_t* inputs;  /* one for each program input: a kernel input index, or LKS_ROOT_RESULT | k (epilogue) */
  const uint32_t* outputs; /* one for each program output: a kernel output index; NULL for a prologue, whose only
                              output feeds the root operand that names it */
} lks_attached_program;

/* The output is written in place of this input, which has the same dtype, dims and strides. The host requests this for
 * pointwise programs. The driver refuses with LKS_REASON_ALIAS if its kernel would read an element after overwriting
 * it, or if the two tensors do not match. */
typedef struct lks_alias {
  uint32_t output;
  uint32_t input;
} lks_alias;

/* One root op with optional programs on its operands and results. An input may be a view with any strides that begins
 * at any element. If the driver refuses an input with LKS_REASON_LAYOUT, the host copies it; the copy is dense and
 * aligned to min_alignment, as outputs are that are not in place of an input; no kernel may require more. The op `copy`
 * makes that copy, and also writes parts of tensors. So `copy` alone must accept any strides and any first element.
 *
 * Ranks. A kernel accepts tensors of every rank that its op accepts (driver_ops.h), up to the device's max_rank. A
 * driver that cannot do this for some op refuses the rank with LKS_REASON_RANK; diag.operand is an operand of that
 * rank, or -1. The host then decomposes the op. Core kernels have no decomposition: there the caller's call fails, and
 * so does certification, if a required case has that rank. A rank below 0 or above LKS_MAX_RANK is always refused. */
typedef struct lks_kernel_desc {
  lks_header hdr;
  uint32_t op;             /* LKS_OP_* of driver_ops.h; LKS_OP_NAMED for an op that only op_name identifies */
  uint32_t op_version;     /* schema version of op and attributes */
  const char* op_name;     /* such as "conv2d" or "acme::norm" */
  const void* attrs;       /* the op's attribute struct of driver_ops.h; NULL if it has none */
  uint32_t attrs_size;
  uint32_t math_mode;
  uint32_t input_count;
  uint32_t output_count;
  const lks_tensor_desc* inputs;
  const lks_tensor_desc* outputs;
  uint32_t scalar_count;
  uint32_t program_count;
  const lks_dtype* scalar_dtypes; /* of lks_launch.scalars. `pointwise`: LKS_INSTR_SCALAR counts them; other ops: the
                                     scalars that driver_ops.h names, in that order */
  const lks_attached_program* programs;
  const uint32_t* operands; /* root operand i: an input index or LKS_FROM_PROGRAM | p; NULL: operand i is input i */
  uint32_t operand_count;   /* 0 for `pointwise` */
  uint32_t alias_count;
  const uint32_t* results;  /* root result i: an output index, or LKS_FROM_PROGRAM if only an epilogue reads it;
                               NULL: result i is output i */
  const lks_alias* aliases;
} lks_kernel_desc;

/* The properties of one tensor that a prepared kernel depends on. The host reuses the kernel for every call that agrees
 * in these properties and in op, attributes, dtypes, ranks, layouts, programs and math mode. */
typedef struct lks_operand_deps {
  uint32_t dims;            /* bit i: the extent of dimension i */
  uint32_t strides;         /* bit i: the exact stride of dimension i */
  uint32_t stride_classes;  /* bit i: whether stride i is 0, 1 or neither, and whether dim i is 1 */
  uint32_t dense;           /* 1: whether the tensor is dense row-major; an empty tensor is, and has dense strides */
  uint64_t alignment;       /* larger alignments make no difference; 0 or 1: alignment does not matter */
  uint32_t preferred_layout;/* a driver-opaque layout that would be faster; 0: none */
  uint32_t reserved;
  uint64_t preferred_bytes; /* size of the tensor in that layout */
} lks_operand_deps;

enum { LKS_ORDER_UNSPECIFIED = 0, LKS_ORDER_SEQUENTIAL = 1, LKS_ORDER_BLOCKED = 2, LKS_ORDER_PAIRWISE = 3 };
/* RUN_TO_RUN: the same kernel on the same bytes gives the same bits in every run with the same number of threads.
 * CROSS_DEVICE: it gives the same bits on every device. Only a fast-mode kernel may be NONE: strict and lockstep
 * kernels are at least RUN_TO_RUN. */
enum { LKS_DETERMINISM_NONE = 0, LKS_DETERMINISM_RUN_TO_RUN = 1, LKS_DETERMINISM_CROSS_DEVICE = 2 };

typedef struct lks_kernel_info {
  lks_header hdr;
  char variant[64];             /* names the implementation, with the version of its library if it has one */
  uint64_t workspace_bytes;     /* of the workspace that is bound at each launch; its contents are undefined */
  float max_ulp;                /* claim for elementwise results: error in units in the last place; 0: no claim */
  float gamma_factor;           /* claim for sums: error <= factor * gamma(n) * sum of magnitudes; 0: no claim */
  lks_dtype accumulate_dtype;
  uint32_t order;               /* LKS_ORDER_* of a sum */
  uint32_t determinism;         /* LKS_DETERMINISM_* */
  uint32_t reserved;
  double cost_flops;            /* hints; 0 if unknown */
  double cost_bytes;
  lks_operand_deps* deps;       /* the caller's array, input_count + output_count long, zeroed by the host; or NULL */
} lks_kernel_info;

/* A tensor at launch. Its first element is `offset` elements from the buffer's start. */
typedef struct lks_binding {
  lks_buffer* buffer;       /* NULL for an absent optional input */
  int64_t offset;
  const int64_t* dims;      /* of the prepared rank; NULL if the layout is opaque */
  const int64_t* strides;
} lks_binding;

typedef struct lks_launch {
  lks_header hdr;
  lks_kernel* kernel;
  const lks_binding* bindings;  /* inputs, then outputs */
  const uint64_t* scalars;      /* bits of each scalar in its dtype, from the lowest bit on; ignore the others. The host
                                   has converted the number to that dtype once, as LKS_INSTR_CONVERT does */
  lks_buffer* workspace;        /* at least workspace_bytes from workspace_offset, aligned to min_alignment */
  uint64_t workspace_offset;
  uint32_t binding_count;
  uint32_t scalar_count;
} lks_launch;

/* ------------------------------------------------------------------------------------------------------- the driver table */

/* A transfer queue copies in parallel with compute queues if the hardware can. It may refuse launches
 * (LKS_UNSUPPORTED). queue_create refuses a kind that the driver does not know (LKS_UNSUPPORTED, LKS_REASON_EXTENSION). */
enum { LKS_QUEUE_COMPUTE = 0, LKS_QUEUE_TRANSFER = 1 };
enum { LKS_DRIVER_UNLOADABLE = 1, LKS_DRIVER_NEEDS_MAIN_THREAD = 2 };
enum { LKS_SANITIZER_NONE = 0, LKS_SANITIZER_ADDRESS = 1, LKS_SANITIZER_THREAD = 2, LKS_SANITIZER_MEMORY = 3 };

/* Static and immutable; the entry function returns it. The host copies it, and treats slots that are absent as NULL. */
typedef struct lks_driver_api {
  lks_header hdr;
  uint32_t abi_major;
  uint32_t abi_minor;
  const char* name;         /* prefix of device names: "cpu" gives "cpu:0" */
  const char* vendor;
  const char* version;
  const char* build_id;     /* compiler and flags of the build */
  uint32_t flags;           /* LKS_DRIVER_* */
  uint32_t sanitizer;       /* LKS_SANITIZER_*; the host refuses a driver whose sanitizer is not its own */
  int32_t priority;         /* of several available drivers of one name, the one with the highest is used */
  uint32_t reserved;

  /* -- driver. driver_open touches no device. `host` outlives the driver. If the machine cannot use the driver at all,
   *    driver_open returns LKS_UNAVAILABLE with the cause in diag.what ("no CUDA driver: libcuda.so.1 not found").
   *    With LKS_DRIVER_UNLOADABLE, driver_close joins every thread, and the library may be unloaded afterwards.
   *    Without it, threads may stay and wait for work. */
  lks_status(LKS_CALL* driver_open)(const lks_host_api* host, lks_driver** out, lks_diag* diag);
  void(LKS_CALL* driver_close)(lks_driver* driver);
  uint32_t(LKS_CALL* device_count)(lks_driver* driver);
  /* [out] The host sets info->hdr.size, and the driver fills the fields within it. Allocates nothing on the device. */
  lks_status(LKS_CALL* device_describe)(lks_driver* driver, uint32_t ordinal, lks_device_info* info, lks_diag* diag);
  /* The group's table for one LKS_CAP_* bit, or NULL if the driver has none. Valid until driver_close. */
  const void*(LKS_CALL* get_group)(lks_driver* driver, uint64_t capability);

  /* -- device. A device is opened at most once at a time. All its queues, buffers, timelines and kernels are destroyed
   *    before device_close. */
  lks_status(LKS_CALL* device_open)(lks_driver* driver, uint32_t ordinal, lks_device** out, lks_diag* diag);
  void(LKS_CALL* device_close)(lks_device* device);
  /* Free and total bytes of a heap. `device` may be NULL; returns LKS_UNAVAILABLE if the answer then needs an open
   * device. */
  lks_status(LKS_CALL* device_memory)(lks_driver* driver, uint32_t ordinal, lks_device* device, uint32_t heap,
                                      uint64_t* total, uint64_t* free_bytes, lks_diag* diag);
  /* LKS_OK, or LKS_DEVICE_LOST with the cause. */
  lks_status(LKS_CALL* device_health)(lks_device* device, lks_diag* diag);

  /* -- memory. Raw blocks: the host caches them, splits them and enforces limits. Size > 0. Contents are undefined.
   *    The driver need not check bounds, except that buffer_map refuses ranges outside the buffer.
   *    buffer_free: no queued command may still use the buffer.
   *    buffer_map: a host pointer to [offset, offset + bytes), valid until buffer_unmap; LKS_UNSUPPORTED for heaps
   *    without LKS_HEAP_HOST_VISIBLE. The host orders its accesses against the queues. A buffer may be mapped several
   *    times at once. */
  lks_status(LKS_CALL* buffer_alloc)(lks_device* device, uint32_t heap, uint64_t bytes, lks_buffer** out,
                                     lks_diag* diag);
  void(LKS_CALL* buffer_free)(lks_device* device, lks_buffer* buffer);
  lks_status(LKS_CALL* buffer_map)(lks_device* device, lks_buffer* buffer, uint64_t offset, uint64_t bytes, void** out,
                                   lks_diag* diag);
  void(LKS_CALL* buffer_unmap)(lks_device* device, lks_buffer* buffer);

  /* -- queues: in order, and asynchronous unless LKS_CAP_INLINE_QUEUE. Every command returns, in *value, a value of the
   *    queue's own timeline. It is above all earlier values (not necessarily the next). The command is complete when
   *    the timeline reaches it. If the call returns a failure, the command was not enqueued and touched no memory.
   *    If an enqueued command fails, the timeline fails at its value. Unless the device is lost, that command has
   *    written none of its outputs, and every later command of the queue is skipped until queue_recover.
   *    The host keeps the memory that a command names (and the host memory of queue_read and queue_write) valid until
   *    the command's value is reached; if the command failed or was skipped, until queue_recover or queue_destroy has
   *    returned. With LKS_CAP_COPIES_WRITES, the host memory of a queue_write is valid only until the call returns.
   *    Commands of 0 bytes are allowed and move nothing. */
  lks_status(LKS_CALL* queue_create)(lks_device* device, uint32_t kind, lks_queue** out, lks_timeline** timeline,
                                     lks_diag* diag);
  void(LKS_CALL* queue_destroy)(lks_queue* queue); /* idle queues only; destroys its timeline too */
  /* The launches are one unit: either all are enqueued, with one value, or none is. They run in order, each after the
   * previous one. If one fails because of its data, diag.launch says which; earlier ones may have written their
   * outputs, it and later ones have not. */
  lks_status(LKS_CALL* queue_launch)(lks_queue* queue, const lks_launch* launches, uint32_t count, uint64_t* value,
                                     lks_diag* diag);
  /* Copies bytes between buffers of one device, or of peers if LKS_CAP_PEER allows it. The ranges do not overlap. */
  lks_status(LKS_CALL* queue_copy)(lks_queue* queue, lks_buffer* dst, uint64_t dst_offset, lks_buffer* src,
                                   uint64_t src_offset, uint64_t bytes, uint64_t* value, lks_diag* diag);
  lks_status(LKS_CALL* queue_write)(lks_queue* queue, lks_buffer* dst, uint64_t offset, const void* src, uint64_t bytes,
                                    uint64_t* value, lks_diag* diag);
  lks_status(LKS_CALL* queue_read)(lks_queue* queue, void* dst, lks_buffer* src, uint64_t offset, uint64_t bytes,
                                   uint64_t* value, lks_diag* diag);
  /* Repeats the low `pattern_bytes` (1, 2, 4 or 8) bytes of `pattern`; offset and bytes are multiples of it. */
  lks_status(LKS_CALL* queue_fill)(lks_queue* queue, lks_buffer* dst, uint64_t offset, uint64_t bytes, uint64_t pattern,
                                   uint32_t pattern_bytes, uint64_t* value, lks_diag* diag);
  /* Later commands of the queue start after `timeline` (of any device of this driver) reaches `value`. The wait may
   * come before the signal. If that timeline fails, the wait fails with the same diag (but launch 0), as a command
   * does: the queue's timeline fails at a value above those of the commands before the wait and at most that of the
   * next command. The timeline outlives the wait. */
  lks_status(LKS_CALL* queue_wait)(lks_queue* queue, lks_timeline* timeline, uint64_t value, lks_diag* diag);
  lks_status(LKS_CALL* queue_flush)(lks_queue* queue, lks_diag* diag); /* submits recorded work to the device */
  /* Makes a failed queue usable again. Blocks until no enqueued command is in flight: after it returns, none of them
   * runs, touches memory or fails, and a failure that occurred meanwhile is not reported any more. *last is the newest
   * value that the queue has returned. The timeline is then at *last and has not failed: timeline_query reports this,
   * and timeline_wait returns LKS_OK for every value up to *last. The host remembers which commands failed. Later
   * commands run. On a queue that had not failed, no command is lost. Other queues have no part in this: their commands
   * are neither waited for nor lost. LKS_DEVICE_LOST if recovery is impossible. */
  lks_status(LKS_CALL* queue_recover)(lks_queue* queue, uint64_t* last, lks_diag* diag);

  /* -- timelines: monotonic 64-bit counters. Any thread may call these at any time.
   *    Failed waits. A native wait can fail (or a fault is injected before it) while the device works on. That is not
   *    the failure of a command, and it must not be lost.
   *    - A wait until commands are done, in timeline_wait or on a thread of the driver: exactly one call of
   *      timeline_wait for that timeline, present or future, returns the failure, with diag.value 0, even if its value
   *      has been reached meanwhile. Nothing else changes: the timeline has not failed, the commands run on, and a
   *      thread of the driver waits again. The host keeps what the commands name valid, and may wait again. If a queue
   *      waits for that timeline (queue_wait), its wait may get the failure in place of a call; see the next case.
   *    - A wait that the driver carries out for queue_wait, while later commands of the queue are held back: as above,
   *      or the driver fails the queue's timeline at the value of the wait, as if the other timeline had failed. Then
   *      the host sees the failure of a command (diag.value is not 0): later commands are skipped until queue_recover.
   *    The loss of the device is not a failed wait. It is sticky (LKS_DEVICE_LOST). */
  lks_status(LKS_CALL* timeline_create)(lks_device* device, lks_timeline** out, lks_diag* diag); /* starts at 0 */
  void(LKS_CALL* timeline_destroy)(lks_timeline* timeline);
  /* Returns LKS_OK, and in *reached the value reached. On a failed timeline: the failure's code and diag (with
   * diag.value set), and in *reached the last value that succeeded. */
  lks_status(LKS_CALL* timeline_query)(lks_timeline* timeline, uint64_t* reached, lks_diag* diag);
  /* Returns LKS_OK once `value` is reached, even if the timeline failed beyond it; or the failure, with its value in
   * diag.value; or LKS_TIMEOUT, no earlier than timeout_ns (~0: never) and at most half a second later, even if
   * timeout_ns is only a few ms. If the wait itself fails, returns that failure with diag.value 0 (see "Failed waits").
   * A value above all that an asynchronous queue has given out may be waited for too: it is not reached yet.
   * Flushes the queue that the timeline belongs to. */
  lks_status(LKS_CALL* timeline_wait)(lks_timeline* timeline, uint64_t value, uint64_t timeout_ns, lks_diag* diag);
  /* Advances the timeline to `value`. If `failure` is not NULL, fails the timeline there instead, with a copy of all of
   * `failure` but its header and its value. Returns LKS_INVALID_ARGUMENT and changes nothing if `value` is not above
   * the value reached, if the timeline has failed, or if it belongs to a queue. */
  lks_status(LKS_CALL* timeline_signal)(lks_timeline* timeline, uint64_t value, const lks_diag* failure,
                                        lks_diag* diag);

  /* -- kernels. Query and prepare read the same table of the driver: after kernel_query returns LKS_OK, kernel_prepare
   *    fails only if a resource is missing. kernel_query needs no open device, returns LKS_OK or LKS_UNSUPPORTED
   *    (diag.reason, diag.operand), and fills *info. Kernels are immutable and shared by all queues of the device. */
  lks_status(LKS_CALL* kernel_query)(lks_driver* driver, uint32_t ordinal, const lks_kernel_desc* desc,
                                     lks_kernel_info* info, lks_diag* diag);
  lks_status(LKS_CALL* kernel_prepare)(lks_device* device, const lks_kernel_desc* desc, lks_kernel** out,
                                       lks_kernel_info* info, lks_diag* diag);
  void(LKS_CALL* kernel_release)(lks_device* device, lks_kernel* kernel); /* no queued launch may still use it */
  /* The index-th variant name that the driver has for an op; NULL past the end. lks_kernel_info.variant is one of them,
   * or one of them followed by a space and details, such as a library's version. */
  const char*(LKS_CALL* kernel_variant)(lks_driver* driver, uint32_t op, uint32_t index);
} lks_driver_api;

/* LKS_CAP_IMPORT_EXPORT: buffers over memory of others. A host pointer is a multiple of min_alignment. Its bytes are only
 * read: they may be write-protected, and what is behind them unreadable. The host keeps them valid and unchanged until
 * buffer_free, which leaves them alone. LKS_UNSUPPORTED for other kinds, or if the device cannot read the memory. */
enum { LKS_HANDLE_HOST_POINTER = 1 };
typedef struct lks_import_export_group {
  lks_header hdr;
  lks_status(LKS_CALL* buffer_import)(lks_device* device, uint32_t kind, uint64_t handle, uint64_t bytes,
                                      lks_buffer** out, lks_diag* diag);
} lks_import_export_group;

/* The only exported symbol. It starts no thread, touches no device and keeps no state. Returns LKS_ABI_MISMATCH if the
 * host's minor version is older than the driver needs, or if the host's table lacks entries that the driver needs. */
typedef lks_status(LKS_CALL* lks_driver_entry_fn)(const lks_host_api* host, const lks_driver_api** out, lks_diag* diag);
LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                   lks_diag* diag);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOCKSTEP_DRIVER_H_ */
