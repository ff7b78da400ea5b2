/* sequence.c - lists of tensors, as scripted models append to them and stack them: known while the model is lowered, and nothing of them is left to run. */
#include <string.h>

#include "ops/common.h"

bool nac_lower_takes_sequence(const nac_onnx_node *node, int i) {
    const char *name = node->op_type;
    if (strcmp(name, "Loop") == 0) return i >= 2;
    if (strcmp(name, "If") == 0) return i >= 1;
    return i == 0 && (strncmp(name, "Sequence", 8) == 0 || strcmp(name, "ConcatFromSequence") == 0 || strcmp(name, "Identity") == 0);
}

void nac_lower_free_sequences(nac_lowering *lowering) {
    for (int i = 0; i < lowering->sequence_count; ++i) nac_free(lowering->sequences[i].values);
    nac_free(lowering->sequences);
}

/* ---- Making them -------------------------------------------------------------------------------- */

/* A new list of `count` values, to be filled through *values, bound to output 0. Each insertion copies the list, so their sizes are summed and limited. */
static nac_status add_sequence(nac_lowering *lowering, int count, int **values) {
    enum { MAX_VALUES = 1 << 22 };
    if (count > MAX_VALUES - lowering->sequence_values)
        return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "the model's sequences hold more than %d tensors", (int)MAX_VALUES);
    if (lowering->sequence_count == lowering->sequence_capacity) {
        const int wanted = lowering->sequence_capacity ? 2 * lowering->sequence_capacity : 16;
        nac_sequence *moved = nac_realloc(lowering->sequences, (size_t)wanted * sizeof *moved);
        if (!moved) return nac_out_of_memory(lowering->error, "a sequence");
        lowering->sequences = moved;
        lowering->sequence_capacity = wanted;
    }
    *values = nac_alloc_array((size_t)count, sizeof **values);
    if (!*values) return nac_out_of_memory(lowering->error, "a sequence");
    lowering->sequences[lowering->sequence_count] = (nac_sequence){*values, count};
    lowering->sequence_values += count;
    return nac_lower_pass(lowering, 0, NAC_SEQUENCE - lowering->sequence_count++);
}

/* Input 0. It may move when another is made. */
static nac_status read_sequence(nac_lowering *lowering, nac_sequence *sequence) {
    int binding;
    NAC_TRY(nac_lower_binding(lowering, 0, &binding));
    if (binding > NAC_SEQUENCE) return nac_lower_fail(lowering, NAC_MALFORMED, "input 0 is no sequence");
    *sequence = lowering->sequences[NAC_SEQUENCE - binding];
    return NAC_OK;
}

/* The position in input i, counted from the front, below `count`; `otherwise` where it is not given. */
static nac_status read_position(nac_lowering *lowering, int i, int length, int count, int otherwise, int *position) {
    int64_t given;
    int numbers;
    const int input = nac_lower_optional(lowering, i);
    *position = otherwise;
    if (input == NAC_NONE) return NAC_OK;
    NAC_TRY(nac_lower_ints(lowering, input, "the position", &given, 1, &numbers));
    if (given < -length || given >= count) return nac_lower_fail(lowering, NAC_MALFORMED, "position %lld in a sequence of %d", (long long)given, length);
    *position = (int)(given < 0 ? given + length : given);
    return NAC_OK;
}

nac_status nac_lower_SequenceEmpty(nac_lowering *lowering) {
    int *values;
    return add_sequence(lowering, 0, &values);
}

nac_status nac_lower_SequenceConstruct(nac_lowering *lowering) {
    int *values;
    NAC_TRY(add_sequence(lowering, lowering->node->input_count, &values));
    for (int i = 0; i < lowering->node->input_count; ++i) NAC_TRY(nac_lower_input(lowering, i, &values[i]));
    return NAC_OK;
}

nac_status nac_lower_SequenceInsert(nac_lowering *lowering) {
    nac_sequence old;
    int value, position, *values;
    NAC_TRY(read_sequence(lowering, &old));
    NAC_TRY(nac_lower_input(lowering, 1, &value));
    NAC_TRY(read_position(lowering, 2, old.count, old.count + 1, old.count, &position));
    NAC_TRY(add_sequence(lowering, old.count + 1, &values));
    for (int i = 0; i <= old.count; ++i) values[i] = i == position ? value : old.values[i - (i > position)];
    return NAC_OK;
}

nac_status nac_lower_SequenceErase(nac_lowering *lowering) {
    nac_sequence old;
    int position, *values;
    NAC_TRY(read_sequence(lowering, &old));
    if (old.count == 0) return nac_lower_fail(lowering, NAC_MALFORMED, "the sequence is empty");
    NAC_TRY(read_position(lowering, 1, old.count, old.count, old.count - 1, &position));
    NAC_TRY(add_sequence(lowering, old.count - 1, &values));
    for (int i = 0; i < old.count - 1; ++i) values[i] = old.values[i + (i >= position)];
    return NAC_OK;
}

/* Sizes of the parts along an axis of `size`: one number for all of them but a smaller last, a list, or ones. */
static nac_status split(nac_lowering *lowering, int x, int axis, bool keeps) {
    const int given = nac_lower_optional(lowering, 1), size = lowering->graph->values[x].shape.dims[axis];
    const nac_value *list = given == NAC_NONE ? NULL : &lowering->graph->values[given];
    int64_t part = 1, start = 0;
    int count = 0, *values;
    if (list && (!list->constant || list->type != NAC_I64)) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the parts' sizes must be constant integers");
    const bool equal = !list || list->shape.rank == 0;
    if (list && equal) part = *(const int64_t *)list->data;
    if (part < 1) return nac_lower_fail(lowering, NAC_MALFORMED, "parts of size %lld", (long long)part);
    const int parts = !equal ? (int)nac_elements(&list->shape) : (int)((size - 1) / part + 1);
    NAC_TRY(add_sequence(lowering, parts, &values));
    for (; count < parts; ++count) {
        if (!equal) part = ((const int64_t *)lowering->graph->values[given].data)[count];
        else if (part > size - start) part = size - start;
        if (part < 1 || part > size - start) return nac_lower_fail(lowering, NAC_MALFORMED, "part %d has size %lld of %d", count, (long long)part, size);
        NAC_TRY(nac_lower_stretch(lowering, x, axis, (int)start, (int)part, &values[count]));
        start += part;
        if (keeps) continue;
        nac_shape shape = lowering->graph->values[values[count]].shape;
        --shape.rank;
        for (int d = axis; d < shape.rank; ++d) shape.dims[d] = shape.dims[d + 1];
        NAC_TRY(nac_lower_reshape(lowering, values[count], &shape, &values[count]));
    }
    return start == size ? NAC_OK : nac_lower_fail(lowering, NAC_MALFORMED, "the parts add up to %lld of %d", (long long)start, size);
}

nac_status nac_lower_SplitToSequence(nac_lowering *lowering) {
    int64_t given, keeps;
    int x, axis;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_attribute_int(lowering, "axis", 0, &given));
    NAC_TRY(nac_attribute_int(lowering, "keepdims", 1, &keeps));
    if (nac_lower_optional(lowering, 1) != NAC_NONE) keeps = 1;
    NAC_TRY(nac_lower_axis(lowering, given, lowering->graph->values[x].shape.rank, &axis));
    if (!keeps) NAC_TRY(nac_as_row_major(lowering, x, &x));
    return split(lowering, x, nac_physical_axis(lowering->graph->values[x].layout, axis), keeps != 0);
}

/* ---- Reading them ------------------------------------------------------------------------------- */

nac_status nac_lower_SequenceAt(nac_lowering *lowering) {
    nac_sequence sequence;
    int position;
    NAC_TRY(read_sequence(lowering, &sequence));
    NAC_TRY(read_position(lowering, 1, sequence.count, sequence.count, NAC_NONE, &position));
    if (position == NAC_NONE) return nac_lower_fail(lowering, NAC_MALFORMED, "input 1 is missing");
    return nac_lower_bind(lowering, 0, sequence.values[position]);
}

nac_status nac_lower_SequenceLength(nac_lowering *lowering) {
    const nac_shape scalar = {.rank = 0};
    nac_sequence sequence;
    int length;
    NAC_TRY(read_sequence(lowering, &sequence));
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &scalar, NAC_ROW_MAJOR, &length, lowering->error));
    *(int64_t *)lowering->graph->values[length].data = sequence.count;
    return nac_lower_bind(lowering, 0, length);
}

static nac_status stack(nac_lowering *lowering, int *values, int count, int64_t given, int *y) {
    int axis;
    if (count == 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "what is joined has no elements");
    for (int i = 0; i < count; ++i) NAC_TRY(nac_as_row_major(lowering, values[i], &values[i]));
    NAC_TRY(nac_lower_axis(lowering, given, lowering->graph->values[values[0]].shape.rank + 1, &axis));
    return nac_lower_stack(lowering, values, count, axis, y);
}

nac_status nac_lower_ConcatFromSequence(nac_lowering *lowering) {
    nac_sequence sequence;
    int64_t axis, new_axis;
    int y;
    NAC_TRY(read_sequence(lowering, &sequence));
    NAC_TRY(nac_attribute_int(lowering, "axis", INT64_MAX, &axis));
    NAC_TRY(nac_attribute_int(lowering, "new_axis", 0, &new_axis));
    int *values = nac_alloc_array((size_t)sequence.count, sizeof *values);
    if (!values) return nac_out_of_memory(lowering->error, "a list of tensors");
    for (int i = 0; i < sequence.count; ++i) values[i] = sequence.values[i];
    const nac_status status = new_axis ? stack(lowering, values, sequence.count, axis, &y) : nac_lower_concat(lowering, values, sequence.count, axis, &y);
    nac_free(values);
    NAC_TRY(status);
    return nac_lower_bind(lowering, 0, y);
}
