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

nac_status nac_lower_window(nac_lowering *lowering, int axes, const int *size, const int *kernel, bool ceil_mode, nac_window *window, int *out) {
    int strides[2], dilations[2], pads[4]; /* pads: top, left, bottom, right */
    NAC_TRY(read_ints(lowering, "strides", axes, 1, 1, strides));
    NAC_TRY(read_ints(lowering, "dilations", axes, 1, 1, dilations));
    const char *text;
    size_t length;
    NAC_TRY(nac_attribute_string(lowering, "auto_pad", &text, &length));
    const bool explicit = length == 0 || is(text, length, "NOTSET"), valid = is(text, length, "VALID");
    const bool same_lower = is(text, length, "SAME_LOWER"), same = same_lower || is(text, length, "SAME_UPPER");
    if (!explicit && !valid && !same) return nac_lower_fail(lowering, NAC_MALFORMED, "auto_pad is '%s'", text);
    memset(pads, 0, sizeof pads);
    if (explicit) NAC_TRY(read_ints(lowering, "pads", axes, 2, 0, pads));

    for (int i = 0; i < 2; ++i) {
        if (kernel[i] < 1 || kernel[i] > LARGEST || (kernel[i] - 1) * dilations[i] > LARGEST)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a kernel of %d with dilation %d spans more than %d", kernel[i], dilations[i],
                                  LARGEST);
        const int span = (kernel[i] - 1) * dilations[i] + 1;
        if (same) {
            out[i] = (size[i] - 1) / strides[i] + 1;
            int total = (out[i] - 1) * strides[i] + span - size[i];
            if (total < 0) total = 0;
            pads[i] = same_lower ? total - total / 2 : total / 2;
            pads[i + 2] = total - pads[i];
            continue;
        }
        const int room = size[i] + pads[i] + pads[i + 2] - span;
        if (room < 0)
            return nac_lower_fail(lowering, NAC_UNSUPPORTED, "a window of %d does not fit an input of %d with padding %d + %d", span,
                                  size[i], pads[i], pads[i + 2]);
        out[i] = room / strides[i] + 1;
        if (ceil_mode && room % strides[i] != 0 && out[i] * strides[i] < size[i] + pads[i]) ++out[i];
    }
    *window = (nac_window){.kernel_h = kernel[0], .kernel_w = kernel[1], .stride_h = strides[0], .stride_w = strides[1],
                           .dilation_h = dilations[0], .dilation_w = dilations[1],
                           .pad_top = pads[0], .pad_left = pads[1], .pad_bottom = pads[2], .pad_right = pads[3]};
    return NAC_OK;
}
