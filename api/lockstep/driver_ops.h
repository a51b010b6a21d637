#define LKS_OP_NAMED 0u
#define LKS_OP_POINTWISE 1u
