/* resize.c - Pillow's Image.resize for 8-bit pixels, byte for byte (compared with Pillow 9.4).
 *
 * The facts that make it exact:
 *   - horizontally first, then vertically, clipped to 8 bits between; a pass that changes no size is skipped;
 *   - out pixel i looks at centre (i + 0.5) * scale, scale = in / out; the filter is stretched by max(scale, 1), so shrinking
 *     averages over everything that falls together;
 *   - weights are computed in double, normalised to sum 1, then rounded (half away from zero) to multiples of 2^-22;
 *   - a sum starts at 2^21, so that the final shift by 22 rounds. */
#include <math.h>
#include <string.h>

#include "image/image.h"

enum { PRECISION = 22, HALF = 1 << (PRECISION - 1) };

/* For every output position of a window: which inputs count, and how much. */
typedef struct weights {
    int length; /* weights kept for a position */
    int *first; /* [window] first input */
    int *count; /* [window] inputs, <= length */
    int32_t *weight; /* [window, length], 2^22 = 1; zero behind count */
    int low, high; /* inputs [low, high) are used by some position */
} weights;

static double bilinear(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys' cubic with a = -0.5. */
static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static void weights_free(weights *w) {
    nac_free(w->first);
    nac_free(w->count);
    nac_free(w->weight);
}

/* Weights of outputs [start, start + window) when `in` pixels become `out`. */
static bool weights_make(int in, int out, nac_filter filter, int start, int window, weights *w) {
    double scale = (double)in / out, stretch = scale < 1 ? 1 : scale;
    double support = (filter == NAC_FILTER_BICUBIC ? 2 : 1) * stretch, shrink = 1 / stretch;
    *w = (weights){.length = (int)ceil(support) * 2 + 1, .low = in, .high = 0};
    size_t cells, n = (size_t)window;
    double *exact = nac_alloc_array((size_t)w->length, sizeof *exact);
    w->first = nac_alloc_array(n, sizeof *w->first);
    w->count = nac_alloc_array(n, sizeof *w->count);
    if (nac_mul_size(n, (size_t)w->length, &cells)) w->weight = nac_alloc_array(cells, sizeof *w->weight);
    if (!exact || !w->first || !w->count || !w->weight) {
        nac_free(exact);
        weights_free(w);
        return false;
    }
    for (int i = 0; i < window; ++i) {
        double center = (start + i + 0.5) * scale, sum = 0;
        int low = (int)(center - support + 0.5), high = (int)(center + support + 0.5);
        if (low < 0) low = 0;
        if (high > in) high = in;
        int count = high - low;
        for (int k = 0; k < count; ++k) {
            double x = (k + low - center + 0.5) * shrink;
            exact[k] = filter == NAC_FILTER_BICUBIC ? bicubic(x) : bilinear(x);
            sum += exact[k];
        }
        for (int k = 0; k < count; ++k) {
            double scaled = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << PRECISION);
            w->weight[(size_t)i * (size_t)w->length + (size_t)k] = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
        }
        w->first[i] = low;
        w->count[i] = count;
        if (low < w->low) w->low = low;
        if (high > w->high) w->high = high;
    }
    nac_free(exact);
    return true;
}

static inline uint8_t clip(int32_t sum) {
    int32_t value = sum >> PRECISION; /* arithmetic, as in every compiler that is a target */
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* One row. Four lanes (R, G, B and the next pixel's R, thrown away) make one SIMD register of each product, so `in` must be
 * readable one byte beyond its last pixel. */
static void shrink_row(const uint8_t *in, const weights *w, int window, uint8_t *out) {
    for (int i = 0; i < window; ++i) {
        const uint8_t *p = in + (size_t)w->first[i] * 3;
        const int32_t *weight = w->weight + (size_t)i * (size_t)w->length;
        int32_t sum[4] = {HALF, HALF, HALF, HALF};
        int count = w->count[i];
        for (int k = 0; k < count; ++k, p += 3)
            for (int c = 0; c < 4; ++c) sum[c] += weight[k] * p[c];
        for (int c = 0; c < 3; ++c) out[i * 3 + c] = clip(sum[c]);
    }
}

/* Rows [top, top + rows) of source, outputs [x, x + w) of `width` -> image of w x rows pixels. */
static nac_status resize_horizontally(const nac_image *source, int width, nac_filter filter, int x, int w, int top, int rows,
                                      nac_image *image, nac_error *error) {
    weights weight;
    if (!weights_make(source->width, width, filter, x, w, &weight)) return nac_out_of_memory(error, "resizing");
    size_t stride = (size_t)source->width * 3;
    uint8_t *last = nac_alloc(stride + 1); /* the source's last row with a byte behind it */
    nac_status status = last ? nac_image_allocate(w, rows, image, error) : nac_out_of_memory(error, "resizing");
    if (status == NAC_OK) {
        for (int row = 0; row < rows; ++row) {
            const uint8_t *in = source->rgb + (size_t)(top + row) * stride;
            if (top + row == source->height - 1) {
                memcpy(last, in, stride);
                last[stride] = 0;
                in = last;
            }
            shrink_row(in, &weight, w, image->rgb + (size_t)row * (size_t)w * 3);
        }
    }
    nac_free(last);
    weights_free(&weight);
    return status;
}

/* One output row: rows of `stride` bytes starting at in, weighted. Blocks of lanes stay in registers over all rows. */
static void shrink_column(const uint8_t *in, size_t stride, const int32_t *weight, int count, uint8_t *out) {
    enum { LANES = 32 };
    size_t x = 0;
    for (; x + LANES <= stride; x += LANES) {
        int32_t sum[LANES];
        for (int c = 0; c < LANES; ++c) sum[c] = HALF;
        const uint8_t *p = in + x;
        for (int k = 0; k < count; ++k, p += stride)
            for (int c = 0; c < LANES; ++c) sum[c] += weight[k] * p[c];
        for (int c = 0; c < LANES; ++c) out[x + (size_t)c] = clip(sum[c]);
    }
    for (; x < stride; ++x) {
        int32_t sum = HALF;
        for (int k = 0; k < count; ++k) sum += weight[k] * in[x + (size_t)k * stride];
        out[x] = clip(sum);
    }
}

/* source holds input rows [top, ...); outputs are those of `weight`. */
static nac_status resize_vertically(const nac_image *source, int top, const weights *weight, int h, nac_image *image,
                                    nac_error *error) {
    NAC_TRY(nac_image_allocate(source->width, h, image, error));
    size_t stride = (size_t)source->width * 3;
    for (int row = 0; row < h; ++row)
        shrink_column(source->rgb + (size_t)(weight->first[row] - top) * stride, stride,
                      weight->weight + (size_t)row * (size_t)weight->length, weight->count[row], image->rgb + (size_t)row * stride);
    return NAC_OK;
}

nac_status nac_image_resize_window(const nac_image *source, int width, int height, nac_filter filter, int x, int y, int w, int h,
                                   nac_image *image, nac_error *error) {
    bool across = width != source->width, down = height != source->height;
    NAC_TRY(nac_image_check_size("the resized image", w, h, error));
    if (!across && !down) return nac_image_crop(source, x, y, w, h, image, error);

    weights vertical = {.low = y, .high = y + h};
    if (down && !weights_make(source->height, height, filter, y, h, &vertical)) return nac_out_of_memory(error, "resizing");
    int top = vertical.low, rows = vertical.high - vertical.low;
    nac_image middle;
    nac_status status = nac_image_check_size("the half-resized image", w, rows, error);
    if (status == NAC_OK)
        status = across ? resize_horizontally(source, width, filter, x, w, top, rows, &middle, error)
                        : nac_image_crop(source, x, top, w, rows, &middle, error);
    if (status == NAC_OK && down) {
        nac_image resized;
        status = resize_vertically(&middle, top, &vertical, h, &resized, error);
        nac_image_free(&middle);
        if (status == NAC_OK) *image = resized;
    } else if (status == NAC_OK) {
        *image = middle;
    }
    if (down) weights_free(&vertical);
    return status;
}

nac_status nac_image_resize(const nac_image *source, int width, int height, nac_filter filter, nac_image *image, nac_error *error) {
    if (!source || !source->rgb || !image) return nac_fail(error, NAC_INVALID_ARGUMENT, "a pointer is NULL");
    if (width < 1 || height < 1) return nac_fail(error, NAC_INVALID_ARGUMENT, "%d x %d pixels are no image", width, height);
    if (filter != NAC_FILTER_BILINEAR && filter != NAC_FILTER_BICUBIC)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "unknown filter %d", (int)filter);
    NAC_TRY(nac_image_check_size("the resized image", width, height, error));
    return nac_image_resize_window(source, width, height, filter, 0, 0, width, height, image, error);
}
