// Which items an invocation processes if it processes several: eight neighbours share runs of eight items, and each
// takes one item of every run, so that their accesses are adjacent. lavapipe's vectors have eight elements.
#define RUN_LENGTH 8
#define RUN_LANE (gl_LocalInvocationIndex % RUN_LENGTH)
// A macro, since the size of the workgroup is declared after includes.
#define FIRST_IN_RUNS(per_invocation) ((ITEM_NUMBER - RUN_LANE) * (per_invocation) + RUN_LANE)
