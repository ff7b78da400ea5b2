/* pad.c - ONNX's Pad: a frame of one number, of the border, of the mirrored image or of its other side; and, where a padding is negative, a
 * border less. */
#include <limits.h>
#include <string.h>

#include "ops/common.h"

/* Paddings in the order of all axes: [before..., after...]. */
static nac_status read_pads(nac_lowering *lowering, int rank, int64_t pads[2 * NAC_MAX_RANK], float *fill) {
    int64_t given[2 * NAC_MAX_RANK], axes[NAC_MAX_RANK];
    int count, axis_count = rank;
    for (int i = 0; i < rank; ++i) axes[i] = i;
    if (lowering->model->opset < 11) {
        NAC_TRY(nac_attribute_ints(lowering, "pads", given, 2 * NAC_MAX_RANK, &count));
        NAC_TRY(nac_attribute_float(lowering, "value", 0, fill));
    } else {
        int input;
        NAC_TRY(nac_lower_input(lowering, 1, &input));
        NAC_TRY(nac_lower_ints(lowering, input, "pads", given, 2 * NAC_MAX_RANK, &count));
        *fill = 0;
        if ((input = nac_lower_optional(lowering, 2)) != NAC_NONE) NAC_TRY(nac_lower_scalar(lowering, input, "the padding's value", fill));
        if ((input = nac_lower_optional(lowering, 3)) != NAC_NONE)
            NAC_TRY(nac_lower_ints(lowering, input, "axes", axes, NAC_MAX_RANK, &axis_count));
    }
    if (count != 2 * axis_count) return nac_lower_fail(lowering, NAC_MALFORMED, "%d paddings for %d axes", count, axis_count);
    for (int i = 0; i < 2 * rank; ++i) pads[i] = 0;
    for (int i = 0; i < axis_count; ++i) {
        int axis;
        NAC_TRY(nac_lower_axis(lowering, axes[i], rank, &axis));
        pads[axis] = given[i];
        pads[rank + axis] = given[axis_count + i];
    }
    return NAC_OK;
}

/* A frame of `fill`: before[i] and after[i], >= 0, of physical axis i. */
static nac_status pad_constant(nac_lowering *lowering, int x, const int *before, const int *after, float fill, int *result) {
    const nac_value v = lowering->graph->values[x];
    nac_node node = nac_node_make(NAC_OP_PAD, NULL);
    node.u.pad.value = fill;
    nac_shape shape = v.shape;
    for (int i = 0; i < shape.rank; ++i) {
        node.u.pad.before[i] = before[i];
        node.u.pad.steps[i] = 1;
        shape.dims[i] += before[i] + after[i];
    }
    return nac_lower_emit(lowering, node, &x, 1, &shape, v.layout, result);
}

/* What a frame is made of, by ONNX's names. */
typedef enum frame { CONSTANT, REFLECT, EDGE, WRAP } frame;

/* Where position i of an axis, counted from the unpadded one's first element, is read: the nearest element; mirrored, the one as far inside of
 * the border, back and forth where that is beyond the other border; or as if the axis began again. */
static int source_of(int i, int size, frame mode) {
    if (mode == WRAP) return (i % size + size) % size;
    if (mode == EDGE || size == 1) return i < 0 ? 0 : i < size ? i : size - 1;
    const int period = 2 * (size - 1), at = (i % period + period) % period;
    return at < size ? at : period - at;
}

static nac_status pad_copied(nac_lowering *lowering, int x, const int *before, const int *after, frame mode, int *result) {
    for (int axis = 0; axis < lowering->graph->values[x].shape.rank; ++axis) {
        const int size = lowering->graph->values[x].shape.dims[axis], count = before[axis] + size + after[axis];
        if (count == size) continue;
        if ((uint64_t)nac_elements(&lowering->graph->values[x].shape) / (uint64_t)size * (uint64_t)count > NAC_MAX_TENSOR_BYTES / sizeof(float))
            return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "a frame of %d and %d around a size of %d", before[axis], after[axis], size);
        int *positions = nac_alloc_array((size_t)count, sizeof *positions);
        if (!positions) return nac_out_of_memory(lowering->error, "a padding");
        for (int i = 0; i < count; ++i) positions[i] = source_of(i - before[axis], size, mode);
        const nac_status status = nac_lower_pick(lowering, x, axis, positions, count, &x);
        nac_free(positions);
        NAC_TRY(status);
    }
    *result = x;
    return NAC_OK;
}

/* Splits one axis's paddings into what is cut off, which happens to *x at once, and what is added. */
static nac_status cut_axis(nac_lowering *lowering, int axis, int64_t pad_before, int64_t pad_after, int *x, int *before, int *after) {
    const int64_t size = lowering->graph->values[*x].shape.dims[axis];
    if (pad_before > INT_MAX || pad_after > INT_MAX || pad_before < -INT_MAX || pad_after < -INT_MAX ||
        pad_before + pad_after + size > INT_MAX)
        return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "a padding of %lld and %lld", (long long)pad_before, (long long)pad_after);
    *before = pad_before > 0 ? (int)pad_before : 0;
    *after = pad_after > 0 ? (int)pad_after : 0;
    const int64_t start = *before - pad_before, kept = size - start - (*after - pad_after);
    if (kept < 1)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "paddings of %lld and %lld leave nothing of size %lld", (long long)pad_before,
                              (long long)pad_after, (long long)size);
    return nac_lower_stretch(lowering, *x, axis, (int)start, (int)kept, x);
}

static nac_status read_mode(nac_lowering *lowering, frame *mode) {
    static const char *const names[] = {[CONSTANT] = "constant", [REFLECT] = "reflect", [EDGE] = "edge", [WRAP] = "wrap"};
    const char *text;
    size_t length;
    NAC_TRY(nac_attribute_string(lowering, "mode", &text, &length));
    for (*mode = CONSTANT; *mode <= WRAP; ++*mode)
        if (strcmp(text, names[*mode]) == 0 || (length == 0 && *mode == CONSTANT)) return NAC_OK;
    return nac_lower_fail(lowering, NAC_UNSUPPORTED, "padding mode '%.20s'; constant, reflect, edge and wrap are supported", text);
}

nac_status nac_lower_Pad(nac_lowering *lowering) {
    int x, before[NAC_MAX_RANK], after[NAC_MAX_RANK];
    int64_t pads[2 * NAC_MAX_RANK];
    frame mode;
    float fill;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(read_mode(lowering, &mode));
    const nac_layout layout = lowering->graph->values[x].layout;
    const int rank = lowering->graph->values[x].shape.rank;
    NAC_TRY(read_pads(lowering, rank, pads, &fill));
    bool grows = false;
    for (int i = 0; i < rank; ++i) {
        const int axis = nac_physical_axis(layout, i);
        NAC_TRY(cut_axis(lowering, axis, pads[i], pads[rank + i], &x, &before[axis], &after[axis]));
        grows = grows || before[axis] > 0 || after[axis] > 0;
    }
    if (grows && mode == CONSTANT)
        NAC_TRY(pad_constant(lowering, x, before, after, fill, &x));
    else if (grows)
        NAC_TRY(pad_copied(lowering, x, before, after, mode, &x));
    return nac_lower_bind(lowering, 0, x);
}
