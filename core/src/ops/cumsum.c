/* cumsum.c - CumSum: sums along an axis, up to each element. Of the image it is a product with a triangle of ones, whose gradient, the product with the
 * other triangle, sums from the other end. Of constants (encodings of positions count what is not masked) it is summed at once, integers exactly. */
#include <string.h>

#include "ops/common.h"

typedef struct cumulation {
    int axis;
    bool exclusive; /* without the element itself */
    bool reverse;   /* from the end */
} cumulation;

/* ---- Constants ---------------------------------------------------------------------------------- */

/* `count` elements, `stride` apart, from the first one on. False where an integer overflows. */
static bool sum_row(const nac_value *from, void *to, size_t first, size_t stride, int count, const cumulation *c) {
    double real = 0;
    int64_t whole = 0;
    for (int i = 0; i < count; ++i) {
        const size_t at = first + stride * (size_t)(c->reverse ? count - 1 - i : i);
        const double real_before = real;
        const int64_t whole_before = whole;
        if (from->type == NAC_F32) {
            real += (double)((const float *)from->data)[at];
            ((float *)to)[at] = (float)(c->exclusive ? real_before : real);
        } else {
            if (__builtin_add_overflow(((const int64_t *)from->data)[at], whole, &whole)) return false;
            ((int64_t *)to)[at] = c->exclusive ? whole_before : whole;
        }
    }
    return true;
}

static nac_status sum_constant(nac_lowering *lowering, int x, const cumulation *c, int *y) {
    NAC_TRY(nac_as_row_major(lowering, x, &x));
    const nac_value v = lowering->graph->values[x];
    const size_t size = (size_t)v.shape.dims[c->axis], count = nac_elements(&v.shape);
    size_t inner = 1;
    for (int i = c->axis + 1; i < v.shape.rank; ++i) inner *= (size_t)v.shape.dims[i];
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, v.type, &v.shape, NAC_ROW_MAJOR, y, lowering->error));
    for (size_t outer = 0; outer < count; outer += size * inner)
        for (size_t i = 0; i < inner; ++i)
            if (!sum_row(&v, lowering->graph->values[*y].data, outer + i, inner, (int)size, c))
                return nac_lower_fail(lowering, NAC_MALFORMED, "the sums do not fit 64 bits");
    return NAC_OK;
}

/* ---- The image ---------------------------------------------------------------------------------- */

/* [L, L]: which elements (rows) each sum (column) has. */
static nac_status add_triangle(nac_lowering *lowering, int L, const cumulation *c, int *triangle) {
    const nac_shape shape = nac_shape_make(2, (const int[]){L, L});
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, triangle, lowering->error));
    float *ones = nac_data(lowering->graph, *triangle);
    for (int row = 0; row < L; ++row)
        for (int column = 0; column < L; ++column) {
            const int ahead = c->reverse ? row - column : column - row;
            *ones++ = ahead > 0 || (ahead == 0 && !c->exclusive) ? 1.0f : 0.0f;
        }
    return NAC_OK;
}

/* x with `axis` and its last axis exchanged. */
static nac_status exchange(nac_lowering *lowering, int x, int axis, nac_layout layout, int *result) {
    nac_shape shape = lowering->graph->values[x].shape;
    const int last = shape.rank - 1, size = shape.dims[axis];
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, NULL);
    *result = x;
    if (axis == last) return NAC_OK;
    for (int i = 0; i <= last; ++i) node.u.transpose.perm[i] = i == axis ? last : i == last ? axis : i;
    shape.dims[axis] = shape.dims[last];
    shape.dims[last] = size;
    return nac_lower_emit(lowering, node, &x, 1, &shape, layout, result);
}

/* In the image's memory order: along its channels, or along rows. */
static nac_status sum_image(nac_lowering *lowering, int x, const cumulation *c, int *y) {
    enum { LONGEST = 4096 }; /* a triangle of 64 MiB */
    const nac_value v = lowering->graph->values[x];
    const int axis = nac_physical_axis(v.layout, c->axis), L = v.shape.dims[axis];
    int triangle;
    if (L > LONGEST) return nac_lower_fail(lowering, NAC_LIMIT_EXCEEDED, "sums along %d elements; at most %d are supported", L, (int)LONGEST);
    NAC_TRY(add_triangle(lowering, L, c, &triangle));
    NAC_TRY(exchange(lowering, x, axis, NAC_ROW_MAJOR, &x));
    const nac_shape rows = lowering->graph->values[x].shape, matrix = nac_shape_make(2, (const int[]){(int)(nac_elements(&rows) / (size_t)L), L});
    NAC_TRY(nac_lower_reshape(lowering, x, &matrix, &x));
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_MATMUL, NULL), (const int[]){x, triangle}, 2, &matrix, NAC_ROW_MAJOR, &x));
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_RESHAPE, NULL), &x, 1, &rows, axis == rows.rank - 1 ? v.layout : NAC_ROW_MAJOR, &x));
    return exchange(lowering, x, axis, v.layout, y);
}

nac_status nac_lower_CumSum(nac_lowering *lowering) {
    int x, y, input, count;
    int64_t axis, exclusive, reverse;
    cumulation c;
    NAC_TRY(nac_lower_input(lowering, 0, &x));
    NAC_TRY(nac_lower_input(lowering, 1, &input));
    NAC_TRY(nac_lower_ints(lowering, input, "the axis", &axis, 1, &count));
    NAC_TRY(nac_attribute_int(lowering, "exclusive", 0, &exclusive));
    NAC_TRY(nac_attribute_int(lowering, "reverse", 0, &reverse));
    NAC_TRY(nac_lower_axis(lowering, axis, lowering->graph->values[x].shape.rank, &c.axis));
    c.exclusive = exclusive != 0;
    c.reverse = reverse != 0;
    NAC_TRY(lowering->graph->values[x].constant ? sum_constant(lowering, x, &c, &y) : sum_image(lowering, x, &c, &y));
    return nac_lower_bind(lowering, 0, y);
}
