/* recurrent.c - RNN, GRU and LSTM over a sequence whose length is known: its steps one after the other, composed of products, sums and functions of
 * one number, as if the exporter had written them. What of a step depends on the sequence alone is one product for all steps. */
#include <string.h>

#include "ops/common.h"

enum { MAX_ACTIVATIONS = 3, MAX_DIRECTIONS = 2 };

/* ---- Cells ------------------------------------------------------------------------------------- */

/* One direction of a layer. Gates lie side by side, each of H numbers: [N, gates * H]. */
typedef struct layer {
    int N, H;
    int weights[2];       /* of the state: [gates * H, H]; of a GRU that resets first, those of its last gate apart */
    int bias;             /* of the product with the state, [gates * H], or NAC_NONE: it is in `x` */
    nac_unary activations[MAX_ACTIVATIONS];
} layer;

/* `x`: the step's share of the sequence [N, gates * H], with biases. states: h [N, H] and, of an LSTM, c, both replaced by the next. */
typedef nac_status (*step_function)(nac_lowering *lowering, const layer *l, int x, int states[2]);

typedef struct cell {
    step_function step;
    int gates, states, activations;
    nac_unary defaults[MAX_ACTIVATIONS];
} cell;

/* [N, H] times some gates' weights: [N, some * H]. */
static nac_status times_weights(nac_lowering *lowering, const layer *l, int a, int weights, int *y) {
    const int inputs[3] = {a, weights, l->bias};
    const nac_shape shape = nac_shape_make(2, (const int[]){l->N, lowering->graph->values[weights].shape.dims[0]});
    nac_node node = nac_node_make(NAC_OP_MATMUL, NULL);
    node.u.matmul.transpose_b = true;
    return nac_lower_emit(lowering, node, inputs, l->bias == NAC_NONE ? 2 : 3, &shape, NAC_ROW_MAJOR, y);
}

static nac_status gates(nac_lowering *lowering, const layer *l, int x, int first, int count, int *y) {
    return nac_lower_stretch(lowering, x, 1, first * l->H, count * l->H, y);
}

static nac_status activate(nac_lowering *lowering, const layer *l, int which, int x, int *y) {
    const nac_unary kind = l->activations[which];
    return nac_lower_unary(lowering, kind, 0, kind == NAC_UNARY_CLAMP ? INFINITY : 0, x, y);
}

/* h' = f(x + R h) */
static nac_status step_rnn(nac_lowering *lowering, const layer *l, int x, int states[2]) {
    int y;
    NAC_TRY(times_weights(lowering, l, states[0], l->weights[0], &y));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, x, y, &y));
    return activate(lowering, l, 0, y, &states[0]);
}

/* h' = n + z (h - n), with z, r = f(x + R h) and n = g(x + r (R h)), or g(x + R (r h)) where there is no bias of its own for R h. */
static nac_status step_gru(nac_lowering *lowering, const layer *l, int x, int states[2]) {
    const bool reset_last = l->bias != NAC_NONE;
    int h = states[0], part, product, z, r, n;
    NAC_TRY(times_weights(lowering, l, h, l->weights[0], &product));
    NAC_TRY(gates(lowering, l, x, 0, 2, &part));
    NAC_TRY(gates(lowering, l, product, 0, 2, &z));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, part, z, &z));
    NAC_TRY(activate(lowering, l, 0, z, &z));
    NAC_TRY(gates(lowering, l, z, 1, 1, &r));
    NAC_TRY(gates(lowering, l, z, 0, 1, &z));
    if (reset_last) {
        NAC_TRY(gates(lowering, l, product, 2, 1, &n));
        NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, r, n, &n));
    } else {
        NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, r, h, &n));
        NAC_TRY(times_weights(lowering, l, n, l->weights[1], &n));
    }
    NAC_TRY(gates(lowering, l, x, 2, 1, &part));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, part, n, &n));
    NAC_TRY(activate(lowering, l, 1, n, &n));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_SUB, h, n, &h));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, z, h, &h));
    return nac_lower_combine(lowering, NAC_BINARY_ADD, n, h, &states[0]);
}

/* c' = f c + i g(.), h' = o h(c'), with i, o, f = f(x + R h) */
static nac_status step_lstm(nac_lowering *lowering, const layer *l, int x, int states[2]) {
    int sum, open, input, output, forget, candidate;
    NAC_TRY(times_weights(lowering, l, states[0], l->weights[0], &sum));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, x, sum, &sum));
    NAC_TRY(gates(lowering, l, sum, 0, 3, &open));
    NAC_TRY(gates(lowering, l, sum, 3, 1, &candidate));
    NAC_TRY(activate(lowering, l, 0, open, &open));
    NAC_TRY(activate(lowering, l, 1, candidate, &candidate));
    NAC_TRY(gates(lowering, l, open, 0, 1, &input));
    NAC_TRY(gates(lowering, l, open, 1, 1, &output));
    NAC_TRY(gates(lowering, l, open, 2, 1, &forget));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, forget, states[1], &forget));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_MUL, input, candidate, &candidate));
    NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, forget, candidate, &states[1]));
    NAC_TRY(activate(lowering, l, 2, states[1], &candidate));
    return nac_lower_combine(lowering, NAC_BINARY_MUL, output, candidate, &states[0]);
}

static const cell RNN = {step_rnn, 1, 1, 1, {NAC_UNARY_TANH}};
static const cell GRU = {step_gru, 3, 1, 2, {NAC_UNARY_SIGMOID, NAC_UNARY_TANH}};
static const cell LSTM = {step_lstm, 4, 2, 3, {NAC_UNARY_SIGMOID, NAC_UNARY_TANH, NAC_UNARY_TANH}};

/* ---- Attributes and inputs --------------------------------------------------------------------- */

/* A node with its attributes: D directions over T steps of N sequences, each of I numbers; states of H. */
typedef struct recurrence {
    const cell *cell;
    int T, N, I, H, D;
    bool reverse;     /* of its only direction */
    bool batch_first; /* layout 1 */
    bool reset_last;  /* GRU's linear_before_reset */
    nac_unary activations[MAX_DIRECTIONS * MAX_ACTIVATIONS];
    int x;            /* [T, N, I] */
    int states[2];    /* [D, N, H] or NAC_NONE: zeros */
} recurrence;

/* "Relu" is a CLAMP. */
static nac_status read_activations(nac_lowering *lowering, recurrence *r) {
    static const struct {
        const char *name;
        nac_unary kind;
    } known[] = {{"Relu", NAC_UNARY_CLAMP}, {"Sigmoid", NAC_UNARY_SIGMOID}, {"Tanh", NAC_UNARY_TANH}};
    const char *const *names;
    const int wanted = r->D * r->cell->activations;
    int count;
    NAC_TRY(nac_attribute_strings(lowering, "activations", &names, &count));
    if (count != 0 && count != wanted) return nac_lower_fail(lowering, NAC_MALFORMED, "%d activations where %d are needed", count, wanted);
    for (int i = 0; i < wanted; ++i) {
        size_t k = 0;
        r->activations[i] = r->cell->defaults[i % r->cell->activations];
        if (count == 0) continue;
        while (k < NAC_COUNT(known) && strcmp(names[i], known[k].name) != 0) ++k;
        if (k == NAC_COUNT(known))
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "activation '%.20s'; Relu, Sigmoid and Tanh are supported", names[i]);
        r->activations[i] = known[k].kind;
    }
    return NAC_OK;
}

static nac_status read_attributes(nac_lowering *lowering, recurrence *r) {
    const char *direction;
    size_t length;
    int64_t layout, reset_last, coupled;
    float clip;
    NAC_TRY(nac_attribute_string(lowering, "direction", &direction, &length));
    NAC_TRY(nac_attribute_int(lowering, "layout", 0, &layout));
    NAC_TRY(nac_attribute_int(lowering, "linear_before_reset", 0, &reset_last));
    NAC_TRY(nac_attribute_int(lowering, "input_forget", 0, &coupled));
    NAC_TRY(nac_attribute_float(lowering, "clip", 0, &clip));
    r->reverse = length > 0 && strcmp(direction, "reverse") == 0;
    r->D = length > 0 && strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    if (length > 0 && !r->reverse && r->D == 1 && strcmp(direction, "forward") != 0)
        return nac_lower_fail(lowering, NAC_MALFORMED, "direction is '%.20s'", direction);
    if (coupled != 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input_forget is not supported");
    if (clip != 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "clip is not supported");
    r->batch_first = layout != 0;
    r->reset_last = r->cell == &GRU && reset_last != 0;
    return read_activations(lowering, r);
}

static nac_status transpose(nac_lowering *lowering, int x, const int *perm, int *result) {
    const nac_shape from = lowering->graph->values[x].shape;
    nac_shape to = {.rank = from.rank};
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, NULL);
    for (int i = 0; i < from.rank; ++i) {
        node.u.transpose.perm[i] = perm[i];
        to.dims[i] = from.dims[perm[i]];
    }
    return nac_lower_emit(lowering, node, &x, 1, &to, NAC_ROW_MAJOR, result);
}

static const int exchanged[3] = {1, 0, 2};

static nac_status check_shape(nac_lowering *lowering, int value, const char *what, const nac_shape *wanted) {
    const nac_value *v = &lowering->graph->values[value];
    char text[NAC_SHAPE_TEXT], wanted_text[NAC_SHAPE_TEXT];
    if (v->type == NAC_F32 && nac_shape_equal(&v->shape, wanted)) return NAC_OK;
    return nac_lower_fail(lowering, NAC_MALFORMED, "%s has shape %s where float32 %s is needed", what, nac_shape_text(&v->shape, text),
                          nac_shape_text(wanted, wanted_text));
}

static nac_status read_sequence(nac_lowering *lowering, recurrence *r) {
    NAC_TRY(nac_lower_float(lowering, 0, &r->x));
    NAC_TRY(nac_as_row_major(lowering, r->x, &r->x));
    const int rank = lowering->graph->values[r->x].shape.rank;
    if (rank != 3) return nac_lower_fail(lowering, NAC_MALFORMED, "the sequence has rank %d; 3 is needed", rank);
    if (r->batch_first) NAC_TRY(transpose(lowering, r->x, exchanged, &r->x));
    const int *d = lowering->graph->values[r->x].shape.dims;
    r->T = d[0];
    r->N = d[1];
    r->I = d[2];
    return NAC_OK;
}

/* Whether all sequences are as long as they can be. */
static nac_status check_lengths(nac_lowering *lowering, const recurrence *r) {
    int lengths;
    if (nac_lower_optional(lowering, 4) == NAC_NONE) return NAC_OK;
    NAC_TRY(nac_lower_constant(lowering, 4, &lengths));
    const nac_value *v = &lowering->graph->values[lengths];
    for (int i = 0; i < (int)nac_elements(&v->shape); ++i)
        if (nac_number_at(v, i) != r->T)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a sequence of %g of %d steps; only whole sequences are supported", nac_number_at(v, i),
                                  r->T);
    return NAC_OK;
}

static nac_status read_states(nac_lowering *lowering, recurrence *r) {
    const nac_shape wanted = nac_shape_make(3, (const int[]){r->D, r->N, r->H});
    for (int i = 0; i < r->cell->states; ++i) {
        r->states[i] = nac_lower_optional(lowering, 5 + i);
        if (r->states[i] == NAC_NONE) continue;
        NAC_TRY(nac_as_row_major(lowering, r->states[i], &r->states[i]));
        const bool turned = r->batch_first && lowering->graph->values[r->states[i]].shape.rank == 3;
        if (turned) NAC_TRY(transpose(lowering, r->states[i], exchanged, &r->states[i]));
        NAC_TRY(check_shape(lowering, r->states[i], i == 0 ? "initial_h" : "initial_c", &wanted));
    }
    return NAC_OK;
}

static nac_status read_recurrence(nac_lowering *lowering, recurrence *r) {
    int weights;
    NAC_TRY(read_attributes(lowering, r));
    NAC_TRY(read_sequence(lowering, r));
    NAC_TRY(check_lengths(lowering, r));
    NAC_TRY(nac_lower_constant(lowering, 2, &weights)); /* [D, gates * H, H] */
    const nac_shape shape = lowering->graph->values[weights].shape;
    r->H = shape.rank == 3 ? shape.dims[1] / r->cell->gates : 0;
    const nac_shape wanted = nac_shape_make(3, (const int[]){r->D, r->cell->gates * r->H, r->H});
    NAC_TRY(check_shape(lowering, weights, "the matrix of the state", &wanted));
    if (r->cell == &LSTM && nac_lower_optional(lowering, 7) != NAC_NONE)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "peepholes are not supported");
    return read_states(lowering, r);
}

/* ---- Directions -------------------------------------------------------------------------------- */

/* value[direction] of [D, ...]. */
static nac_status of_direction(nac_lowering *lowering, int value, int direction, int *result) {
    nac_shape shape = lowering->graph->values[value].shape;
    NAC_TRY(nac_lower_stretch(lowering, value, 0, direction, 1, result));
    --shape.rank;
    memmove(shape.dims, shape.dims + 1, (size_t)shape.rank * sizeof *shape.dims);
    return nac_lower_reshape(lowering, *result, &shape, result);
}

/* Both biases, which input 3 holds behind each other, as one; but of a GRU that resets last the last gate's second stays apart. */
static nac_status read_biases(nac_lowering *lowering, const recurrence *r, int direction, int *of_input, int *of_state) {
    const int rows = r->cell->gates * r->H;
    const nac_shape wanted = nac_shape_make(2, (const int[]){r->D, 2 * rows});
    const float *given = NULL;
    float *first, *second;
    int input;
    if (nac_lower_optional(lowering, 3) != NAC_NONE) {
        NAC_TRY(nac_lower_constant(lowering, 3, &input));
        NAC_TRY(check_shape(lowering, input, "the bias", &wanted));
        given = nac_data(lowering->graph, input) + (size_t)direction * 2 * (size_t)rows;
    }
    NAC_TRY(nac_lower_add_vector(lowering, rows, of_input, &first));
    NAC_TRY(nac_lower_add_vector(lowering, rows, of_state, &second));
    for (int i = 0; given && i < rows; ++i) {
        const bool apart = r->reset_last && i >= 2 * r->H;
        first[i] = given[i] + (apart ? 0.0f : given[rows + i]);
        second[i] = apart ? given[rows + i] : 0.0f;
    }
    if (!r->reset_last) *of_state = NAC_NONE;
    return NAC_OK;
}

static nac_status read_weights(nac_lowering *lowering, const recurrence *r, int direction, layer *l) {
    int all;
    NAC_TRY(nac_lower_constant(lowering, 2, &all));
    NAC_TRY(of_direction(lowering, all, direction, &all));
    l->weights[0] = all;
    if (r->cell != &GRU || r->reset_last) return NAC_OK;
    NAC_TRY(nac_lower_stretch(lowering, all, 0, 0, 2 * r->H, &l->weights[0]));
    return nac_lower_stretch(lowering, all, 0, 2 * r->H, r->H, &l->weights[1]);
}

/* The sequence times the weights, with biases, for all steps: [T, N, gates * H]. */
static nac_status times_sequence(nac_lowering *lowering, const recurrence *r, int direction, int bias, int *y) {
    const int rows = r->cell->gates * r->H;
    const nac_shape wanted = nac_shape_make(3, (const int[]){r->D, rows, r->I}), shape = nac_shape_make(3, (const int[]){r->T, r->N, rows});
    nac_node node = nac_node_make(NAC_OP_MATMUL, NULL);
    node.u.matmul.transpose_b = true;
    int weights;
    NAC_TRY(nac_lower_constant(lowering, 1, &weights));
    NAC_TRY(check_shape(lowering, weights, "the matrix of the input", &wanted));
    NAC_TRY(of_direction(lowering, weights, direction, &weights));
    return nac_lower_emit(lowering, node, (const int[]){r->x, weights, bias}, 3, &shape, NAC_ROW_MAJOR, y);
}

/* All steps. outputs[t]: h of step t as [1, 1, N, H]; states: the last ones, [1, N, H]. */
static nac_status run_direction(nac_lowering *lowering, const recurrence *r, int direction, int *outputs, int states[2]) {
    const bool backwards = r->reverse || direction == 1;
    const nac_shape row = nac_shape_make(2, (const int[]){r->N, r->cell->gates * r->H}), state = nac_shape_make(2, (const int[]){r->N, r->H});
    const nac_shape output = nac_shape_make(4, (const int[]){1, 1, r->N, r->H}), last = nac_shape_make(3, (const int[]){1, r->N, r->H});
    layer l = {.N = r->N, .H = r->H};
    int bias, sequence, x;
    memcpy(l.activations, r->activations + direction * r->cell->activations, (size_t)r->cell->activations * sizeof *l.activations);
    NAC_TRY(read_biases(lowering, r, direction, &bias, &l.bias));
    NAC_TRY(times_sequence(lowering, r, direction, bias, &sequence));
    NAC_TRY(read_weights(lowering, r, direction, &l));
    for (int i = 0; i < r->cell->states; ++i) {
        if (r->states[i] != NAC_NONE) NAC_TRY(of_direction(lowering, r->states[i], direction, &states[i]));
        else NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &state, NAC_ROW_MAJOR, &states[i], lowering->error));
    }
    for (int i = 0; i < r->T; ++i) {
        const int t = backwards ? r->T - 1 - i : i;
        NAC_TRY(nac_lower_stretch(lowering, sequence, 0, t, 1, &x));
        NAC_TRY(nac_lower_reshape(lowering, x, &row, &x));
        NAC_TRY(r->cell->step(lowering, &l, x, states));
        NAC_TRY(nac_lower_reshape(lowering, states[0], &output, &outputs[t]));
    }
    for (int i = 0; i < r->cell->states; ++i) NAC_TRY(nac_lower_reshape(lowering, states[i], &last, &states[i]));
    return NAC_OK;
}

static nac_status concat(nac_lowering *lowering, const int *values, int count, int axis, int *result) {
    nac_shape shape = lowering->graph->values[values[0]].shape;
    nac_node node = nac_node_make(NAC_OP_CONCAT, NULL);
    node.u.concat.axis = axis;
    shape.dims[axis] *= count;
    *result = values[0];
    return count == 1 ? NAC_OK : nac_lower_emit(lowering, node, values, count, &shape, NAC_ROW_MAJOR, result);
}

/* Outputs: h of all steps [T, D, N, H], the last h [D, N, H] and, of an LSTM, the last c. */
static nac_status run_all(nac_lowering *lowering, const recurrence *r, int *outputs) {
    int all[MAX_DIRECTIONS] = {0}, last[2][MAX_DIRECTIONS] = {{0}}, y;
    for (int d = 0; d < r->D; ++d) {
        int states[2];
        NAC_TRY(run_direction(lowering, r, d, outputs, states));
        NAC_TRY(concat(lowering, outputs, r->T, 0, &all[d]));
        for (int i = 0; i < r->cell->states; ++i) last[i][d] = states[i];
    }
    NAC_TRY(concat(lowering, all, r->D, 1, &y));
    if (r->batch_first) NAC_TRY(transpose(lowering, y, (const int[]){2, 0, 1, 3}, &y));
    NAC_TRY(nac_lower_bind(lowering, 0, y));
    for (int i = 0; i < r->cell->states; ++i) {
        NAC_TRY(concat(lowering, last[i], r->D, 0, &y));
        if (r->batch_first) NAC_TRY(transpose(lowering, y, exchanged, &y));
        NAC_TRY(nac_lower_bind(lowering, 1 + i, y));
    }
    return NAC_OK;
}

static nac_status lower_recurrence(nac_lowering *lowering, const cell *of) {
    recurrence r = {.cell = of};
    NAC_TRY(read_recurrence(lowering, &r));
    int *outputs = nac_alloc_array((size_t)r.T, sizeof *outputs);
    if (!outputs) return nac_out_of_memory(lowering->error, "the steps of a sequence");
    const nac_status status = run_all(lowering, &r, outputs);
    nac_free(outputs);
    return status;
}

nac_status nac_lower_GRU(nac_lowering *lowering) { return lower_recurrence(lowering, &GRU); }
nac_status nac_lower_LSTM(nac_lowering *lowering) { return lower_recurrence(lowering, &LSTM); }
nac_status nac_lower_RNN(nac_lowering *lowering) { return lower_recurrence(lowering, &RNN); }
