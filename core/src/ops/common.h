/* common.h - what the operator families share: the numbers of a value, the clamp, walking broadcast tensors. */
#ifndef NAC_OPS_COMMON_H
#define NAC_OPS_COMMON_H

#include <math.h>

#include "ops/ops.h"

/* Channels that a loop sums at once, in doubles on the stack: with them innermost every family's loop runs along
 * memory and the compiler makes vectors of it, and no operator needs scratch memory. */
enum { NAC_BLOCK = 64 };

static inline float *nac_data(const nac_graph *graph, int value) { return graph->values[value].data; }

static inline int nac_min_int(int a, int b) { return a < b ? a : b; }

/* y clamped to the node's [min, max]. NaN stays NaN, so that a session can report it. */
static inline float nac_clamp(float y, float min, float max) {
    y = y < min ? min : y;
    return y > max ? max : y;
}

/* ---- Walking ----------------------------------------------------------------------------------- */

/* Counts through sizes[0..rank) in row-major order and keeps the offset, in elements, into up to three tensors:
 *   nac_walk walk = nac_walk_make(rank, sizes);
 *   nac_walk_strides(&walk, 0, &shape);
 *   do { ... x[walk.offset[0]] ... } while (nac_walk_next(&walk));
 * The sizes are all >= 1, so there is always a first element. Offsets fit an int: a tensor is under 2 GiB. */
typedef struct nac_walk {
    int rank, sizes[NAC_MAX_RANK], index[NAC_MAX_RANK];
    int strides[3][NAC_MAX_RANK], offset[3];
} nac_walk;

nac_walk nac_walk_make(int rank, const int *sizes);

/* Strides of a dense tensor of this shape, whose leading walk->rank dims are walked: 0 where its dim is 1. */
void nac_walk_strides(nac_walk *walk, int tensor, const nac_shape *shape);

/* False, and back at the first element, after the last one. */
bool nac_walk_next(nac_walk *walk);

/* The same dims behind leading ones, so that shapes of different rank can be compared dim by dim. */
nac_shape nac_shape_aligned(const nac_shape *shape, int rank);

/* ---- Gradients --------------------------------------------------------------------------------- */

/* *result = scale * value, summed over the dims that broadcasting had added to get from `target`'s shape to value's.
 * `value` itself where there is nothing to do. */
nac_status nac_emit_reduced_like(nac_graph *graph, const char *name, int value, int target, float scale, int *result,
                                 nac_error *error);

/* The answer to a gradient that no translator of this library makes necessary. */
nac_status nac_gradient_refused(const nac_graph *graph, int node, int slot, nac_error *error);

/* ---- Lowering ---------------------------------------------------------------------------------- */

/* nac_lower_input, which must hold float32. */
nac_status nac_lower_float(nac_lowering *lowering, int i, int *value);

/* Input i, which must be known before the first run; in ONNX's own order. */
nac_status nac_lower_constant(nac_lowering *lowering, int i, int *value);

/* Element i of a constant of either type. */
static inline double nac_number_at(const nac_value *value, int i) {
    return value->type == NAC_F32 ? (double)((const float *)value->data)[i] : (double)((const int64_t *)value->data)[i];
}

/* The list of sizes in input i; a list of none is a scalar's shape. */
nac_status nac_lower_sizes(nac_lowering *lowering, int i, int64_t sizes[NAC_MAX_RANK], int *count);

/* The only number of a constant (float or integer) with one element. */
nac_status nac_lower_scalar(nac_lowering *lowering, int value, const char *what, float *number);

/* Constant float32 vector of exactly `count` numbers: its data. Channel constants of Conv and BatchNormalization. */
nac_status nac_lower_vector(nac_lowering *lowering, int value, const char *what, int count, const float **numbers);

/* The logical shape that values broadcast to. */
nac_status nac_lower_broadcast(nac_lowering *lowering, const int *values, int count, nac_shape *shape);

/* Brings values to one rank, with leading ones, and to one memory order: channels last where one of them is an image that lies so. *shape, what
 * they broadcast to, becomes physical. */
nac_status nac_lower_align(nac_lowering *lowering, int *values, int count, nac_shape *shape, nac_layout *layout);

/* A RESHAPE to these row-major dims; the value itself where it has them already. It must be row-major. */
nac_status nac_lower_reshape(nac_lowering *lowering, int value, const nac_shape *shape, int *result);

/* A constant of rank 0. */
nac_status nac_lower_number(nac_lowering *lowering, float number, int *value);

/* A new constant [count], to be filled through *numbers. */
nac_status nac_lower_add_vector(nac_lowering *lowering, int count, int *value, float **numbers);

/* x[start : start + size] along a physical axis: x itself where that is all of it. slice_ops.c. */
nac_status nac_lower_stretch(nac_lowering *lowering, int x, int axis, int start, int size, int *result);

/* Row-major values of one shape, behind each other along a new axis: loop.c. */
nac_status nac_lower_stack(nac_lowering *lowering, const int *values, int count, int axis, int *result);

/* Values behind each other along ONNX's axis, in a memory order that all can have; `values` become what they are in it. slice_ops.c. */
nac_status nac_lower_concat(nac_lowering *lowering, int *values, int count, int64_t axis, int *result);

/* The same of values of one memory order, along a physical axis: slice_ops.c. */
nac_status nac_lower_join(nac_lowering *lowering, const int *values, int count, int axis, int *result);

/* x at these positions of a physical axis, in this order: gather.c. */
nac_status nac_lower_gather(nac_lowering *lowering, int x, int axis, const int *positions, int count, int *result);

/* The same (count >= 1) as slices, where it is only a stretch or two. slice_ops.c. */
nac_status nac_lower_pick(nac_lowering *lowering, int x, int axis, const int *positions, int count, int *result);

/* x * scale[C] + bias[C] over the last physical dim; scale and bias are constants [C]. */
nac_status nac_lower_affine(nac_lowering *lowering, int x, int scale, int bias, int *result);

/* a (kind) b, broadcast as ONNX says across memory orders: binary.c. */
nac_status nac_lower_combine(nac_lowering *lowering, nac_binary kind, int a, int b, int *result);

/* 1 where x, computed from the image, is not 0, and 0 elsewhere: logic.c. */
nac_status nac_lower_truth(nac_lowering *lowering, int x, int *result);

/* a where condition (1 or 0, constant or not) holds, and b elsewhere: logic.c. */
nac_status nac_lower_choose(nac_lowering *lowering, int condition, int a, int b, int *result);

/* The product of matrices as numpy.matmul has it: matmul.c. */
nac_status nac_lower_product(nac_lowering *lowering, int a, int b, int *result);

/* scale * value: a constant at once, as every node with constant inputs; value itself for scale 1. reduce.c. */
nac_status nac_lower_scaled(nac_lowering *lowering, int value, float scale, int *result);

/* The largest number over the physical `axes`, with dims 1 there; the first of equals takes the gradient: reduce.c. */
nac_status nac_lower_maximum(nac_lowering *lowering, int x, const bool *axes, int *result);

/* Whether the numbers along a physical axis are probabilities: softmaxes, or their mean. And the logits whose softmax they are: their logarithms.
 * probabilities.c. */
bool nac_lower_is_probabilities(const nac_graph *graph, int value, int axis);
nac_status nac_lower_log_probabilities(nac_graph *graph, int value, int *result, nac_error *error);

/* One UNARY node on x, in x's memory order: unary.c. */
nac_status nac_lower_unary(nac_lowering *lowering, nac_unary kind, float a, float b, int x, int *result);

/* "[1, 64, 7, 7]" into text[NAC_SHAPE_TEXT], which is returned. */
enum { NAC_SHAPE_TEXT = 96 };
const char *nac_shape_text(const nac_shape *shape, char *text);

#endif
