/* einsum.c - Einsum of one or two operands: their axes are ordered and joined so that it is one MATMUL, as attention is.
 *
 * Every label of two operands is one of four kinds, by where it stands:
 *   batch       both operands and the result        K  both operands only
 *   M           the first and the result            N  the second and the result
 * and a [batch, M, K] times b [batch, K, N] is the result, but for the order of its axes. A label in one operand alone is
 * summed away first. The axes of an ellipsis are labelled with digits, counted from its right end, as broadcasting does. */
#include <stdio.h>
#include <string.h>

#include "ops/common.h"

/* The labels of one term of the equation, and the value whose axes they name. */
typedef struct term {
    char labels[NAC_MAX_RANK + 1]; /* NUL-terminated */
    int value;
} term;

static int find(const term *t, char label) {
    const char *at = strchr(t->labels, label);
    return at && *at ? (int)(at - t->labels) : NAC_NONE;
}

static int size_of(const nac_lowering *lowering, const term *t, int axis) { return lowering->graph->values[t->value].shape.dims[axis]; }

/* ---- The equation ------------------------------------------------------------------------------ */

/* The labels of an ellipsis of `count` axes: "210" for three. */
static nac_status add_ellipsis(nac_lowering *lowering, term *t, int *used, int count) {
    if (count < 0 || *used + count > NAC_MAX_RANK)
        return nac_lower_fail(lowering, NAC_MALFORMED, "an ellipsis of %d axes", count);
    while (count > 0) t->labels[(*used)++] = (char)('0' + --count);
    return NAC_OK;
}

/* One term, up to its end. `rank`: of the operand; NAC_NONE for the result, whose ellipsis has as many axes as the longest of an operand. */
static nac_status read_term(nac_lowering *lowering, const char **text, int rank, int *longest, term *t) {
    const char *end = *text;
    int letters = 0, used = 0;
    for (; *end && *end != ',' && *end != '-'; ++end) letters += *end != ' ' && *end != '.';
    for (; *text < end; ++*text) {
        const char c = **text;
        if (c == ' ') continue;
        if (strncmp(*text, "...", 3) == 0) {
            if (rank != NAC_NONE && rank - letters > *longest) *longest = rank - letters;
            NAC_TRY(add_ellipsis(lowering, t, &used, rank == NAC_NONE ? *longest : rank - letters));
            *text += 2;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "'%c' in the equation; only letters and an ellipsis are supported", c);
        if (used == NAC_MAX_RANK) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "more than %d axes", NAC_MAX_RANK);
        if (memchr(t->labels, c, (size_t)used)) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "axis '%c' twice in one term", c);
        t->labels[used++] = c;
    }
    t->labels[used] = '\0';
    if (rank != NAC_NONE && used != rank) return nac_lower_fail(lowering, NAC_MALFORMED, "term '%s' for an operand of rank %d", t->labels, rank);
    return NAC_OK;
}

/* Without "->" the result has the ellipsis and then the labels that occur once, in alphabetical order. */
static nac_status imply_result(nac_lowering *lowering, const term *operands, int count, int longest, term *result) {
    int used = 0;
    NAC_TRY(add_ellipsis(lowering, result, &used, longest));
    for (int c = 'A'; c <= 'z' && used < NAC_MAX_RANK; ++c) {
        int seen = 0;
        for (int i = 0; i < count; ++i) seen += find(&operands[i], (char)c) != NAC_NONE;
        if (seen == 1) result->labels[used++] = (char)c;
    }
    result->labels[used] = '\0';
    return NAC_OK;
}

static nac_status read_equation(nac_lowering *lowering, term *operands, int count, term *result) {
    const char *text;
    size_t length;
    int longest = 0;
    NAC_TRY(nac_attribute_string(lowering, "equation", &text, &length));
    for (int i = 0; i < count; ++i) {
        NAC_TRY(nac_lower_float(lowering, i, &operands[i].value));
        NAC_TRY(nac_as_row_major(lowering, operands[i].value, &operands[i].value));
        NAC_TRY(read_term(lowering, &text, lowering->graph->values[operands[i].value].shape.rank, &longest, &operands[i]));
        if (i < count - 1 && *text++ != ',') return nac_lower_fail(lowering, NAC_MALFORMED, "%d operands, but fewer terms", count);
    }
    if (text[0] == '\0') return imply_result(lowering, operands, count, longest, result);
    if (text[0] != '-' || text[1] != '>') return nac_lower_fail(lowering, NAC_MALFORMED, "the equation's terms do not fit %d operands", count);
    text += 2;
    NAC_TRY(read_term(lowering, &text, NAC_NONE, &longest, result));
    if (*text) return nac_lower_fail(lowering, NAC_MALFORMED, "the equation has two results");
    for (const char *label = result->labels; *label; ++label) {
        bool known = false;
        for (int i = 0; i < count; ++i) known = known || find(&operands[i], *label) != NAC_NONE;
        if (!known) return nac_lower_fail(lowering, NAC_MALFORMED, "axis '%c' of the result is in no operand", *label);
    }
    return NAC_OK;
}

/* ---- Axes -------------------------------------------------------------------------------------- */

/* Brings a term's axes into the order of `labels`, which has the same letters. */
static nac_status permute(nac_lowering *lowering, term *t, const char *labels) {
    const nac_shape from = lowering->graph->values[t->value].shape;
    nac_shape to = {.rank = from.rank};
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, NULL);
    bool moves = false;
    for (int i = 0; i < to.rank; ++i) {
        const int axis = find(t, labels[i]);
        node.u.transpose.perm[i] = axis;
        to.dims[i] = from.dims[axis];
        moves = moves || axis != i;
    }
    memmove(t->labels, labels, strlen(labels) + 1);
    return moves ? nac_lower_emit(lowering, node, &t->value, 1, &to, NAC_ROW_MAJOR, &t->value) : NAC_OK;
}

/* Sums over the axes that neither the result nor the other operand (NULL: none) has. */
static nac_status sum_alone(nac_lowering *lowering, term *t, const term *other, const term *result) {
    nac_shape kept = lowering->graph->values[t->value].shape, dropped = {0};
    nac_node node = nac_node_make(NAC_OP_REDUCE, NULL);
    node.u.reduce.scale = 1;
    term left = {.value = t->value};
    for (int i = 0; i < kept.rank; ++i) {
        const char label = t->labels[i];
        if (find(result, label) != NAC_NONE || (other && find(other, label) != NAC_NONE)) {
            left.labels[dropped.rank] = label;
            dropped.dims[dropped.rank++] = kept.dims[i];
            continue;
        }
        node.u.reduce.axes[i] = true;
        kept.dims[i] = 1;
    }
    if (dropped.rank == kept.rank) return NAC_OK;
    NAC_TRY(nac_lower_emit(lowering, node, &t->value, 1, &kept, NAC_ROW_MAJOR, &left.value));
    NAC_TRY(nac_lower_reshape(lowering, left.value, &dropped, &left.value));
    *t = left;
    return NAC_OK;
}

/* ---- Two operands ------------------------------------------------------------------------------ */

typedef enum kind { BATCH, ONE, BOTH, KIND_COUNT } kind; /* M or N; K */

static kind kind_of(char label, const term *other, const term *result) {
    if (find(other, label) == NAC_NONE) return ONE;
    return find(result, label) == NAC_NONE ? BOTH : BATCH;
}

/* Orders the operand's axes as [batch, first, second], joins each kind to one axis, and notes their sizes. Labels of a kind keep the
 * order of `order`, so that both operands agree. */
static nac_status join_kinds(nac_lowering *lowering, term *t, const term *other, const term *result, const kind *kinds, const char *order,
                             int sizes[KIND_COUNT]) {
    char labels[NAC_MAX_RANK + 1] = "";
    int count = 0;
    for (int k = 0; k < KIND_COUNT; ++k) {
        sizes[kinds[k]] = 1;
        for (const char *label = order; *label; ++label) {
            const int axis = find(t, *label);
            if (axis == NAC_NONE || memchr(labels, *label, (size_t)count) || kind_of(*label, other, result) != kinds[k]) continue;
            sizes[kinds[k]] *= size_of(lowering, t, axis);
            labels[count++] = *label;
        }
    }
    labels[count] = '\0';
    NAC_TRY(permute(lowering, t, labels));
    const nac_shape joined = nac_shape_make(KIND_COUNT, (const int[]){sizes[kinds[0]], sizes[kinds[1]], sizes[kinds[2]]});
    return nac_lower_reshape(lowering, t->value, &joined, &t->value);
}

static nac_status multiply(nac_lowering *lowering, term *a, term *b, const term *result, int *y) {
    const term left = *a, right = *b;
    for (const char *label = left.labels; *label; ++label) {
        const int axis = find(&right, *label);
        if (axis != NAC_NONE && size_of(lowering, &right, axis) != size_of(lowering, &left, find(&left, *label)))
            return nac_lower_fail(lowering, NAC_MALFORMED, "axis '%c' has size %d and %d", *label, size_of(lowering, &left, find(&left, *label)),
                                  size_of(lowering, &right, axis));
    }
    /* The result's order first, so that what comes out needs no other one where that is possible. */
    char order[3 * NAC_MAX_RANK + 1];
    (void)snprintf(order, sizeof order, "%s%s%s", result->labels, left.labels, right.labels);
    int a_sizes[KIND_COUNT], b_sizes[KIND_COUNT];
    NAC_TRY(join_kinds(lowering, a, &right, result, (const kind[]){BATCH, ONE, BOTH}, order, a_sizes));
    NAC_TRY(join_kinds(lowering, b, &left, result, (const kind[]){BATCH, BOTH, ONE}, order, b_sizes));
    const nac_shape product = nac_shape_make(3, (const int[]){a_sizes[BATCH], a_sizes[ONE], b_sizes[ONE]});
    term made = {.value = NAC_NONE};
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_MATMUL, NULL), (const int[]){a->value, b->value}, 2, &product, NAC_ROW_MAJOR,
                           &made.value));
    /* Apart again: [batch..., M..., N...]. */
    nac_shape apart = {.rank = 0};
    for (int part = 0; part < 3; ++part) {
        const term *from = part == 2 ? &right : &left;
        const term *other = part == 2 ? &left : &right;
        for (const char *label = result->labels; *label; ++label) {
            const int axis = find(from, *label);
            if (axis == NAC_NONE || kind_of(*label, other, result) != (part == 0 ? BATCH : ONE)) continue;
            made.labels[apart.rank] = *label;
            apart.dims[apart.rank++] = part == 2 ? lowering->graph->values[right.value].shape.dims[axis]
                                                 : lowering->graph->values[left.value].shape.dims[axis];
        }
    }
    NAC_TRY(nac_lower_reshape(lowering, made.value, &apart, &made.value));
    NAC_TRY(permute(lowering, &made, result->labels));
    *y = made.value;
    return NAC_OK;
}

nac_status nac_lower_Einsum(nac_lowering *lowering) {
    term operands[2], result = {.value = NAC_NONE};
    const int count = lowering->node->input_count;
    if (count != 1 && count != 2) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%d operands; one or two are supported", count);
    NAC_TRY(read_equation(lowering, operands, count, &result));
    int y;
    for (int i = 0; i < count; ++i) NAC_TRY(sum_alone(lowering, &operands[i], count == 2 ? &operands[1 - i] : NULL, &result));
    if (count == 2) {
        NAC_TRY(multiply(lowering, &operands[0], &operands[1], &result, &y));
    } else {
        NAC_TRY(permute(lowering, &operands[0], result.labels));
        y = operands[0].value;
    }
    return nac_lower_bind(lowering, 0, y);
}
