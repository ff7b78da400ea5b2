/* strassen.c - 1x1 convolutions by one step of Strassen's algorithm: 7 products of halves instead of 8
 * (Strassen, Gaussian Elimination is not Optimal, 1969).
 *
 * C = A B for A [pixels, K] and weights B [K, O]. Channels are halved on both sides; a panel of pixels, row 1 of A, is paired with the next,
 * row 2. With s = 1
 *
 *   M1 = (A11 + s A22) (B11 + B22)    M2 = (A21 + s A22) B11            M3 = A11 (B12 - B22)    M4 = A22 (B21 - B11)
 *   M5 = (A11 + s A12) B22            M6 = (A21 - A11) (B11 + B12)      M7 = (A12 - A22) (B21 + B22)
 *
 *   C11 = M1 + M4 - M5 + M7    C12 = M3 + s M5    C21 = M2 + M4    C22 = s (M1 - M2) + M3 + M6
 *
 * The gradient is the product with B's transpose. Put into the same lines, with the second halves of A's and C's channels negated, it asks
 * for the same seven matrices, transposed: s = -1, M3 exchanged with M7 and M4 with M6. So one copy of the weights serves both, 7/4 of
 * their size, where XNNPACK wants two.
 *
 * A panel without a partner takes the four products that are left when row 2 is zero. A second step would multiply 49/64 times as much
 * and weigh 49/16.
 *
 * It takes 0.87 to 0.96 of XNNPACK's time where sums are long. Where they are short (64 to 256 channels at 56 x 56), combining and
 * storing cost more than an eighth of the products. */
#include "backend/strassen.h"

#include <stdint.h>
#include <string.h>

#include "backend/product.h"

enum {
    PRODUCTS = 7,
    PAIR = 2 * NAC_PANEL,       /* pixels */
    BLOCKS = 4,                 /* of four channels, of which products are made before they are stored: a pixel's cache line */
    GROUP_PAIRS = 14,           /* that are computed together, if their operands stay in the cache: */
    GROUP_FLOATS = 256 * 1024,
    MIN_PIXELS = 65,            /* fewer are direct.c's */
    MIN_IN = 256, MIN_OUT = 64, /* channels */
    MAX_CHANNELS = 1 << 16,     /* keeps the size of a group within 32 bits */
};

static bool is_pointwise(const nac_convolution *p) {
    const nac_window *v = &p->window;
    const bool pads = v->pad_top || v->pad_left || v->pad_bottom || v->pad_right;
    return p->groups == 1 && v->kernel_h == 1 && v->kernel_w == 1 && !pads;
}

bool nac_strassen_takes(const nac_convolution *p) {
    return is_pointwise(p) && p->Ci % (2 * NAC_BLOCK) == 0 && p->Co % (2 * NAC_BLOCK) == 0 && p->Ci >= MIN_IN && p->Co >= MIN_OUT &&
           p->Ci <= MAX_CHANNELS && p->Co <= MAX_CHANNELS && (int64_t)p->OH * p->OW >= MIN_PIXELS;
}

/* ---- Weights --------------------------------------------------------------------------------------- */

size_t nac_strassen_weights(const nac_convolution *p) { return PRODUCTS * nac_blocks_size(p->Co / 2, p->Ci / 2); }

void nac_strassen_combine(const nac_convolution *p, float *weights) {
    const int O = p->Co / 2, K = p->Ci / 2;
    const size_t matrix = nac_blocks_size(O, K), row = (size_t)p->Ci, half = (size_t)O * row;
    for (int o = 0; o < O; o += NAC_BLOCK)
        for (int i = 0; i < K; i += NAC_BLOCK) {
            nac_f4 u[NAC_BLOCK][PRODUCTS];
            for (int b = 0; b < NAC_BLOCK; ++b) {
                const float *w = p->w + (size_t)(o + b) * row + (size_t)i;
                const nac_f4 b11 = nac_load4(w), b21 = nac_load4(w + K), b12 = nac_load4(w + half), b22 = nac_load4(w + half + K);
                const nac_f4 right[PRODUCTS] = {b11 + b22, b11, b12 - b22, b21 - b11, b22, b11 + b12, b21 + b22};
                memcpy(u[b], right, sizeof right);
            }
            float *to = weights + nac_block_offset(O, K, o, i);
            for (int q = 0; q < PRODUCTS; ++q, to += matrix) {
                nac_transpose4(&u[0][q], &u[1][q], &u[2][q], &u[3][q]); /* output channels are neighbours */
                for (int b = 0; b < NAC_BLOCK; ++b) nac_store4(to + b * NAC_BLOCK, u[b][q]);
            }
        }
}

/* ---- One direction --------------------------------------------------------------------------------- */

/* Pixels of an NHWC image that take part: one in stride_h x stride_w. */
typedef struct grid {
    size_t count;
    size_t columns, row, column; /* how many a row, 0 where all are neighbours; floats from one to the next, down and to the right */
    size_t image;                /* floats */
} grid;

/* Whether x has pixels that no window visits. */
static bool skips_pixels(const nac_convolution *p) { return p->window.stride_h > 1 || p->window.stride_w > 1; }

/* Those of x (input) or y. */
static grid pixels_of(const nac_convolution *p, bool input) {
    const size_t count = (size_t)p->OH * (size_t)p->OW, C = (size_t)(input ? p->Ci : p->Co), W = (size_t)p->W;
    if (!input || !skips_pixels(p)) return (grid){.count = count, .column = C, .image = count * C};
    return (grid){count, (size_t)p->OW, (size_t)p->window.stride_h * W * C, (size_t)p->window.stride_w * C, (size_t)p->H * W * C};
}

static inline size_t offset_of(const grid *s, size_t pixel) {
    return s->columns ? pixel / s->columns * s->row + pixel % s->columns * s->column : pixel * s->column;
}

/* K channels in, O out, of either half; an image's pixels in pairs of panels, `group` pairs at a time, and perhaps a single panel. */
typedef struct side {
    size_t K, O, pairs, group;
    bool single;
    grid in, out;
} side;

static side side_of(const nac_convolution *p, bool backward) {
    side s = {.K = (size_t)(backward ? p->Co : p->Ci) / 2, .O = (size_t)(backward ? p->Ci : p->Co) / 2, .in = pixels_of(p, !backward),
              .out = pixels_of(p, backward)};
    s.pairs = (s.in.count + NAC_PANEL - 1) / PAIR;
    s.single = s.pairs * PAIR < s.in.count;
    s.group = GROUP_FLOATS / (PRODUCTS * (NAC_PANEL * s.K + BLOCKS * NAC_TILE));
    if (s.group < 4) s.group = 4; /* fewer would read the weights too often */
    if (s.group > GROUP_PAIRS) s.group = GROUP_PAIRS;
    if (s.group > s.pairs) s.group = s.pairs;
    return s;
}

/* Four pixels from `first` on; `zeros` stands for those behind the last. */
static inline void find_pixels(const grid *s, size_t first, const float *from, const float *zeros, const float *pixels[4]) {
    for (size_t j = 0; j < 4; ++j) pixels[j] = first + j < s->count ? from + offset_of(s, first + j) : zeros;
}

/* Four channels of four pixels; a vector is a channel. */
typedef struct quad {
    nac_f4 c[4];
} quad;

static inline quad load_quad(const float *const pixels[4], size_t channel) {
    quad q = {{nac_load4(pixels[0] + channel), nac_load4(pixels[1] + channel), nac_load4(pixels[2] + channel), nac_load4(pixels[3] + channel)}};
    nac_transpose4(&q.c[0], &q.c[1], &q.c[2], &q.c[3]);
    return q;
}

/* Into a panel. */
static inline void store_quad(float *to, quad q) {
    for (size_t c = 0; c < 4; ++c) nac_store4(to + c * NAC_PANEL, q.c[c]);
}

/* a + s b, into a panel. */
static inline void store_sum(float *to, quad a, float s, quad b) {
    for (size_t c = 0; c < 4; ++c) nac_store4(to + c * NAC_PANEL, a.c[c] + s * b.c[c]);
}

/* The left operands of a pair, [K,8] each and `step` floats apart. */
static inline void fill_pair(const side *s, size_t first, float sign, const float *from, const float *zeros, size_t step, float *v) {
    for (size_t t = 0; t < NAC_PANEL; t += 4) {
        const float *one[4], *two[4];
        find_pixels(&s->in, first + t, from, zeros, one);
        find_pixels(&s->in, first + NAC_PANEL + t, from, zeros, two);
        float *to = v + t;
        for (size_t k = 0; k < s->K; k += 4, to += 4 * NAC_PANEL) {
            const quad a11 = load_quad(one, k), a22 = load_quad(two, s->K + k);
            store_sum(to, a11, sign, a22);
            store_quad(to + 2 * step, a11);
            store_quad(to + 3 * step, a22);
            const quad a21 = load_quad(two, k);
            store_sum(to + step, a21, sign, a22);
            store_sum(to + 5 * step, a21, -1, a11);
            const quad a12 = load_quad(one, s->K + k);
            store_sum(to + 4 * step, a11, sign, a12);
            store_sum(to + 6 * step, a12, -1, a22);
        }
    }
}

/* Those of a single panel: A11 + s A12, A11, A12. */
static inline void fill_single(const side *s, size_t first, float sign, const float *from, const float *zeros, float *v) {
    const size_t step = s->K * NAC_PANEL;
    for (size_t t = 0; t < NAC_PANEL; t += 4) {
        const float *one[4];
        find_pixels(&s->in, first + t, from, zeros, one);
        float *to = v + t;
        for (size_t k = 0; k < s->K; k += 4, to += 4 * NAC_PANEL) {
            const quad a11 = load_quad(one, k), a12 = load_quad(one, s->K + k);
            store_sum(to, a11, sign, a12);
            store_quad(to + step, a11);
            store_quad(to + 2 * step, a12);
        }
    }
}

/* ---- Outputs --------------------------------------------------------------------------------------- */

/* Where outputs go, and what is done to them. */
typedef struct sink {
    grid pixels;
    const float *bias; /* a number a channel, or NULL */
    nac_f4 low, high;
    float *to;
} sink;

/* Four channels from `channel` on of one pixel. */
static inline void store_output(const sink *k, size_t pixel, size_t channel, nac_f4 y) {
    if (k->bias) y += nac_load4(k->bias + channel);
    nac_store4(k->to + offset_of(&k->pixels, pixel) + channel, nac_min4(nac_max4(y, k->low), k->high));
}

/* The same of four pixels, of which those behind the last are dropped. */
static inline void store_outputs(const sink *k, size_t first, size_t channel, quad y) {
    nac_transpose4(&y.c[0], &y.c[1], &y.c[2], &y.c[3]);
    for (size_t j = 0; j < 4 && first + j < k->pixels.count; ++j) store_output(k, first + j, channel, y.c[j]);
}

/* Four pixels of a pair, and their partners; m's products lie `step` floats apart. */
static inline void store_pair(const side *s, const sink *k, size_t first, size_t channel, float sign, const float *m, size_t step) {
    quad c11, c12, c21, c22;
    for (size_t c = 0; c < 4; ++c, m += NAC_PANEL) {
        const nac_f4 m1 = nac_load4(m), m2 = nac_load4(m + step), m3 = nac_load4(m + 2 * step), m4 = nac_load4(m + 3 * step);
        const nac_f4 m5 = nac_load4(m + 4 * step), m6 = nac_load4(m + 5 * step), m7 = nac_load4(m + 6 * step);
        c11.c[c] = m1 + m4 - m5 + m7;
        c12.c[c] = m3 + sign * m5;
        c21.c[c] = m2 + m4;
        c22.c[c] = sign * (m1 - m2) + m3 + m6;
    }
    store_outputs(k, first, channel, c11);
    store_outputs(k, first, s->O + channel, c12);
    store_outputs(k, first + NAC_PANEL, channel, c21);
    store_outputs(k, first + NAC_PANEL, s->O + channel, c22);
}

/* Four pixels of a single panel; m is the sum of two products, M3 and M5, NAC_TILE floats apart. */
static inline void store_single(const side *s, const sink *k, size_t first, size_t channel, float sign, const float *m) {
    quad c11, c12;
    for (size_t c = 0; c < 4; ++c, m += NAC_PANEL) {
        const nac_f4 m3 = nac_load4(m + 2 * NAC_TILE), m5 = nac_load4(m + 3 * NAC_TILE);
        c11.c[c] = nac_load4(m) + nac_load4(m + NAC_TILE);
        c12.c[c] = m3 + sign * m5;
    }
    store_outputs(k, first, channel, c11);
    store_outputs(k, first, s->O + channel, c12);
}

/* ---- All of it ------------------------------------------------------------------------------------- */

enum { SINGLE_OPERANDS = 3, SINGLE_PRODUCTS = 4 };

static size_t operand_floats(const side *s) { return PRODUCTS * s->group * s->K * NAC_PANEL; }

static size_t product_floats(const side *s) { return BLOCKS * (PRODUCTS * s->group + SINGLE_PRODUCTS) * NAC_TILE; }

/* A group's left operands, those of a single panel, the products of BLOCKS blocks, a pixel of zeros. */
size_t nac_strassen_scratch(const nac_convolution *p, bool backward) {
    const side s = side_of(p, backward);
    return operand_floats(&s) + SINGLE_OPERANDS * s.K * NAC_PANEL + product_floats(&s) + 2 * s.K;
}

/* A run of one direction. */
typedef struct work {
    side s;
    bool backward;
    float sign; /* s */
    nac_blocks right[PRODUCTS];
    sink sink;
    float *v, *single, *m, *zeros;
} work;

/* The products of a block with a single panel. */
static void multiply_single(const work *w, size_t block, float *m) {
    const float *sum = w->single, *a11 = sum + w->s.K * NAC_PANEL, *a12 = a11 + w->s.K * NAC_PANEL;
    const float *const left[SINGLE_PRODUCTS] = {sum, a12, a11, sum};
    static const size_t right[SINGLE_PRODUCTS] = {1, 3, 2, 4};
    for (size_t i = 0; i < SINGLE_PRODUCTS; ++i) nac_product(&w->right[right[i]], w->backward, block, left[i], 1, false, m + i * NAC_TILE);
}

/* Output channels from `channel` on, `blocks` blocks of either half, of the pairs from pixel `first` on and the single panel behind them. */
static void run_blocks(const work *w, size_t first, size_t pairs, bool single, size_t channel, size_t blocks) {
    const side *s = &w->s;
    const size_t step = pairs * NAC_TILE, block_step = PRODUCTS * step, single_step = SINGLE_PRODUCTS * NAC_TILE, last = first + pairs * PAIR;
    float *m_single = w->m + blocks * block_step;
    for (size_t q = 0; q < PRODUCTS; ++q)
        for (size_t b = 0; b < blocks; ++b)
            nac_product(&w->right[q], w->backward, channel / NAC_BLOCK + b, w->v + q * pairs * s->K * NAC_PANEL, pairs,
                        false, w->m + b * block_step + q * step);
    for (size_t b = 0; single && b < blocks; ++b) multiply_single(w, channel / NAC_BLOCK + b, m_single + b * single_step);
    for (size_t i = 0; i < pairs; ++i)
        for (size_t t = 0; t < NAC_PANEL; t += 4)
            for (size_t b = 0; b < blocks; ++b)
                store_pair(s, &w->sink, first + i * PAIR + t, channel + b * NAC_BLOCK, w->sign, w->m + b * block_step + i * NAC_TILE + t, step);
    for (size_t t = 0; single && t < NAC_PANEL; t += 4)
        for (size_t b = 0; b < blocks; ++b) store_single(s, &w->sink, last + t, channel + b * NAC_BLOCK, w->sign, m_single + b * single_step + t);
}

static void run_image(const work *w, const float *from) {
    const side *s = &w->s;
    const size_t panel = s->K * NAC_PANEL;
    for (size_t pair = 0; pair < s->pairs; pair += s->group) {
        const size_t pairs = s->pairs - pair < s->group ? s->pairs - pair : s->group, first = pair * PAIR;
        const bool single = s->single && pair + pairs == s->pairs;
        for (size_t i = 0; i < pairs; ++i) fill_pair(s, first + i * PAIR, w->sign, from, w->zeros, pairs * panel, w->v + i * panel);
        if (single) fill_single(s, first + pairs * PAIR, w->sign, from, w->zeros, w->single);
        for (size_t o = 0; o < s->O; o += BLOCKS * NAC_BLOCK) {
            const size_t left = (s->O - o) / NAC_BLOCK;
            run_blocks(w, first, pairs, single, o, left < BLOCKS ? left : BLOCKS);
        }
    }
}

void nac_strassen_run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                      float *scratch, float *to) {
    static const size_t exchanged[PRODUCTS] = {0, 1, 6, 5, 4, 3, 2};
    work w = {.s = side_of(p, backward), .backward = backward, .sign = backward ? -1 : 1};
    const side *s = &w.s;
    for (size_t q = 0; q < PRODUCTS; ++q)
        w.right[q] = (nac_blocks){weights + (backward ? exchanged[q] : q) * nac_blocks_size(p->Co / 2, p->Ci / 2), p->Co / 2, p->Ci / 2};
    w.sink = (sink){.pixels = s->out, .bias = bias, .low = nac_splat4(low), .high = nac_splat4(high), .to = to};
    w.v = scratch;
    w.single = w.v + operand_floats(s);
    w.m = w.single + SINGLE_OPERANDS * s->K * NAC_PANEL;
    w.zeros = w.m + product_floats(s);
    memset(w.zeros, 0, 2 * s->K * sizeof(float));
    if (backward && skips_pixels(p)) memset(to, 0, (size_t)p->N * s->out.image * sizeof(float));
    for (int n = 0; n < p->N; ++n, from += s->in.image, w.sink.to += s->out.image) run_image(&w, from);
}
