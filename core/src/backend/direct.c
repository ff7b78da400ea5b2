/* direct.c - convolutions over few pixels: a matrix product for each place of the window, all pixels at a time, summed up.
 *
 * Where an image is 4 x 4, Winograd's tiles are so few that half of a panel is empty, and 16/9 of the weights come from memory for them;
 * XNNPACK packs them twice, once a direction. Here they lie in memory once and come from there once a run.
 *
 * The gradient is the same sum from the other side: an input is brought to by the places of the window that hit an output, which at stride s
 * are the same ones for every s-th input. These inputs, a phase, are computed together. Forward has one phase. */
#include "backend/direct.h"

#include <stdint.h>
#include <string.h>

#include "backend/product.h"

enum {
    GROUP = 8,               /* panels that are computed together at most */
    MAX_PIXELS = 25,         /* of an image */
    MIN_WEIGHTS = 256 * 1024 /* fewer stay in the cache, and Winograd multiplies less */
};

bool nac_direct_takes(const nac_convolution *p) {
    const nac_window *v = &p->window;
    return p->groups == 1 && v->kernel_h == 3 && v->kernel_w == 3 && p->Ci % NAC_BLOCK == 0 && p->Co % NAC_BLOCK == 0 &&
           (int64_t)p->OH * p->OW <= MAX_PIXELS && (int64_t)p->Ci * p->Co >= MIN_WEIGHTS / 9;
}

/* ---- Weights: a matrix for each place of the window ------------------------------------------------- */

static size_t taps_of(const nac_convolution *p) { return (size_t)p->window.kernel_h * (size_t)p->window.kernel_w; }

size_t nac_direct_weights(const nac_convolution *p) { return taps_of(p) * (size_t)p->Co * (size_t)p->Ci; }

/* Four output channels, in blocks of 4 x 4. */
NAC_NOT_INLINED static void arrange_rows(const nac_convolution *p, int o, float *weights) {
    const size_t Ci = (size_t)p->Ci, taps = taps_of(p), matrix = (size_t)p->Co * Ci;
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

void nac_direct_arrange(const nac_convolution *p, float *weights) {
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
    size_t N, K, O;
    int phase_y, phase_x;
    size_t rows, columns, pixels; /* of the phase; pixels of all images */
} side;

static side side_of(const nac_convolution *p, bool backward, int phase_y, int phase_x) {
    const nac_window *v = &p->window;
    side s = {.y = {p->H, p->OH, v->stride_h, v->dilation_h, v->pad_top, backward}, .x = {p->W, p->OW, v->stride_w, v->dilation_w, v->pad_left, backward},
              .N = (size_t)p->N, .K = (size_t)p->Ci, .O = (size_t)p->Co, .phase_y = phase_y, .phase_x = phase_x};
    if (backward) {
        s.y.from = p->OH, s.y.to = p->H, s.x.from = p->OW, s.x.to = p->W;
        s.K = (size_t)p->Co, s.O = (size_t)p->Ci;
    }
    s.rows = (size_t)count_of(&s.y, phase_y);
    s.columns = (size_t)count_of(&s.x, phase_x);
    s.pixels = s.N * s.rows * s.columns;
    return s;
}

typedef struct place {
    size_t n;
    int i, j;
} place;

static place place_of(const side *s, size_t pixel) {
    return (place){pixel / s->columns / s->rows, (int)(pixel / s->columns % s->rows), (int)(pixel % s->columns)};
}

/* v [panels, K, 8]: what one place of the window brings to the pixels from `first` on; `zeros` stands for what lies outside. */
static void fill_panels(const side *s, size_t first, size_t panels, int top, int left, const float *from, const float *zeros, float *v) {
    for (size_t t = 0; t < panels * NAC_PANEL; t += 4) {
        const float *inputs[4];
        for (size_t b = 0; b < 4; ++b) {
            inputs[b] = zeros;
            if (first + t + b >= s->pixels) continue;
            const place at = place_of(s, first + t + b);
            const int y = top + at.i * step_of(&s->y), x = left + at.j * step_of(&s->x);
            if (y < 0 || y >= s->y.from || x < 0 || x >= s->x.from) continue;
            inputs[b] = from + ((at.n * (size_t)s->y.from + (size_t)y) * (size_t)s->x.from + (size_t)x) * s->K;
        }
        float *to = v + t / NAC_PANEL * s->K * NAC_PANEL + t % NAC_PANEL;
        for (size_t c = 0; c < s->K; c += 4, to += 4 * NAC_PANEL) {
            nac_f4 d[4];
            for (size_t b = 0; b < 4; ++b) d[b] = nac_load4(inputs[b] + c);
            nac_transpose4(&d[0], &d[1], &d[2], &d[3]);
            for (size_t b = 0; b < 4; ++b) nac_store4(to + b * NAC_PANEL, d[b]);
        }
    }
}

/* m [O / 4, panels, 4, 8] */
static void store_outputs(const side *s, size_t first, size_t panels, const float *m, const float *bias, float low, float high, float *to) {
    for (size_t t = 0; t < panels * NAC_PANEL; t += 4)
        for (size_t o = 0; o < s->O; o += NAC_BLOCK) {
            const float *tile = m + (o / NAC_BLOCK * panels + t / NAC_PANEL) * NAC_TILE + t % NAC_PANEL;
            nac_f4 y[4];
            for (size_t b = 0; b < 4; ++b) y[b] = nac_load4(tile + b * NAC_PANEL);
            nac_transpose4(&y[0], &y[1], &y[2], &y[3]);
            for (size_t b = 0; b < 4 && first + t + b < s->pixels; ++b) {
                const place at = place_of(s, first + t + b);
                const size_t row = (size_t)pixel_of(&s->y, s->phase_y, at.i), column = (size_t)pixel_of(&s->x, s->phase_x, at.j);
                const nac_f4 sum = bias ? y[b] + nac_load4(bias + o) : y[b];
                nac_store4(to + ((at.n * (size_t)s->y.to + row) * (size_t)s->x.to + column) * s->O + o,
                           nac_min4(nac_max4(sum, nac_splat4(low)), nac_splat4(high)));
            }
        }
}

static size_t panels_of(size_t pixels) {
    const size_t panels = (pixels + NAC_PANEL - 1) / NAC_PANEL;
    return panels < GROUP ? panels : GROUP;
}

/* Pixels, sums, and a pixel of zeros. The first phase is the largest. */
size_t nac_direct_scratch(const nac_convolution *p, bool backward) {
    const side s = side_of(p, backward, 0, 0);
    return panels_of(s.pixels) * NAC_PANEL * (s.K + s.O) + s.K;
}

static void run_phase(const nac_convolution *p, const side *s, const float *weights, const float *from, const float *bias, float low, float high,
                      float *scratch, float *to) {
    const bool backward = s->y.backward;
    for (size_t first = 0; first < s->pixels; first += GROUP * NAC_PANEL) {
        const size_t panels = panels_of(s->pixels - first);
        float *v = scratch, *m = v + panels * NAC_PANEL * s->K, *zeros = m + panels * NAC_PANEL * s->O;
        memset(m, 0, (panels * NAC_PANEL * s->O + s->K) * sizeof(float));
        for (int k = 0; k < (int)taps_of(p); ++k) {
            int top, left;
            if (!find_first(&s->y, s->phase_y, k / p->window.kernel_w, &top) || !find_first(&s->x, s->phase_x, k % p->window.kernel_w, &left)) continue;
            fill_panels(s, first, panels, top, left, from, zeros, v);
            const nac_blocks w = {weights + (size_t)k * (size_t)p->Co * (size_t)p->Ci, p->Co, p->Ci};
            for (size_t o = 0; o < s->O / NAC_BLOCK; ++o) nac_product_add(&w, backward, (int)o, v, panels, m + o * panels * NAC_TILE);
        }
        store_outputs(s, first, panels, m, bias, low, high, to);
    }
}

void nac_direct_run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                    float *scratch, float *to) {
    for (int y = 0; y < (backward ? p->window.stride_h : 1); ++y)
        for (int x = 0; x < (backward ? p->window.stride_w : 1); ++x) {
            const side s = side_of(p, backward, y, x);
            if (s.pixels > 0) run_phase(p, &s, weights, from, bias, low, high, scratch, to);
        }
}
