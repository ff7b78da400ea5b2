#include "ops/ops.h"

/* Operators that only a backward pass holds are never differentiated again. */
#define nac_gradient_UNARY_GRAD NULL
#define nac_gradient_CLAMP_GRAD NULL
#define nac_gradient_MAX_POOL_GRAD NULL
#define nac_gradient_AVERAGE_POOL_GRAD NULL
#define nac_gradient_SOFTMAX_GRAD NULL
#define nac_gradient_LAYER_NORM_GRAD NULL
#define nac_gradient_LOGITS_GRAD NULL

const nac_op_entry nac_ops[NAC_OP_COUNT] = {
#define X(NAME) [NAC_OP_##NAME] = {#NAME, nac_run_##NAME, nac_gradient_##NAME},
    NAC_OP_LIST(X)
#undef X
};
