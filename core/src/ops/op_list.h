/* op_list.h - the one list of operators. Adding one: a line here, its family's file, its family's test.
 *
 * X(NAME): the enum NAC_OP_NAME, the plain loop nac_run_NAME and the entry nac_ops[NAC_OP_NAME].
 *
 *   op             inputs            output                        attributes (nac_node.u)
 *   CONV           x, w, [bias]      [N,OH,OW,Co]                  conv. x [N,H,W,Ci], w [Co,kh,kw,Ci/groups], bias [Co]
 *   CONV_GRAD      dy, w             dx, shape of x                conv, of the forward node; forward it is a ConvTranspose
 *   MATMUL         a, b, [bias]      [...,M,N]                     matmul. a [...,M,K] (or [...,K,M] when transpose_a),
 *                                                                  b [...,K,N] (or [...,N,K]); leading dims equal, or b
 *                                                                  has rank 2; bias [N]
 *   AFFINE         x, scale, bias    shape of x                    per channel (last dim C): x * scale[C] + bias[C]
 *   UNARY          x                 shape of x                    unary: kind, with a and b
 *   UNARY_GRAD     x, dy             shape of x                    unary, of the forward node: dy * f'(x)
 *   CLAMP_GRAD     y, dy             shape of y                    dy where node.min < y < node.max, else 0
 *   BINARY         a, b              broadcast shape               binary: kind. Same rank, each dim equal or 1
 *   MAX_POOL       x                 [N,OH,OW,C]                   pool. padding never wins
 *   MAX_POOL_GRAD  x, y, dy          shape of x                    pool. the first maximum in window order takes dy
 *   AVERAGE_POOL   x                 [N,OH,OW,C]                   pool
 *   AVERAGE_POOL_GRAD dy             shape of x                    pool
 *   REDUCE         x                 x with dims 1 at `axes`       reduce: scale * sum over axes
 *   EXPAND         x                 any that x broadcasts to      expand: scale * x repeated
 *   SOFTMAX        x                 shape of x                    softmax: over one axis
 *   SOFTMAX_GRAD   y, dy             shape of y                    softmax: y * (dy - sum(y * dy))
 *   LAYER_NORM     x, scale, bias    shape of x                    layer_norm: over the last dim C, biased variance + epsilon;
 *                                                                  then scale [C] and bias [C]
 *   LAYER_NORM_GRAD x, dy, scale     shape of x                    layer_norm, of the forward node
 *   RESHAPE        x                 same elements                 none; shares x's memory
 *   TRANSPOSE      x                 dims[perm[i]]                 transpose
 *   CONCAT         x0, x1, ...       joined along axis             concat
 *   SLICE          x                 sizes of the slice            slice: x[starts[i] + k * steps[i]], steps >= 1
 *   PAD            x                 any                           pad: zeros of `value`, x[k] at before[i] + k * steps[i]
 *                                                                  (steps >= 1, before >= 0): SLICE's gradient
 *   GATHER         x, index          x with dim count at axis      gather: y[..., i, ...] = x[..., index[i], ...]; index [count] is a constant
 *                                                                  of integers, each in [0, size)
 *   SCATTER        x, index          any dim >= 1 at axis          gather: zeros, and y[..., index[i], ...] += x[..., i, ...]
 *   WHERE          c, a, b           broadcast shape               none: a where c != 0, else b. Same rank, each dim equal or 1
 *   LOGITS_GRAD    logits            [N,K]                         softmax(logits) - 1/K, the root of every gradient
 */
#ifndef NAC_OP_LIST_H
#define NAC_OP_LIST_H

#define NAC_OP_LIST(X) \
    X(CONV)            \
    X(CONV_GRAD)       \
    X(MATMUL)          \
    X(AFFINE)          \
    X(UNARY)           \
    X(UNARY_GRAD)      \
    X(CLAMP_GRAD)      \
    X(BINARY)          \
    X(MAX_POOL)        \
    X(MAX_POOL_GRAD)   \
    X(AVERAGE_POOL)    \
    X(AVERAGE_POOL_GRAD) \
    X(REDUCE)          \
    X(EXPAND)          \
    X(SOFTMAX)         \
    X(SOFTMAX_GRAD)    \
    X(LAYER_NORM)      \
    X(LAYER_NORM_GRAD) \
    X(RESHAPE)         \
    X(TRANSPOSE)       \
    X(CONCAT)          \
    X(SLICE)           \
    X(PAD)             \
    X(GATHER)          \
    X(SCATTER)         \
    X(WHERE)           \
    X(LOGITS_GRAD)

typedef enum nac_op {
#define X(name) NAC_OP_##name,
    NAC_OP_LIST(X)
#undef X
    NAC_OP_COUNT
} nac_op;

/* f(x), with a and b where the formula has them. CLAMP is Relu, Relu6 and Clip: fusion turns it into its producer's
 * min and max. Its derivative at the bounds is 0, as PyTorch's relu and relu6 have it. */
#define NAC_UNARY_LIST(X)                                              \
    X(CLAMP)        /* min(max(x, a), b) */                            \
    X(LEAKY_RELU)   /* x >= 0 ? x : a x */                             \
    X(ELU)          /* x > 0 ? x : a (exp(x) - 1) */                   \
    X(SIGMOID)                                                         \
    X(HARD_SIGMOID) /* min(max(a x + b, 0), 1) */                      \
    X(HARD_SWISH)   /* x min(max(x / 6 + 1/2, 0), 1) */                \
    X(TANH)                                                            \
    X(ERF)                                                             \
    X(EXP)                                                             \
    X(LOG)                                                             \
    X(SQRT)                                                            \
    X(ABS)                                                             \
    X(NEG)                                                             \
    X(RECIPROCAL)                                                      \
    X(POW)          /* x^a */                                          \
    X(SIN)                                                             \
    X(COS)                                                             \
    X(SIGN)                                                            \
    X(FLOOR)                                                           \
    X(CEIL)                                                            \
    X(ROUND)        /* halves to even */                               \
    X(SOFTPLUS)     /* log(1 + exp(x)) */                              \
    X(SWISH)        /* x sigmoid(x) */                                 \
    X(GELU)         /* a x (1 + erf(x / sqrt(2))) */                   \
    X(GELU_TANH)    /* a x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */

typedef enum nac_unary {
#define X(name) NAC_UNARY_##name,
    NAC_UNARY_LIST(X)
#undef X
} nac_unary;

enum {
#define X(name) +1
    NAC_UNARY_COUNT = 0 NAC_UNARY_LIST(X)
#undef X
};

/* Comparisons are 1 where they hold and 0 elsewhere. */
typedef enum nac_binary {
    NAC_BINARY_ADD, NAC_BINARY_SUB, NAC_BINARY_MUL, NAC_BINARY_DIV, NAC_BINARY_MAX, NAC_BINARY_MIN,
    NAC_BINARY_GREATER, NAC_BINARY_NOT_LESS, NAC_BINARY_EQUAL,
    NAC_BINARY_COUNT
} nac_binary;

#endif
