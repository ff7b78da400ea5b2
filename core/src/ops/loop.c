/* loop.c - Loop and Scan: their bodies are lowered as often as they go round, which must be known. What a round passes on to the next are values
 * of the graph as any others, and its results are stacked. Nothing of a loop is left to run. */
#include <limits.h>
#include <string.h>

#include "ops/common.h"

/* ---- What goes round ----------------------------------------------------------------------------- */

/* A loop on its way. Bindings are values, or what else may stand in nac_lowering.bindings. */
typedef struct rounds {
    int own;         /* inputs of the node that are not the body's results */
    int carried;     /* tensors that a round passes on to the next */
    int stacked;     /* results of which every round's is kept */
    int *state;      /* [carried]: bindings */
    int *results;    /* [count, stacked]: values */
    int count, capacity;
} rounds;

static nac_status start(nac_lowering *lowering, rounds *r, int first_carried) {
    r->state = nac_alloc_array((size_t)r->carried, sizeof *r->state);
    if (!r->state) return nac_out_of_memory(lowering->error, "a loop");
    for (int i = 0; i < r->carried; ++i) NAC_TRY(nac_lower_binding(lowering, first_carried + i, &r->state[i]));
    return NAC_OK;
}

/* One round, whose inputs from `first_input` on are what is carried; the body's results are that, from `first_result` on, and then what is
 * stacked. */
static nac_status go_round(nac_lowering *lowering, rounds *r, int first_input, int first_result) {
    const int from = r->own + first_result;
    for (int i = 0; i < r->carried; ++i) nac_lower_give(lowering, first_input + i, r->state[i]);
    NAC_TRY(nac_lower_round(lowering));
    for (int i = 0; i < r->carried; ++i) NAC_TRY(nac_lower_binding(lowering, from + i, &r->state[i]));
    if (r->count == r->capacity) {
        const int wanted = r->capacity ? 2 * r->capacity : 16;
        size_t bytes;
        const bool fits = nac_mul_size((size_t)wanted * sizeof *r->results, (size_t)r->stacked + 1, &bytes); /* rounds are few: NAC_MAX_ROUND_NODES */
        int *moved = fits ? nac_realloc(r->results, bytes) : NULL;
        if (!moved) return nac_out_of_memory(lowering->error, "a loop");
        r->results = moved;
        r->capacity = wanted;
    }
    for (int i = 0; i < r->stacked; ++i) {
        int *result = &r->results[(size_t)r->count * (size_t)r->stacked + (size_t)i];
        NAC_TRY(nac_lower_input(lowering, from + r->carried + i, result));
        NAC_TRY(nac_as_row_major(lowering, *result, result));
    }
    ++r->count;
    return NAC_OK;
}

nac_status nac_lower_stack(nac_lowering *lowering, const int *values, int count, int axis, int *result) {
    int *parts = nac_alloc_array((size_t)count, sizeof *parts);
    if (!parts) return nac_out_of_memory(lowering->error, "a list of tensors");
    const nac_shape shape = lowering->graph->values[values[0]].shape;
    nac_shape part = {.rank = shape.rank + 1};
    nac_status status = NAC_OK;
    if (part.rank > NAC_MAX_RANK) status = nac_lower_fail(lowering, NAC_UNSUPPORTED, "the result has more than %d axes", NAC_MAX_RANK);
    for (int d = 0; status == NAC_OK && d < part.rank; ++d) part.dims[d] = d < axis ? shape.dims[d] : d == axis ? 1 : shape.dims[d - 1];
    for (int i = 0; status == NAC_OK && i < count; ++i) {
        if (!nac_shape_equal(&lowering->graph->values[values[i]].shape, &shape)) {
            char text[NAC_SHAPE_TEXT], other[NAC_SHAPE_TEXT];
            status = nac_lower_fail(lowering, NAC_MALFORMED, "tensors %s and %s cannot be stacked", nac_shape_text(&shape, text),
                                    nac_shape_text(&lowering->graph->values[values[i]].shape, other));
        } else {
            status = nac_lower_reshape(lowering, values[i], &part, &parts[i]);
        }
    }
    if (status == NAC_OK) status = nac_lower_join(lowering, parts, count, axis, result);
    nac_free(parts);
    return status;
}

/* result i of all rounds, stacked along `axis` (counted in the stack's rank) in their order or backwards. */
static nac_status bind_stack(nac_lowering *lowering, const rounds *r, int i, int64_t given_axis, bool backwards) {
    if (r->count == 0) return nac_lower_pass(lowering, r->carried + i, NAC_EMPTY);
    int axis, y;
    NAC_TRY(nac_lower_axis(lowering, given_axis, lowering->graph->values[r->results[i]].shape.rank + 1, &axis));
    int *values = nac_alloc_array((size_t)r->count, sizeof *values);
    if (!values) return nac_out_of_memory(lowering->error, "a list of tensors");
    for (int k = 0; k < r->count; ++k) values[backwards ? r->count - 1 - k : k] = r->results[(size_t)k * (size_t)r->stacked + (size_t)i];
    const nac_status status = nac_lower_stack(lowering, values, r->count, axis, &y);
    nac_free(values);
    NAC_TRY(status);
    return nac_lower_pass(lowering, r->carried + i, y);
}

static void stop(rounds *r) {
    nac_free(r->state);
    nac_free(r->results);
}

/* ---- Loop --------------------------------------------------------------------------------------- */

static nac_status add_integer(nac_lowering *lowering, int64_t number, int *value) {
    const nac_shape scalar = {.rank = 0};
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_I64, &scalar, NAC_ROW_MAJOR, value, lowering->error));
    *(int64_t *)lowering->graph->values[*value].data = number;
    return NAC_OK;
}

/* The number of rounds; INT64_MAX where the file sets none. */
static nac_status read_limit(nac_lowering *lowering, int own, int64_t *limit) {
    int count;
    *limit = INT64_MAX;
    if (own < 1 || nac_lower_optional(lowering, 0) == NAC_NONE) return NAC_OK;
    const int input = nac_lower_optional(lowering, 0);
    NAC_TRY(nac_lower_ints(lowering, input, "the number of rounds", limit, 1, &count));
    return NAC_OK;
}

static nac_status read_condition(nac_lowering *lowering, int input, int *value, bool *holds) {
    float number;
    NAC_TRY(nac_lower_input(lowering, input, value));
    if (!lowering->graph->values[*value].constant)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "whether it goes on is computed from the image; it must be a constant");
    NAC_TRY(nac_lower_scalar(lowering, *value, "the condition", &number));
    *holds = number != 0;
    return NAC_OK;
}

/* `rounds` more of `nodes` each are refused where they are too many, before the first of them. */
static nac_status check_rounds(nac_lowering *lowering, int64_t rounds_left, int nodes) {
    if (rounds_left <= (NAC_MAX_ROUND_NODES - lowering->round_nodes) / nodes) return NAC_OK;
    return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "%lld rounds are more than %d nodes, which the rounds of a model's loops may have",
                          (long long)rounds_left, NAC_MAX_ROUND_NODES);
}

/* Rounds until the limit or the condition ends them. */
static nac_status loop(nac_lowering *lowering, rounds *r) {
    int64_t limit;
    int yes, round, condition;
    bool goes_on = true;
    const bool fixed = nac_lower_is_fixed(lowering, lowering->node->inputs[r->own], 1);
    NAC_TRY(read_limit(lowering, r->own, &limit));
    if (r->own > 1 && nac_lower_optional(lowering, 1) != NAC_NONE) NAC_TRY(read_condition(lowering, 1, &condition, &goes_on));
    NAC_TRY(start(lowering, r, 2));
    NAC_TRY(add_integer(lowering, 1, &yes));
    if (goes_on && fixed) NAC_TRY(check_rounds(lowering, limit, 1));
    while (goes_on && r->count < limit) {
        const int nodes = lowering->round_nodes;
        NAC_TRY(add_integer(lowering, r->count, &round));
        nac_lower_give(lowering, 0, round);
        nac_lower_give(lowering, 1, yes);
        NAC_TRY(go_round(lowering, r, 2, 1));
        NAC_TRY(read_condition(lowering, r->own, &condition, &goes_on));
        if (goes_on && fixed) NAC_TRY(check_rounds(lowering, limit - r->count, lowering->round_nodes - nodes));
    }
    for (int i = 0; i < r->carried; ++i) NAC_TRY(nac_lower_pass(lowering, i, r->state[i]));
    for (int i = 0; i < r->stacked; ++i) NAC_TRY(bind_stack(lowering, r, i, 0, false));
    return NAC_OK;
}

/* What the body has and what the node needs of it. */
static nac_status check_counts(nac_lowering *lowering, int inputs, int results, int outputs) {
    const nac_onnx_node *node = lowering->node;
    const nac_onnx_scope *body = node->body;
    if (body->input_count == inputs && body->result_count >= results && node->output_count <= outputs) return NAC_OK;
    return nac_lower_fail(lowering, NAC_MALFORMED, "a body of %d inputs and %d results does not fit %d inputs and %d outputs", body->input_count,
                          body->result_count, node->input_count - body->result_count, node->output_count);
}

nac_status nac_lower_Loop(nac_lowering *lowering) {
    const nac_onnx_node *node = lowering->node;
    const int own = node->input_count - node->body->result_count, carried = own > 2 ? own - 2 : 0;
    rounds r = {.own = own, .carried = carried, .stacked = node->body->result_count - 1 - carried};
    NAC_TRY(check_counts(lowering, 2 + carried, 1 + carried, carried + r.stacked));
    const nac_status status = loop(lowering, &r);
    stop(&r);
    return status;
}

/* ---- Scan --------------------------------------------------------------------------------------- */

enum { MAX_SCANNED = 64 };

/* One entry for each sequence: zeros where the node has no such list. */
static nac_status read_list(nac_lowering *lowering, const char *name, int64_t numbers[MAX_SCANNED], int wanted) {
    int count;
    memset(numbers, 0, MAX_SCANNED * sizeof *numbers);
    NAC_TRY(nac_attribute_ints(lowering, name, numbers, MAX_SCANNED, &count));
    if (count != 0 && count != wanted)
        return nac_lower_fail(lowering, NAC_MALFORMED, "attribute '%s' has %d numbers where %d are needed", name, count, wanted);
    return NAC_OK;
}

/* What is scanned: one element along its axis each round. */
typedef struct scanned {
    int value, axis;
    bool backwards;
} scanned;

static nac_status read_scanned(nac_lowering *lowering, const rounds *r, scanned *inputs, int count, int *length) {
    int64_t axes[MAX_SCANNED], directions[MAX_SCANNED];
    NAC_TRY(read_list(lowering, "scan_input_axes", axes, count));
    NAC_TRY(read_list(lowering, "scan_input_directions", directions, count));
    for (int i = 0; i < count; ++i) {
        NAC_TRY(nac_lower_input(lowering, r->carried + i, &inputs[i].value));
        NAC_TRY(nac_as_row_major(lowering, inputs[i].value, &inputs[i].value));
        const nac_shape *shape = &lowering->graph->values[inputs[i].value].shape;
        NAC_TRY(nac_lower_axis(lowering, axes[i], shape->rank, &inputs[i].axis));
        const int size = shape->dims[inputs[i].axis];
        if (i > 0 && size != *length) return nac_lower_fail(lowering, NAC_MALFORMED, "sequences of %d and %d elements", *length, size);
        inputs[i].backwards = directions[i] != 0;
        *length = size;
    }
    return NAC_OK;
}

static nac_status give_element(nac_lowering *lowering, const scanned *input, int body_input, int position) {
    nac_shape shape = lowering->graph->values[input->value].shape;
    int element;
    if (input->backwards) position = shape.dims[input->axis] - 1 - position;
    NAC_TRY(nac_lower_stretch(lowering, input->value, input->axis, position, 1, &element));
    --shape.rank;
    for (int d = input->axis; d < shape.rank; ++d) shape.dims[d] = shape.dims[d + 1];
    NAC_TRY(nac_lower_reshape(lowering, element, &shape, &element));
    nac_lower_give(lowering, body_input, element);
    return NAC_OK;
}

static nac_status scan(nac_lowering *lowering, rounds *r, int scanned_count) {
    scanned inputs[MAX_SCANNED];
    int64_t axes[MAX_SCANNED], directions[MAX_SCANNED];
    int length = 0;
    NAC_TRY(read_scanned(lowering, r, inputs, scanned_count, &length));
    NAC_TRY(read_list(lowering, "scan_output_axes", axes, r->stacked));
    NAC_TRY(read_list(lowering, "scan_output_directions", directions, r->stacked));
    NAC_TRY(start(lowering, r, 0));
    NAC_TRY(check_rounds(lowering, length, 1));
    while (r->count < length) {
        const int nodes = lowering->round_nodes;
        for (int i = 0; i < scanned_count; ++i) NAC_TRY(give_element(lowering, &inputs[i], r->carried + i, r->count));
        NAC_TRY(go_round(lowering, r, 0, 0));
        NAC_TRY(check_rounds(lowering, length - r->count, lowering->round_nodes - nodes));
    }
    for (int i = 0; i < r->carried; ++i) NAC_TRY(nac_lower_pass(lowering, i, r->state[i]));
    for (int i = 0; i < r->stacked; ++i) NAC_TRY(bind_stack(lowering, r, i, axes[i], directions[i] != 0));
    return NAC_OK;
}

nac_status nac_lower_Scan(nac_lowering *lowering) {
    const nac_onnx_node *node = lowering->node;
    const int own = node->input_count - node->body->result_count;
    int64_t count;
    if (lowering->model->opset < 9) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "it is another operator before opset 9");
    NAC_TRY(nac_attribute_int(lowering, "num_scan_inputs", 0, &count));
    if (count < 1 || count > own) return nac_lower_fail(lowering, NAC_MALFORMED, "%lld of %d inputs are scanned", (long long)count, own);
    rounds r = {.own = own, .carried = own - (int)count};
    r.stacked = node->body->result_count - r.carried;
    NAC_TRY(check_counts(lowering, own, r.carried, r.carried + r.stacked));
    if (count > MAX_SCANNED || r.stacked > MAX_SCANNED)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%lld sequences and %d results; at most %d are supported", (long long)count, r.stacked,
                              (int)MAX_SCANNED);
    const nac_status status = scan(lowering, &r, (int)count);
    stop(&r);
    return status;
}
