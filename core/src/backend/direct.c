/* direct.c - convolutions over few pixels: a matrix product for each place of the window, all pixels of an image at a time, summed up.
 *
 * Where an image is 4 x 4, Winograd's tiles are so few that half of a panel is empty, and 16/9 of the weights come from memory for them;
 * XNNPACK takes a few pixels at a time, streams the weights past them, and packs them twice, once a direction. Here they lie in memory once and
 * come from there once a run: 2.4 instead of 2.7 ms for a 1x1 window, 7 x 7 pixels, 512 and 2048 channels.
 *
 * The gradient is the same sum from the other side: an input is brought to by the places of the window that hit an output, which at stride s
 * are the same ones for every s-th input. These inputs, a phase, are computed together. Forward has one phase. */
#include "backend/convolution.h"

#include <stdint.h>
#include <string.h>

#include "backend/product.h"

enum {
    FEW = 2,                                  /* pixels behind the last panel that are multiplied one by one rather than padded to a panel */
    MAX_PIXELS_1X1 = 64, MAX_PIXELS_3X3 = 25, /* of an image; more are XNNPACK's, and Winograd's, which multiplies less */
    MIN_WEIGHTS = 256 * 1024,                 /* fewer stay in the cache */
    MAX_CHANNELS = 1 << 16,                   /* keeps the panels' size within 32 bits */
};

static bool takes(const nac_convolution *p) {
    const nac_window *v = &p->window;
    const int64_t weights = (int64_t)p->Ci * p->Co, pixels = (int64_t)p->OH * p->OW;
    if (p->groups != 1 || v->kernel_h != v->kernel_w || p->Ci % NAC_BLOCK != 0 || p->Co % NAC_BLOCK != 0 || p->Ci > MAX_CHANNELS ||
        p->Co > MAX_CHANNELS)
        return false;
    return (v->kernel_h == 1 && pixels <= MAX_PIXELS_1X1 && weights >= MIN_WEIGHTS) ||
           (v->kernel_h == 3 && pixels <= MAX_PIXELS_3X3 && weights >= MIN_WEIGHTS / 9);
}

/* ---- Weights: a matrix for each place of the window ------------------------------------------------- */

static size_t taps_of(const nac_convolution *p) { return (size_t)p->window.kernel_h * (size_t)p->window.kernel_w; }

static size_t count_weights(const nac_convolution *p) { return taps_of(p) * nac_blocks_size(p->Co, p->Ci); }

/* Four output channels, in blocks of 4 x 4. */
NAC_NOT_INLINED static void arrange_rows(const nac_convolution *p, int o, float *weights) {
    const size_t Ci = (size_t)p->Ci, taps = taps_of(p), matrix = nac_blocks_size(p->Co, p->Ci);
    for (size_t t = 0; t < taps; ++t)
        for (int i = 0; i < p->Ci; i += NAC_BLOCK) {
            const float *from = p->w + ((size_t)o * taps + t) * Ci + (size_t)i;
            float *to = weights + t * matrix + nac_block_offset(p->Co, p->Ci, o, i);
            nac_f4 w[NAC_BLOCK];
            for (size_t b = 0; b < NAC_BLOCK; ++b) w[b] = nac_load4(from + b * taps * Ci);
            nac_transpose4(&w[0], &w[1], &w[2], &w[3]); /* output channels are neighbours */
            for (size_t b = 0; b < NAC_BLOCK; ++b) nac_store4(to + b * NAC_BLOCK, w[b]);
        }
}

static void arrange_weights(const nac_convolution *p, float *weights) {
    for (int o = 0; o < p->Co; o += NAC_BLOCK) arrange_rows(p, o, weights);
}

/* ---- One axis --------------------------------------------------------------------------------------- */

typedef struct axis {
    int from, to;               /* pixels that are read, and made */
    int stride, dilation, pad;  /* of the forward convolution */
    bool backward;
} axis;

static int phases_of(const axis *a) { return a->backward ? a->stride : 1; }

/* Pixels of a phase, and which one its i-th is. */
static int count_of(const axis *a, int phase) { return a->to > phase ? (a->to - phase + phases_of(a) - 1) / phases_of(a) : 0; }
static int pixel_of(const axis *a, int phase, int i) { return phase + i * phases_of(a); }

/* What place k of the window brings to a phase's i-th pixel is pixel *first + i * step_of: false where it brings nothing to this phase. */
static int step_of(const axis *a) { return a->backward ? 1 : a->stride; }
static bool find_first(const axis *a, int phase, int k, int *first) {
    const int at = a->backward ? phase + a->pad - k * a->dilation : k * a->dilation - a->pad;
    *first = a->backward ? at / a->stride : at;
    return !a->backward || at % a->stride == 0;
}

/* ---- Both ------------------------------------------------------------------------------------------- */

/* One direction, and of it one phase. */
typedef struct side {
    axis y, x;
    size_t K, O;
    int phase_y, phase_x;
    size_t columns, pixels; /* of an image's phase */
    size_t panels, few;     /* pixels in panels, and those behind */
} side;

static side side_of(const nac_convolution *p, bool backward, int phase_y, int phase_x) {
    const nac_window *v = &p->window;
    side s = {.y = {p->H, p->OH, v->stride_h, v->dilation_h, v->pad_top, backward}, .x = {p->W, p->OW, v->stride_w, v->dilation_w, v->pad_left, backward},
              .K = (size_t)p->Ci, .O = (size_t)p->Co, .phase_y = phase_y, .phase_x = phase_x};
    if (backward) {
        s.y.from = p->OH, s.y.to = p->H, s.x.from = p->OW, s.x.to = p->W;
        s.K = (size_t)p->Co, s.O = (size_t)p->Ci;
    }
    s.columns = (size_t)count_of(&s.x, phase_x);
    s.pixels = (size_t)count_of(&s.y, phase_y) * s.columns;
    s.few = s.pixels % NAC_PANEL <= FEW ? s.pixels % NAC_PANEL : 0;
    s.panels = (s.pixels - s.few + NAC_PANEL - 1) / NAC_PANEL;
    return s;
}

/* An image's pixel that one place of the window brings to the phase's i-th; `zeros` stands for what lies outside. */
static const float *input_of(const side *s, size_t i, int top, int left, const float *from, const float *zeros) {
    if (i >= s->pixels) return zeros;
    const int y = top + (int)(i / s->columns) * step_of(&s->y), x = left + (int)(i % s->columns) * step_of(&s->x);
    if (y < 0 || y >= s->y.from || x < 0 || x >= s->x.from) return zeros;
    return from + ((size_t)y * (size_t)s->x.from + (size_t)x) * s->K;
}

/* v [panels, K, 8]: what one place of the window brings. */
static void fill_panels(const side *s, int top, int left, const float *from, const float *zeros, float *v) {
    for (size_t t = 0; t < s->panels * NAC_PANEL; t += 4) {
        const float *inputs[4];
        for (size_t b = 0; b < 4; ++b) inputs[b] = input_of(s, t + b, top, left, from, zeros);
        float *to = v + t / NAC_PANEL * s->K * NAC_PANEL + t % NAC_PANEL;
        for (size_t c = 0; c < s->K; c += 4, to += 4 * NAC_PANEL) {
            nac_f4 d[4];
            for (size_t b = 0; b < 4; ++b) d[b] = nac_load4(inputs[b] + c);
            nac_transpose4(&d[0], &d[1], &d[2], &d[3]);
            for (size_t b = 0; b < 4; ++b) nac_store4(to + b * NAC_PANEL, d[b]);
        }
    }
}

/* Where outputs go, and what is done to them. */
typedef struct sink {
    const float *bias; /* [O] or NULL */
    nac_f4 low, high;
    float *to; /* an image */
} sink;

/* Four channels from o on of the phase's i-th pixel. */
static void store_output(const side *s, const sink *k, size_t i, size_t o, nac_f4 y) {
    const size_t row = (size_t)pixel_of(&s->y, s->phase_y, (int)(i / s->columns)), column = (size_t)pixel_of(&s->x, s->phase_x, (int)(i % s->columns));
    if (k->bias) y += nac_load4(k->bias + o);
    nac_store4(k->to + (row * (size_t)s->x.to + column) * s->O + o, nac_min4(nac_max4(y, k->low), k->high));
}

/* m [O / 4, panels, 4, 8] */
static void store_panels(const side *s, const sink *k, const float *m) {
    for (size_t t = 0; t < s->panels * NAC_PANEL; t += 4)
        for (size_t o = 0; o < s->O; o += NAC_BLOCK) {
            const float *tile = m + (o / NAC_BLOCK * s->panels + t / NAC_PANEL) * NAC_TILE + t % NAC_PANEL;
            nac_f4 y[4];
            for (size_t b = 0; b < 4; ++b) y[b] = nac_load4(tile + b * NAC_PANEL);
            nac_transpose4(&y[0], &y[1], &y[2], &y[3]);
            for (size_t b = 0; b < 4 && t + b < s->pixels; ++b) store_output(s, k, t + b, o, y[b]);
        }
}

/* Pixels, sums of the panels and of those behind, and a pixel of zeros. The first phase is the largest, but may leave none behind. */
static size_t count_scratch(const nac_convolution *p, bool backward) {
    const side s = side_of(p, backward, 0, 0);
    return (s.pixels + NAC_PANEL - 1) / NAC_PANEL * NAC_PANEL * (s.K + s.O) + FEW * s.O + s.K;
}

static void run_phase(const nac_convolution *p, const side *s, const float *weights, const float *from, const sink *k, float *scratch) {
    const bool backward = s->y.backward;
    float *v = scratch, *m = v + s->panels * NAC_PANEL * s->K, *few = m + s->panels * NAC_PANEL * s->O, *zeros = few + FEW * s->O;
    memset(m, 0, (s->panels * NAC_PANEL * s->O + FEW * s->O + s->K) * sizeof(float));
    for (int tap = 0; tap < (int)taps_of(p); ++tap) {
        int top, left;
        if (!find_first(&s->y, s->phase_y, tap / p->window.kernel_w, &top) || !find_first(&s->x, s->phase_x, tap % p->window.kernel_w, &left)) continue;
        fill_panels(s, top, left, from, zeros, v);
        const nac_blocks w = {weights + (size_t)tap * nac_blocks_size(p->Co, p->Ci), p->Co, p->Ci};
        for (size_t o = 0; o < s->O; o += NAC_BLOCK) {
            nac_product(&w, backward, o / NAC_BLOCK, v, s->panels, true, m + o * s->panels * NAC_PANEL);
            for (size_t i = 0; i < s->few; ++i) {
                const float *input = input_of(s, s->pixels - s->few + i, top, left, from, zeros);
                float *sum = few + i * s->O + o;
                if (input != zeros) nac_store4(sum, nac_load4(sum) + nac_product_of_one(&w, backward, o / NAC_BLOCK, input));
            }
        }
    }
    store_panels(s, k, m);
    for (size_t i = 0; i < s->few; ++i)
        for (size_t o = 0; o < s->O; o += NAC_BLOCK) store_output(s, k, s->pixels - s->few + i, o, nac_load4(few + i * s->O + o));
}

static void run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                float *scratch, float *to) {
    sink k = {bias, nac_splat4(low), nac_splat4(high), to};
    for (int n = 0; n < p->N; ++n)
        for (int y = 0; y < (backward ? p->window.stride_h : 1); ++y)
            for (int x = 0; x < (backward ? p->window.stride_w : 1); ++x) {
                const side s = side_of(p, backward, y, x);
                const size_t read = (size_t)s.y.from * (size_t)s.x.from * s.K, made = (size_t)s.y.to * (size_t)s.x.to * s.O;
                k.to = to + (size_t)n * made;
                if (s.pixels > 0) run_phase(p, &s, weights, from + (size_t)n * read, &k, scratch);
            }
}

const nac_algorithm nac_direct = {"products", "products, turned", takes, false, count_weights, arrange_weights, count_scratch, run};
