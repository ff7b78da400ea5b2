/* resize.c - Resize and its predecessor Upsample, by nearest, linear and cubic interpolation. Each is linear in the image, one axis after the
 * other: a product with a constant matrix, whose gradient is MATMUL's. */
#include <limits.h>
#include <string.h>

#include "ops/common.h"

typedef enum interpolation { NEAREST, LINEAR, CUBIC } interpolation;

/* How an output's position becomes the input's. */
typedef enum coordinates { HALF_PIXEL, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC } coordinates;

/* What becomes of a position halfway between two pixels, or anywhere between them. */
typedef enum nearest { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL } nearest;

typedef struct resizing {
    interpolation mode;
    coordinates coordinates;
    nearest nearest;
    double cubic;        /* the kernel's free parameter */
    bool excludes;       /* weights of pixels outside are left out, instead of given to the nearest one inside */
} resizing;

/* ---- Attributes -------------------------------------------------------------------------------- */

/* The index of an attribute's text among `choices`, which end with NULL; 0 where it is absent. */
static nac_status read_choice(nac_lowering *lowering, const char *name, const char *const *choices, int *index) {
    const char *text;
    size_t length;
    *index = 0;
    NAC_TRY(nac_attribute_string(lowering, name, &text, &length));
    if (length == 0) return NAC_OK;
    while (choices[*index] && strcmp(choices[*index], text) != 0) ++*index;
    return choices[*index] ? NAC_OK : nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s '%.30s' is not supported", name, text);
}

static nac_status read_resizing(nac_lowering *lowering, resizing *r) {
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const places[] = {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", NULL};
    static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    static const char *const policies[] = {"stretch", NULL};
    int mode, place, rounding, policy;
    int64_t antialias, exclude;
    float cubic;
    NAC_TRY(read_choice(lowering, "mode", modes, &mode));
    NAC_TRY(read_choice(lowering, "coordinate_transformation_mode", places, &place));
    NAC_TRY(read_choice(lowering, "nearest_mode", nearests, &rounding));
    NAC_TRY(read_choice(lowering, "keep_aspect_ratio_policy", policies, &policy));
    NAC_TRY(nac_attribute_int(lowering, "antialias", 0, &antialias));
    NAC_TRY(nac_attribute_int(lowering, "exclude_outside", 0, &exclude));
    NAC_TRY(nac_attribute_float(lowering, "cubic_coeff_a", -0.75f, &cubic));
    if (antialias != 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "antialias is not supported");
    *r = (resizing){(interpolation)mode, (coordinates)place, (nearest)rounding, (double)cubic, exclude != 0};
    if (lowering->model->opset < 11) { /* Upsample, and the first Resize: as that of opset 11 is with these */
        r->coordinates = ASYMMETRIC;
        r->nearest = FLOOR;
    }
    return NAC_OK;
}

/* ---- One axis ---------------------------------------------------------------------------------- */

static double position_of(const resizing *r, int i, int from, int to, double scale) {
    switch (r->coordinates) {
    case ALIGN_CORNERS: return to == 1 ? 0 : (double)i * (from - 1) / (to - 1);
    case ASYMMETRIC: return i / scale;
    case PYTORCH_HALF_PIXEL:
        if (to == 1) return 0;
        break;
    case HALF_PIXEL: break;
    }
    return (i + 0.5) / scale - 0.5;
}

static int nearest_to(nearest rule, double position) {
    switch (rule) {
    case FLOOR: return (int)floor(position);
    case CEIL: return (int)ceil(position);
    case ROUND_PREFER_CEIL: return (int)floor(position + 0.5);
    case ROUND_PREFER_FLOOR: break;
    }
    return (int)ceil(position - 0.5);
}

/* Keys' kernel at a distance from its middle. */
static double cubic_weight(double a, double distance) {
    const double d = fabs(distance);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Column i of [from, to]: the weights of the input's positions in output i. */
static void fill_column(const resizing *r, float *matrix, int from, int to, int i, double position) {
    const int base = (int)floor(position), reach = r->mode == CUBIC ? 2 : 1;
    double sum = 0;
    if (r->mode == NEAREST) {
        const int at = nearest_to(r->nearest, position);
        matrix[(at < 0 ? 0 : nac_min_int(at, from - 1)) * to + i] = 1;
        return;
    }
    for (int pass = 0; pass < 2; ++pass) /* the sum first */
        for (int k = base - reach + 1; k <= base + reach; ++k) {
            if (r->excludes && (k < 0 || k >= from)) continue;
            const double distance = position - k, weight = r->mode == CUBIC ? cubic_weight(r->cubic, distance) : 1 - fabs(distance);
            if (pass == 0) sum += weight;
            else matrix[(k < 0 ? 0 : nac_min_int(k, from - 1)) * to + i] += (float)(r->excludes ? weight / sum : weight);
        }
}

static nac_status resize_axis(nac_lowering *lowering, const resizing *r, int axis, int to, double scale, int *x) {
    nac_graph *graph = lowering->graph;
    const nac_shape shape = graph->values[*x].shape;
    const int last = shape.rank - 1, from = shape.dims[axis];
    const nac_shape size = nac_shape_make(2, (const int[]){from, to});
    int matrix;
    NAC_TRY(nac_graph_add_constant(graph, NULL, NAC_F32, &size, NAC_ROW_MAJOR, &matrix, lowering->error));
    for (int i = 0; i < to; ++i) fill_column(r, nac_data(graph, matrix), from, to, i, position_of(r, i, from, to, scale));

    /* The axis to the end and back again. */
    nac_node swap = nac_node_make(NAC_OP_TRANSPOSE, NULL);
    for (int i = 0; i < shape.rank; ++i) swap.u.transpose.perm[i] = i == axis ? last : i == last ? axis : i;
    nac_shape turned = shape, result = shape;
    turned.dims[axis] = shape.dims[last];
    turned.dims[last] = from;
    result.dims[axis] = to;
    if (axis != last) NAC_TRY(nac_lower_emit(lowering, swap, x, 1, &turned, NAC_ROW_MAJOR, x));
    turned.dims[last] = to;
    NAC_TRY(nac_lower_emit(lowering, nac_node_make(NAC_OP_MATMUL, NULL), (const int[]){*x, matrix}, 2, &turned, NAC_ROW_MAJOR, x));
    return axis == last ? NAC_OK : nac_lower_emit(lowering, swap, x, 1, &result, NAC_ROW_MAJOR, x);
}

/* ---- Sizes ------------------------------------------------------------------------------------- */

/* The axes that scales and sizes are of: all, or since opset 18 those of an attribute. */
static nac_status read_resized_axes(nac_lowering *lowering, int rank, int *axes, int *count) {
    int64_t given[NAC_MAX_RANK];
    NAC_TRY(nac_attribute_ints(lowering, "axes", given, NAC_MAX_RANK, count));
    for (int i = 0; i < *count; ++i) NAC_TRY(nac_lower_axis(lowering, given[i], rank, &axes[i]));
    if (*count > 0) return NAC_OK;
    *count = rank;
    for (int i = 0; i < rank; ++i) axes[i] = i;
    return NAC_OK;
}

/* Size and scale of every axis, from input `scale_input` or, where that is absent, from the sizes behind it. */
static nac_status read_sizes(nac_lowering *lowering, const nac_shape *from, int scale_input, int *to, double *scales) {
    int axes[NAC_MAX_RANK], count, given;
    for (int i = 0; i < from->rank; ++i) to[i] = from->dims[i], scales[i] = 1;
    NAC_TRY(read_resized_axes(lowering, from->rank, axes, &count));
    const int scale = nac_lower_optional(lowering, scale_input), size = nac_lower_optional(lowering, scale_input + 1);
    if (scale == NAC_NONE && size == NAC_NONE) return nac_lower_fail(lowering, NAC_MALFORMED, "neither scales nor sizes are given");
    int64_t sizes[NAC_MAX_RANK];
    if (scale == NAC_NONE) {
        NAC_TRY(nac_lower_ints(lowering, size, "the sizes", sizes, NAC_MAX_RANK, &given));
    } else {
        const nac_value *value = &lowering->graph->values[scale];
        if (!value->constant || value->type != NAC_F32) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the scales must be a float32 constant");
        given = (int)nac_elements(&value->shape);
    }
    if (given != count) return nac_lower_fail(lowering, NAC_MALFORMED, "%d sizes or scales for %d axes", given, count);
    for (int i = 0; i < count; ++i) {
        const int axis = axes[i];
        const double wanted = scale == NAC_NONE ? (double)sizes[i] : floor(from->dims[axis] * (double)nac_data(lowering->graph, scale)[i]);
        if (!(wanted >= 1 && wanted <= INT_MAX)) return nac_lower_fail(lowering, NAC_MALFORMED, "axis %d would get a size of %g", axis, wanted);
        to[axis] = (int)wanted;
        scales[axis] = scale == NAC_NONE ? wanted / from->dims[axis] : (double)nac_data(lowering->graph, scale)[i];
    }
    return NAC_OK;
}

static nac_status lower_resize(nac_lowering *lowering, int scale_input) {
    int x, to[NAC_MAX_RANK];
    double scales[NAC_MAX_RANK];
    resizing r;
    NAC_TRY(nac_lower_float(lowering, 0, &x));
    NAC_TRY(read_resizing(lowering, &r));
    const nac_shape from = nac_logical_shape(&lowering->graph->values[x]);
    NAC_TRY(read_sizes(lowering, &from, scale_input, to, scales));
    for (int axis = 0; axis < from.rank; ++axis) {
        if (to[axis] == from.dims[axis] && scales[axis] == 1) continue; /* every rule leaves it as it is */
        NAC_TRY(nac_as_row_major(lowering, x, &x));
        NAC_TRY(resize_axis(lowering, &r, axis, to[axis], scales[axis], &x));
    }
    return nac_lower_bind(lowering, 0, x);
}

/* X, roi, scales, sizes; in opset 10 X, scales. */
nac_status nac_lower_Resize(nac_lowering *lowering) { return lower_resize(lowering, lowering->model->opset < 11 ? 1 : 2); }
nac_status nac_lower_Upsample(nac_lowering *lowering) { return lower_resize(lowering, 1); }
