/* slice_ops.c - ONNX operators that take tensors apart and put them together. Memory order stays what it is: a convolution's output is
 * cut and joined along its channels as it lies. */
#include <limits.h>
#include <string.h>

#include "ops/common.h"

static nac_node make_slice(void) {
    nac_node node = nac_node_make(NAC_OP_SLICE, NULL);
    for (int i = 0; i < NAC_MAX_RANK; ++i) node.u.slice.steps[i] = 1;
    return node;
}

nac_status nac_lower_stretch(nac_lowering *lowering, int x, int axis, int start, int size, int *result) {
    nac_node node = make_slice();
    nac_shape shape = lowering->graph->values[x].shape;
    if (size == shape.dims[axis]) {
        *result = x;
        return NAC_OK;
    }
    node.u.slice.starts[axis] = start;
    shape.dims[axis] = size;
    return nac_lower_emit(lowering, node, &x, 1, &shape, lowering->graph->values[x].layout, result);
}

/* ---- Concat ------------------------------------------------------------------------------------ */

nac_status nac_lower_join(nac_lowering *lowering, const int *inputs, int count, int axis, int *result) {
    const nac_value first = lowering->graph->values[inputs[0]];
    nac_shape shape = first.shape;
    int64_t size = 0;
    for (int i = 0; i < count; ++i) {
        const nac_value *v = &lowering->graph->values[inputs[i]];
        if (v->shape.rank != shape.rank || v->type != first.type)
            return nac_lower_fail(lowering, NAC_MALFORMED, "input %d has another rank or type than input 0", i);
        for (int d = 0; d < shape.rank; ++d)
            if (d != axis && v->shape.dims[d] != shape.dims[d])
                return nac_lower_fail(lowering, NAC_MALFORMED, "input %d has size %d where input 0 has %d", i, v->shape.dims[d], shape.dims[d]);
        size += v->shape.dims[axis];
    }
    if (size > INT_MAX) return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "the joined size is %lld", (long long)size);
    shape.dims[axis] = (int)size;
    nac_node node = nac_node_make(NAC_OP_CONCAT, NULL);
    node.u.concat.axis = axis;
    return nac_lower_emit(lowering, node, inputs, count, &shape, first.layout, result);
}

/* How many stretches without a gap the positions are. */
static int count_stretches(const int *positions, int count) {
    int stretches = 1;
    for (int i = 1; i < count; ++i) stretches += positions[i] != positions[i - 1] + 1;
    return stretches;
}

nac_status nac_lower_pick(nac_lowering *lowering, int x, int axis, const int *positions, int count, int *result) {
    enum { FEW = 2 }; /* a shift, which costs one pass over memory as slices; of more, the gradient would pad and add as often */
    int stretches[FEW] = {x}, found = 0;
    if (lowering->graph->values[x].constant || count_stretches(positions, count) > FEW)
        return nac_lower_gather(lowering, x, axis, positions, count, result);
    for (int first = 0, next; first < count; first = next) {
        next = first + 1;
        while (next < count && positions[next] == positions[next - 1] + 1) ++next;
        NAC_TRY(nac_lower_stretch(lowering, x, axis, positions[first], next - first, &stretches[found++]));
    }
    if (found > 1) return nac_lower_join(lowering, stretches, found, axis, result);
    *result = stretches[0];
    return NAC_OK;
}

nac_status nac_lower_concat(nac_lowering *lowering, int *values, int count, int64_t given, int *result) {
    nac_layout layout = NAC_ROW_MAJOR;
    int axis;
    if (count == 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "what is joined has no elements");
    /* One image that lies channels-last is enough: what meets it will be an image, too. */
    for (int i = 0; i < count; ++i)
        if (lowering->graph->values[values[i]].layout == NAC_CHANNELS_LAST) layout = NAC_CHANNELS_LAST;
    for (int i = 0; i < count && layout == NAC_CHANNELS_LAST; ++i) NAC_TRY(nac_as_channels_last(lowering, values[i], &values[i]));
    NAC_TRY(nac_lower_axis(lowering, given, lowering->graph->values[values[0]].shape.rank, &axis));
    *result = values[0];
    return count == 1 ? NAC_OK : nac_lower_join(lowering, values, count, nac_physical_axis(layout, axis), result);
}

static nac_status concat(nac_lowering *lowering, int *inputs, int given_count) {
    int64_t axis;
    int y, count = 0;
    for (int i = 0; i < given_count; ++i)
        if (!nac_lower_is_empty(lowering, i)) NAC_TRY(nac_lower_input(lowering, i, &inputs[count++]));
    NAC_TRY(nac_attribute_int(lowering, "axis", INT64_MAX, &axis));
    NAC_TRY(nac_lower_concat(lowering, inputs, count, axis, &y));
    return nac_lower_bind(lowering, 0, y);
}

nac_status nac_lower_Concat(nac_lowering *lowering) {
    const int count = lowering->node->input_count;
    if (count < 1) return nac_lower_fail(lowering, NAC_MALFORMED, "there is nothing to join");
    int *inputs = nac_alloc_array((size_t)count, sizeof *inputs);
    if (!inputs) return nac_out_of_memory(lowering->error, "a list of tensors");
    const nac_status status = concat(lowering, inputs, count);
    nac_free(inputs);
    return status;
}

/* ---- Split ------------------------------------------------------------------------------------- */

/* Sizes of the parts: an attribute before opset 13, then an input, otherwise as equal as can be. */
static nac_status split_sizes(nac_lowering *lowering, int size, int64_t *sizes, int capacity) {
    const int parts = lowering->node->output_count;
    int count;
    NAC_TRY(nac_lower_list(lowering, "split", 1, sizes, capacity, &count));
    if (count == 0) {
        const int part = size / parts + (size % parts != 0);
        for (int i = 0; i < parts; ++i) sizes[i] = i < parts - 1 ? part : size - (int64_t)part * (parts - 1);
        count = parts;
    }
    if (count != parts) return nac_lower_fail(lowering, NAC_MALFORMED, "%d sizes for %d outputs", count, parts);
    int64_t sum = 0;
    for (int i = 0; i < count; ++i) {
        if (sizes[i] < 1 || sizes[i] > size) return nac_lower_fail(lowering, NAC_MALFORMED, "part %d has size %lld of %d", i, (long long)sizes[i], size);
        sum += sizes[i];
    }
    if (sum != size) return nac_lower_fail(lowering, NAC_MALFORMED, "the parts add up to %lld of %d", (long long)sum, size);
    return NAC_OK;
}

nac_status nac_lower_Split(nac_lowering *lowering) {
    enum { MAX_PARTS = 1024 };
    int x, axis, start = 0;
    int64_t given, sizes[MAX_PARTS] = {0};
    if (lowering->node->output_count < 1 || lowering->node->output_count > MAX_PARTS)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%d outputs; 1 to %d are supported", lowering->node->output_count, MAX_PARTS);
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_attribute_int(lowering, "axis", 0, &given));
    const nac_shape shape = nac_logical_shape(&lowering->graph->values[x]);
    NAC_TRY(nac_lower_axis(lowering, given, shape.rank, &axis));
    NAC_TRY(split_sizes(lowering, shape.dims[axis], sizes, MAX_PARTS));
    const int physical = nac_physical_axis(lowering->graph->values[x].layout, axis);
    for (int i = 0; i < lowering->node->output_count; ++i) {
        int part;
        NAC_TRY(nac_lower_stretch(lowering, x, physical, start, (int)sizes[i], &part));
        NAC_TRY(nac_lower_bind(lowering, i, part));
        start += (int)sizes[i];
    }
    return NAC_OK;
}

/* ---- Slice ------------------------------------------------------------------------------------- */

typedef struct slice_arguments {
    int64_t starts[NAC_MAX_RANK], ends[NAC_MAX_RANK], axes[NAC_MAX_RANK], steps[NAC_MAX_RANK];
    int count;
} slice_arguments;

static nac_status slice_list(nac_lowering *lowering, int i, const char *name, int64_t *ints, int *count) {
    *count = 0;
    if (lowering->model->opset < 10) return nac_attribute_ints(lowering, name, ints, NAC_MAX_RANK, count);
    const int input = nac_lower_optional(lowering, i);
    return input == NAC_NONE ? NAC_OK : nac_lower_ints(lowering, input, name, ints, NAC_MAX_RANK, count);
}

static nac_status read_slice(nac_lowering *lowering, slice_arguments *slice) {
    int ends, axes, steps;
    NAC_TRY(slice_list(lowering, 1, "starts", slice->starts, &slice->count));
    NAC_TRY(slice_list(lowering, 2, "ends", slice->ends, &ends));
    NAC_TRY(slice_list(lowering, 3, "axes", slice->axes, &axes));
    NAC_TRY(slice_list(lowering, 4, "steps", slice->steps, &steps));
    for (int i = axes; axes == 0 && i < slice->count; ++i) slice->axes[i] = i;
    for (int i = steps; steps == 0 && i < slice->count; ++i) slice->steps[i] = 1;
    if (slice->count == 0 || ends != slice->count || (axes != 0 && axes != slice->count) || (steps != 0 && steps != slice->count))
        return nac_lower_fail(lowering, NAC_MALFORMED, "%d starts, %d ends, %d axes, %d steps", slice->count, ends, axes, steps);
    return NAC_OK;
}

static int64_t limit(int64_t index, int64_t low, int64_t high) { return index < low ? low : index > high ? high : index; }

/* The positions of a physical axis, last first. */
static nac_status turn_round(nac_lowering *lowering, int axis, int *value) {
    const int size = lowering->graph->values[*value].shape.dims[axis];
    int *positions = nac_alloc_array((size_t)size, sizeof *positions);
    if (!positions) return nac_out_of_memory(lowering->error, "a slice");
    for (int i = 0; i < size; ++i) positions[i] = size - 1 - i;
    const nac_status status = nac_lower_pick(lowering, *value, axis, positions, size, value);
    nac_free(positions);
    return status;
}

nac_status nac_lower_Slice(nac_lowering *lowering) {
    int x, y;
    slice_arguments slice;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(read_slice(lowering, &slice));
    const nac_value v = lowering->graph->values[x];
    const nac_shape logical = nac_logical_shape(&v);
    nac_node node = make_slice();
    nac_shape shape = v.shape;
    bool turned[NAC_MAX_RANK] = {false};
    for (int i = 0; i < slice.count; ++i) {
        int axis;
        NAC_TRY(nac_lower_axis(lowering, slice.axes[i], logical.rank, &axis));
        const int64_t size = logical.dims[axis];
        int64_t step = slice.steps[i];
        if (step == 0 || step < -INT_MAX || step > INT_MAX)
            return nac_lower_fail(lowering, NAC_MALFORMED, "a step of %lld", (long long)step);
        const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
        int64_t start = limit(slice.starts[i] < 0 ? slice.starts[i] + size : slice.starts[i], low + (step < 0), high);
        const int64_t end = limit(slice.ends[i] < 0 ? slice.ends[i] + size : slice.ends[i], low, high);
        const int64_t length = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
        if (length < 1 && v.constant) {
            nac_lower_bind_empty(lowering, 0);
            return NAC_OK;
        }
        if (length < 1) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "nothing is left of axis %d (size %lld)", axis, (long long)size);
        const int physical = nac_physical_axis(v.layout, axis);
        /* Constants are copied at once, by a loop that goes either way (exporters reverse paddings like that); of others the same is
         * taken forwards, to be turned round afterwards. */
        turned[physical] = step < 0 && length > 1 && !v.constant;
        if (turned[physical]) {
            start += (length - 1) * step;
            step = -step;
        }
        node.u.slice.starts[physical] = (int)start;
        /* One element needs no step, and a step as long as the tensor could overflow the loop's offsets. */
        node.u.slice.steps[physical] = length == 1 ? 1 : (int)step;
        shape.dims[physical] = (int)length;
    }
    if (nac_shape_equal(&shape, &v.shape) && !v.constant) y = x;
    else NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &shape, v.layout, &y));
    for (int axis = 0; axis < shape.rank; ++axis)
        if (turned[axis]) NAC_TRY(turn_round(lowering, axis, &y));
    return nac_lower_bind(lowering, 0, y);
}
