/* shape_ops.c - ONNX operators that give the same numbers another shape or order. Most of them end as RESHAPE, which costs nothing. */
#include <limits.h>
#include <string.h>

#include "ops/common.h"

/* The axes of Squeeze and Unsqueeze: an attribute before opset 13, then an input. *count 0: none given. */
static nac_status read_axes(nac_lowering *lowering, int rank, bool marked[NAC_MAX_RANK], int *count) {
    int64_t axes[NAC_MAX_RANK];
    NAC_TRY(nac_lower_list(lowering, "axes", 1, axes, NAC_MAX_RANK, count));
    memset(marked, 0, NAC_MAX_RANK * sizeof *marked);
    for (int i = 0; i < *count; ++i) {
        int axis;
        NAC_TRY(nac_lower_axis(lowering, axes[i], rank, &axis));
        if (marked[axis]) return nac_lower_fail(lowering, NAC_MALFORMED, "axis %d is given twice", axis);
        marked[axis] = true;
    }
    return NAC_OK;
}

/* Input 0 in ONNX's own order, with `shape`, bound to output 0. */
static nac_status bind_reshaped(nac_lowering *lowering, const nac_shape *shape) {
    int x;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_as_row_major(lowering, x, &x));
    NAC_TRY(nac_lower_reshape(lowering, x, shape, &x));
    return nac_lower_bind(lowering, 0, x);
}

static nac_status input_shape(nac_lowering *lowering, nac_shape *shape) {
    int x;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    *shape = nac_logical_shape(&lowering->graph->values[x]);
    return NAC_OK;
}

nac_status nac_lower_Reshape(nac_lowering *lowering) {
    nac_shape from, to = {.rank = 0};
    int64_t dims[NAC_MAX_RANK], allow_zero;
    int inferred = NAC_NONE;
    NAC_TRY(input_shape(lowering, &from));
    NAC_TRY(nac_lower_sizes(lowering, 1, dims, &to.rank));
    NAC_TRY(nac_attribute_int(lowering, "allowzero", 0, &allow_zero));
    const uint64_t elements = nac_elements(&from);
    uint64_t known = 1; /* at most elements * INT_MAX, below 2^60 */
    for (int i = 0; i < to.rank; ++i) {
        if (dims[i] == 0 && !allow_zero) {
            if (i >= from.rank) return nac_lower_fail(lowering, NAC_MALFORMED, "dimension %d is to be copied from rank %d", i, from.rank);
            dims[i] = from.dims[i];
        }
        if (dims[i] == -1 && inferred == NAC_NONE) {
            inferred = i;
            continue;
        }
        if (dims[i] < 1 || dims[i] > INT_MAX || known > elements)
            return nac_lower_fail(lowering, NAC_MALFORMED, "the new shape's dimension %d is %lld", i, (long long)dims[i]);
        to.dims[i] = (int)dims[i];
        known *= (uint64_t)dims[i];
    }
    if (inferred != NAC_NONE && known <= elements && elements % known == 0) {
        to.dims[inferred] = (int)(elements / known);
        known = elements;
    }
    if (known != elements) {
        char text[NAC_SHAPE_TEXT];
        return nac_lower_fail(lowering, NAC_MALFORMED,
                              "shape %s has not the %llu elements that are asked for (is the batch fixed in the file?)",
                              nac_shape_text(&from, text), (unsigned long long)known);
    }
    return bind_reshaped(lowering, &to);
}

nac_status nac_lower_Flatten(nac_lowering *lowering) {
    nac_shape from;
    int64_t axis;
    NAC_TRY(input_shape(lowering, &from));
    NAC_TRY(nac_attribute_int(lowering, "axis", 1, &axis));
    if (axis < -from.rank || axis > from.rank)
        return nac_lower_fail(lowering, NAC_MALFORMED, "axis %lld is outside of rank %d", (long long)axis, from.rank);
    if (axis < 0) axis += from.rank;
    nac_shape to = {.rank = 2, .dims = {1, 1}};
    for (int i = 0; i < from.rank; ++i) to.dims[i >= axis] *= from.dims[i];
    return bind_reshaped(lowering, &to);
}

nac_status nac_lower_Squeeze(nac_lowering *lowering) {
    nac_shape from, to = {.rank = 0};
    bool axes[NAC_MAX_RANK];
    int count;
    NAC_TRY(input_shape(lowering, &from));
    NAC_TRY(read_axes(lowering, from.rank, axes, &count));
    for (int i = 0; i < from.rank; ++i) {
        if (axes[i] && from.dims[i] != 1)
            return nac_lower_fail(lowering, NAC_MALFORMED, "axis %d has size %d and cannot be squeezed", i, from.dims[i]);
        if (count == 0 ? from.dims[i] != 1 : !axes[i]) to.dims[to.rank++] = from.dims[i];
    }
    return bind_reshaped(lowering, &to);
}

nac_status nac_lower_Unsqueeze(nac_lowering *lowering) {
    nac_shape from, to;
    bool axes[NAC_MAX_RANK];
    int count;
    NAC_TRY(input_shape(lowering, &from));
    /* The axes count in the result's rank, which is only known from their number. */
    to.rank = NAC_MAX_RANK;
    for (int twice = 0; twice < 2; ++twice) {
        int64_t unused[NAC_MAX_RANK];
        if (twice) NAC_TRY(read_axes(lowering, to.rank, axes, &count));
        else NAC_TRY(nac_lower_list(lowering, "axes", 1, unused, NAC_MAX_RANK, &count));
        if (count == 0) return nac_lower_fail(lowering, NAC_MALFORMED, "no axes are given");
        to.rank = from.rank + count;
        if (to.rank > NAC_MAX_RANK)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the result has rank %d; at most %d is supported", to.rank, NAC_MAX_RANK);
    }
    for (int i = 0, next = 0; i < to.rank; ++i) to.dims[i] = axes[i] ? 1 : from.dims[next++];
    return bind_reshaped(lowering, &to);
}

/* ---- Order ------------------------------------------------------------------------------------- */

static bool is_perm(const int *perm, int a, int b, int c, int d) { return perm[0] == a && perm[1] == b && perm[2] == c && perm[3] == d; }

/* Reads "perm", which by default reverses all axes. */
static nac_status read_perm(nac_lowering *lowering, int rank, int perm[NAC_MAX_RANK]) {
    int64_t given[NAC_MAX_RANK];
    bool seen[NAC_MAX_RANK] = {false};
    int count;
    NAC_TRY(nac_attribute_ints(lowering, "perm", given, NAC_MAX_RANK, &count));
    if (count != 0 && count != rank)
        return nac_lower_fail(lowering, NAC_MALFORMED, "attribute 'perm' has %d axes for a tensor of rank %d", count, rank);
    for (int i = 0; i < rank; ++i) {
        NAC_TRY(nac_lower_axis(lowering, count ? given[i] : rank - 1 - i, rank, &perm[i]));
        if (seen[perm[i]]) return nac_lower_fail(lowering, NAC_MALFORMED, "attribute 'perm' has axis %d twice", perm[i]);
        seen[perm[i]] = true;
    }
    return NAC_OK;
}

/* True if the axes that are longer than 1 keep their order: then no byte moves. */
static bool keeps_bytes(const nac_shape *shape, const int *perm) {
    int last = -1;
    for (int i = 0; i < shape->rank; ++i) {
        if (shape->dims[perm[i]] == 1) continue;
        if (perm[i] < last) return false;
        last = perm[i];
    }
    return true;
}

nac_status nac_lower_Transpose(nac_lowering *lowering) {
    int x, y, perm[NAC_MAX_RANK] = {0};
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    const nac_value v = lowering->graph->values[x];
    const nac_shape from = nac_logical_shape(&v);
    NAC_TRY(read_perm(lowering, from.rank, perm));
    /* TensorFlow's images are [N,H,W,C], and a converted model turns them into ONNX's [N,C,H,W] and back: the very
     * same bytes, seen as channels-last or as they are. */
    const bool to_last = v.type == NAC_F32 && v.layout == NAC_ROW_MAJOR && from.rank == 4 && is_perm(perm, 0, 3, 1, 2);
    const bool from_last = v.layout == NAC_CHANNELS_LAST && is_perm(perm, 0, 2, 3, 1);
    if (to_last || from_last) {
        NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, NULL), &x, 1, &v.shape,
                               to_last ? NAC_CHANNELS_LAST : NAC_ROW_MAJOR, &y));
        return nac_lower_bind(lowering, 0, y);
    }
    /* Straight from the physical order to ONNX's of the result. */
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, NULL);
    nac_shape to = {.rank = from.rank};
    bool moves = false;
    for (int i = 0; i < from.rank; ++i) {
        to.dims[i] = from.dims[perm[i]];
        moves = moves || perm[i] != i;
        node.u.transpose.perm[i] = nac_physical_axis(v.layout, perm[i]);
    }
    if (!moves) return nac_lower_bind(lowering, 0, x);
    if (keeps_bytes(&v.shape, node.u.transpose.perm)) node = nac_node_make(NAC_OP_RESHAPE, NULL);
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &to, NAC_ROW_MAJOR, &y));
    return nac_lower_bind(lowering, 0, y);
}

/* ---- Repetition -------------------------------------------------------------------------------- */

/* `copies` times the same along a physical axis. */
static nac_status repeat(nac_lowering *lowering, int axis, int copies, int *value) {
    enum { MAX_COPIES = 1024 };
    const nac_value v = lowering->graph->values[*value];
    nac_shape shape = v.shape;
    if (copies > INT_MAX / shape.dims[axis])
        return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "%d repetitions of size %d", copies, shape.dims[axis]);
    shape.dims[axis] *= copies;
    if (v.type == NAC_F32 && v.shape.dims[axis] == 1) {
        nac_node node = nac_node_make(NAC_OP_EXPAND, NULL);
        node.u.expand.scale = 1;
        return nac_lower_emit(lowering, node, value, 1, &shape, v.layout, value);
    }
    if (copies > MAX_COPIES) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%d repetitions; at most %d are supported", copies, MAX_COPIES);
    int inputs[MAX_COPIES];
    for (int i = 0; i < copies; ++i) inputs[i] = *value;
    nac_node node = nac_node_make(NAC_OP_CONCAT, NULL);
    node.u.concat.axis = axis;
    return nac_lower_emit(lowering, node, inputs, copies, &shape, v.layout, value);
}

nac_status nac_lower_Tile(nac_lowering *lowering) {
    int x, repeats, count;
    int64_t copies[NAC_MAX_RANK];
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_lower_input(lowering, 1, &repeats));
    NAC_TRY(nac_lower_ints(lowering, repeats, "repeats", copies, NAC_MAX_RANK, &count));
    const nac_value v = lowering->graph->values[x];
    if (count != v.shape.rank) return nac_lower_fail(lowering, NAC_MALFORMED, "%d repeats for a tensor of rank %d", count, v.shape.rank);
    for (int i = 0; i < count; ++i) {
        if (copies[i] < 1 || copies[i] > INT_MAX) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%lld repetitions", (long long)copies[i]);
        if (copies[i] > 1) NAC_TRY(repeat(lowering, nac_physical_axis(v.layout, i), (int)copies[i], &x));
    }
    return nac_lower_bind(lowering, 0, x);
}

/* Integers: one axis after the other, as constants. Their rank is brought to the result's before. */
static nac_status expand_integers(nac_lowering *lowering, int x, const nac_shape *to) {
    const nac_shape from = nac_shape_aligned(&lowering->graph->values[x].shape, to->rank);
    NAC_TRY(nac_lower_reshape(lowering, x, &from, &x));
    for (int i = 0; i < to->rank; ++i)
        if (to->dims[i] != from.dims[i]) NAC_TRY(repeat(lowering, i, to->dims[i], &x));
    return nac_lower_bind(lowering, 0, x);
}

nac_status nac_lower_Expand(nac_lowering *lowering) {
    int x, count;
    int64_t dims[NAC_MAX_RANK];
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_lower_sizes(lowering, 1, dims, &count));
    nac_shape from = nac_logical_shape(&lowering->graph->values[x]);
    nac_shape to = {.rank = count > from.rank ? count : from.rank};
    from = nac_shape_aligned(&from, to.rank);
    for (int i = 0; i < to.rank; ++i) {
        const int64_t asked = i < to.rank - count ? 1 : dims[i - (to.rank - count)];
        if (asked < 1 || asked > INT_MAX || (asked != 1 && from.dims[i] != 1 && asked != from.dims[i]))
            return nac_lower_fail(lowering, NAC_MALFORMED, "size %d cannot be expanded to %lld", from.dims[i], (long long)asked);
        to.dims[i] = asked == 1 ? from.dims[i] : (int)asked;
    }
    nac_layout layout = lowering->graph->values[x].layout;
    if (nac_shape_equal(&from, &to) && lowering->graph->values[x].shape.rank == to.rank) return nac_lower_bind(lowering, 0, x);
    if (lowering->graph->values[x].type == NAC_I64) return expand_integers(lowering, x, &to);
    if (layout == NAC_CHANNELS_LAST && to.rank == 4) {
        to = nac_shape_make(4, (const int[]){to.dims[0], to.dims[2], to.dims[3], to.dims[1]});
    } else {
        NAC_TRY(nac_as_row_major(lowering, x, &x));
        layout = NAC_ROW_MAJOR;
    }
    nac_node node = nac_node_make(NAC_OP_EXPAND, NULL);
    node.u.expand.scale = 1;
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &to, layout, &x));
    return nac_lower_bind(lowering, 0, x);
}
