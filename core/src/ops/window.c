#include "ops/window.h"

#include <string.h>

#include "ops/common.h"

/* No kernel, stride, dilation or padding of a real network comes near this; products of two fit an int. */
enum { LARGEST = 32767 };

/* `sides` integers for each axis of an attribute, each in [least, LARGEST], as [H, W] and again for the other side. `least` too where the
 * attribute is absent or there is no H. */
static nac_status read_ints(nac_lowering *lowering, const char *name, int axes, int sides, int least, int *result) {
    int64_t ints[2 * NAC_MAX_RANK];
    int given;
    NAC_TRY(nac_attribute_ints(lowering, name, ints, 2 * NAC_MAX_RANK, &given));
    if (given != 0 && given != axes * sides)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s has %d numbers where %d are needed", name, given, axes * sides);
    for (int i = 0; i < 2 * sides; ++i) result[i] = least;
    for (int i = 0; i < given; ++i) {
        if (ints[i] < least || ints[i] > LARGEST)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "%s holds %lld; %d to %d is supported", name, (long long)ints[i], least, LARGEST);
        result[i / axes * 2 + i % axes + 2 - axes] = (int)ints[i];
    }
    return NAC_OK;
}

nac_status nac_lower_image(nac_lowering *lowering, int i, int *x, nac_shape *shape, int *axes) {
    NAC_TRY(nac_lower_float(lowering, i, x));
    return nac_as_image(lowering, i, x, shape, axes);
}

nac_status nac_as_image(nac_lowering *lowering, int i, int *x, nac_shape *shape, int *axes) {
    *shape = nac_logical_shape(&lowering->graph->values[*x]);
    if (shape->rank != 3 && shape->rank != 4)
        return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input %d has rank %d; [N,C,H,W] and [N,C,L] are supported", i, shape->rank);
    *axes = shape->rank - 2;
    if (*axes == 1) {
        *shape = nac_shape_make(4, (const int[]){shape->dims[0], shape->dims[1], 1, shape->dims[2]});
        NAC_TRY(nac_lower_reshape(lowering, *x, shape, x));
    }
    return nac_as_channels_last(lowering, *x, x);
}

nac_status nac_lower_bind_image(nac_lowering *lowering, int y, int axes) {
    if (axes == 1) {
        const nac_shape image = nac_logical_shape(&lowering->graph->values[y]);
        const nac_shape sequence = nac_shape_make(3, (const int[]){image.dims[0], image.dims[1], image.dims[3]});
        NAC_TRY(nac_as_row_major(lowering, y, &y));
        NAC_TRY(nac_lower_reshape(lowering, y, &sequence, &y));
    }
    return nac_lower_bind(lowering, 0, y);
}

static bool is(const char *text, size_t length, const char *word) { return length == strlen(word) && memcmp(text, word, length) == 0; }

/* The attributes of a window, in the order H, W. */
typedef struct geometry {
    int strides[2], dilations[2], span[2];
    int pads[4]; /* top, left, bottom, right */
    bool same, same_lower;
} geometry;

static nac_status read_geometry(nac_lowering *lowering, int axes, const int *kernel, geometry *g) {
    const char *text;
    size_t length;
    *g = (geometry){0};
    NAC_TRY(read_ints(lowering, "strides", axes, 1, 1, g->strides));
    NAC_TRY(read_ints(lowering, "dilations", axes, 1, 1, g->dilations));
    NAC_TRY(nac_attribute_string(lowering, "auto_pad", &text, &length));
    const bool explicit = length == 0 || is(text, length, "NOTSET"), valid = is(text, length, "VALID");
    g->same_lower = is(text, length, "SAME_LOWER");
    g->same = g->same_lower || is(text, length, "SAME_UPPER");
    if (!explicit && !valid && !g->same) return nac_lower_fail(lowering, NAC_MALFORMED, "auto_pad is '%s'", text);
    if (explicit) NAC_TRY(read_ints(lowering, "pads", axes, 2, 0, g->pads));
    for (int i = 0; i < 2; ++i) {
        if (kernel[i] < 1 || kernel[i] > LARGEST || (kernel[i] - 1) * g->dilations[i] > LARGEST)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a kernel of %d with dilation %d spans more than %d", kernel[i], g->dilations[i],
                                  LARGEST);
        g->span[i] = (kernel[i] - 1) * g->dilations[i] + 1;
    }
    return NAC_OK;
}

/* Of an odd padding the larger half lies behind, or with SAME_LOWER in front. */
static void share_padding(geometry *g, int axis, int total) {
    g->pads[axis] = g->same_lower ? total - total / 2 : total / 2;
    g->pads[axis + 2] = total - g->pads[axis];
}

static nac_window window_of(const geometry *g, const int *kernel) {
    return (nac_window){.kernel_h = kernel[0], .kernel_w = kernel[1], .stride_h = g->strides[0], .stride_w = g->strides[1],
                        .dilation_h = g->dilations[0], .dilation_w = g->dilations[1],
                        .pad_top = g->pads[0], .pad_left = g->pads[1], .pad_bottom = g->pads[2], .pad_right = g->pads[3]};
}

nac_status nac_lower_window(nac_lowering *lowering, int axes, const int *size, const int *kernel, bool ceil_mode, nac_window *window, int *out) {
    geometry g;
    NAC_TRY(read_geometry(lowering, axes, kernel, &g));
    for (int i = 0; i < 2; ++i) {
        const int stride = g.strides[i];
        if (g.same) {
            out[i] = (size[i] - 1) / stride + 1;
            const int total = (out[i] - 1) * stride + g.span[i] - size[i];
            share_padding(&g, i, total < 0 ? 0 : total);
            continue;
        }
        const int room = size[i] + g.pads[i] + g.pads[i + 2] - g.span[i];
        if (room < 0)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a window of %d does not fit an input of %d with padding %d + %d", g.span[i],
                                  size[i], g.pads[i], g.pads[i + 2]);
        out[i] = room / stride + 1;
        if (ceil_mode && room % stride != 0 && out[i] * stride < size[i] + g.pads[i]) ++out[i];
    }
    *window = window_of(&g, kernel);
    return NAC_OK;
}

nac_status nac_lower_transposed_window(nac_lowering *lowering, int axes, const int *size, const int *kernel, nac_window *window, int *out) {
    geometry g;
    int behind[2], wanted[2];
    NAC_TRY(read_geometry(lowering, axes, kernel, &g));
    NAC_TRY(read_ints(lowering, "output_padding", axes, 1, 0, behind));
    NAC_TRY(read_ints(lowering, "output_shape", axes, 1, 0, wanted));
    for (int i = 0; i < 2; ++i) {
        /* What is more than a stride would not be seen by the convolution, and its place in the sum be another's. */
        if (behind[i] >= g.strides[i] && behind[i] > 0)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "output_padding %d with a stride of %d; it must be less", behind[i], g.strides[i]);
        const int64_t whole = (int64_t)(size[i] - 1) * g.strides[i] + g.span[i] + behind[i];
        const int64_t target = wanted[i] > 0 ? wanted[i] : g.same ? (int64_t)size[i] * g.strides[i] : 0;
        if (target > 0 && target <= whole && whole - target <= LARGEST) share_padding(&g, i, (int)(whole - target));
        const int64_t left = whole - g.pads[i] - g.pads[i + 2];
        if (left < 1 || left > INT32_MAX || (target > 0 && left != target))
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "an input of %d cannot become %lld by a stride of %d and a window of %d", size[i],
                                  (long long)(target > 0 ? target : left), g.strides[i], g.span[i]);
        out[i] = (int)left;
    }
    *window = window_of(&g, kernel);
    return NAC_OK;
}
