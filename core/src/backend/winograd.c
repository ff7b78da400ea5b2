/* winograd.c - 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3): 16 multiplications for 2 x 2 outputs instead of 36
 * (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015).
 *
 * y = A^T [(G g G^T) * (B^T d B)] A for a tile d of 4 x 4 inputs. Summed over channels, each of the 16 positions of the transformed tiles
 * is a matrix product of its own. The transforms only add and halve, and sums are 9 times shorter: the error is below that of
 * the direct sum. Larger tiles (F(4x4, 3x3)) would multiply less, weigh 36/9, and lose a digit.
 *
 * The gradient is the convolution of dy with the window turned by 180 degrees and its channels exchanged. Turning g exchanges rows
 * 0 and 3 of G g: the same transformed weights, read in another order of positions and transposed. */
#include "backend/winograd.h"

#include <string.h>

#include "backend/product.h"

enum {
    POSITIONS = 16, IN = 4, OUT = 2,
    GROUP_FLOATS = 256 * 1024, /* tiles, before and after the products, that stay in the cache */
    MAX_CHANNELS = 1 << 16,    /* keeps the size of a group within 32 bits */
};

bool nac_winograd_takes(const nac_convolution *p) {
    const nac_window *v = &p->window;
    return p->groups == 1 && v->kernel_h == 3 && v->kernel_w == 3 && v->stride_h == 1 && v->stride_w == 1 && v->dilation_h == 1 &&
           v->dilation_w == 1 && p->Ci % NAC_BLOCK == 0 && p->Co % NAC_BLOCK == 0 && v->pad_top <= 2 && v->pad_left <= 2 &&
           p->Ci <= MAX_CHANNELS && p->Co <= MAX_CHANNELS;
}

/* ---- Weights --------------------------------------------------------------------------------------- */

size_t nac_winograd_weights(const nac_convolution *p) { return POSITIONS * (size_t)p->Co * (size_t)p->Ci; }

/* to[0], to[step], ... = G times the column from[0], from[from_step], ... */
static inline void transform_weights(const nac_f4 *from, size_t from_step, nac_f4 *to, size_t to_step) {
    const nac_f4 a = from[0], b = from[from_step], c = from[2 * from_step];
    to[0] = a;
    to[to_step] = (a + b + c) * 0.5f;
    to[2 * to_step] = (a - b + c) * 0.5f;
    to[3 * to_step] = c;
}

void nac_winograd_transform(const nac_convolution *p, float *weights) {
    const size_t Ci = (size_t)p->Ci, matrix = (size_t)p->Co * Ci;
    for (int o = 0; o < p->Co; o += NAC_BLOCK)
        for (int i = 0; i < p->Ci; i += NAC_BLOCK) {
            /* A block of each position at a time, which is a cache line: the positions lie as far apart as caches like least. */
            nac_f4 u[NAC_BLOCK][POSITIONS];
            for (size_t b = 0; b < NAC_BLOCK; ++b) {
                const float *from = p->w + ((size_t)o + b) * 9 * Ci + (size_t)i;
                nac_f4 g[9], half[IN][3];
                for (size_t k = 0; k < 9; ++k) g[k] = nac_load4(from + k * Ci);
                for (size_t x = 0; x < 3; ++x) transform_weights(g + x, 3, &half[0][x], 3);
                for (size_t y = 0; y < IN; ++y) transform_weights(half[y], 1, u[b] + y * IN, 1);
            }
            float *to = weights + nac_block_offset(p->Co, p->Ci, o, i);
            for (size_t k = 0; k < POSITIONS; ++k, to += matrix) {
                nac_transpose4(&u[0][k], &u[1][k], &u[2][k], &u[3][k]); /* output channels are neighbours */
                for (size_t b = 0; b < NAC_BLOCK; ++b) nac_store4(to + b * NAC_BLOCK, u[b][k]);
            }
        }
}

/* ---- Tiles ----------------------------------------------------------------------------------------- */

/* One direction: K channels in, O out. */
typedef struct side {
    int in_h, in_w, out_h, out_w, pad_top, pad_left, tiles_h, tiles_w;
    size_t K, O, tiles, group; /* group: tiles that are computed together, whole panels */
} side;

static side side_of(const nac_convolution *p, bool backward) {
    side s = {.in_h = p->H, .in_w = p->W, .out_h = p->OH, .out_w = p->OW, .pad_top = p->window.pad_top, .pad_left = p->window.pad_left,
              .K = (size_t)p->Ci, .O = (size_t)p->Co};
    if (backward)
        s = (side){.in_h = p->OH, .in_w = p->OW, .out_h = p->H, .out_w = p->W, .pad_top = 2 - p->window.pad_top, .pad_left = 2 - p->window.pad_left,
                   .K = (size_t)p->Co, .O = (size_t)p->Ci};
    s.tiles_h = (s.out_h + OUT - 1) / OUT;
    s.tiles_w = (s.out_w + OUT - 1) / OUT;
    s.tiles = (size_t)p->N * (size_t)s.tiles_h * (size_t)s.tiles_w;
    const size_t all = (s.tiles + NAC_PANEL - 1) / NAC_PANEL * NAC_PANEL;
    s.group = GROUP_FLOATS / (POSITIONS * (s.K + s.O)) / NAC_PANEL * NAC_PANEL;
    if (s.group < 4 * NAC_PANEL) s.group = 4 * NAC_PANEL; /* fewer would read the weights too often */
    if (s.group > all) s.group = all;
    return s;
}

typedef struct place {
    int n, y, x; /* image, and the tile's first output */
} place;

static place place_of(const side *s, size_t tile) {
    const size_t row = tile / (size_t)s->tiles_w;
    return (place){.n = (int)(row / (size_t)s->tiles_h), .y = (int)(row % (size_t)s->tiles_h) * OUT, .x = (int)(tile % (size_t)s->tiles_w) * OUT};
}

/* The tile's inputs; `zeros` stands for what lies outside of the image. */
static void find_inputs(const side *s, size_t tile, const float *from, const float *zeros, const float *inputs[POSITIONS]) {
    const place at = place_of(s, tile);
    for (int i = 0; i < POSITIONS; ++i) {
        const int y = at.y - s->pad_top + i / IN, x = at.x - s->pad_left + i % IN;
        const bool inside = tile < s->tiles && y >= 0 && y < s->in_h && x >= 0 && x < s->in_w;
        inputs[i] = inside ? from + (((size_t)at.n * (size_t)s->in_h + (size_t)y) * (size_t)s->in_w + (size_t)x) * s->K : zeros;
    }
}

/* B^T d B of four channels. */
static inline void transform_inputs(const float *const inputs[POSITIONS], size_t channel, nac_f4 d[POSITIONS]) {
    for (int x = 0; x < IN; ++x) {
        const nac_f4 a = nac_load4(inputs[x] + channel), b = nac_load4(inputs[x + 4] + channel);
        const nac_f4 c = nac_load4(inputs[x + 8] + channel), e = nac_load4(inputs[x + 12] + channel);
        d[x] = a - c, d[x + 4] = b + c, d[x + 8] = c - b, d[x + 12] = b - e;
    }
    for (int y = 0; y < POSITIONS; y += IN) {
        const nac_f4 a = d[y], b = d[y + 1], c = d[y + 2], e = d[y + 3];
        d[y] = a - c, d[y + 1] = b + c, d[y + 2] = c - b, d[y + 3] = b - e;
    }
}

/* v [16, panels, K, 8]: four tiles and four channels at a time. */
static void fill_panels(const side *s, size_t first, size_t panels, const float *from, const float *zeros, float *v) {
    for (size_t t = 0; t < panels * NAC_PANEL; t += 4) {
        const float *inputs[4][POSITIONS];
        for (size_t j = 0; j < 4; ++j) find_inputs(s, first + t + j, from, zeros, inputs[j]);
        float *panel = v + (t / NAC_PANEL * s->K) * NAC_PANEL + t % NAC_PANEL;
        for (size_t c = 0; c < s->K; c += 4) {
            nac_f4 d[4][POSITIONS];
            for (size_t j = 0; j < 4; ++j) transform_inputs(inputs[j], c, d[j]);
            for (size_t k = 0; k < POSITIONS; ++k) {
                float *to = panel + k * panels * s->K * NAC_PANEL + c * NAC_PANEL;
                nac_transpose4(&d[0][k], &d[1][k], &d[2][k], &d[3][k]);
                for (size_t j = 0; j < 4; ++j) nac_store4(to + j * NAC_PANEL, d[j][k]);
            }
        }
    }
}

/* y[i][tile] = A^T m A for four tiles and one channel; m's positions lie `step` apart. */
static inline void transform_products(const float *m, size_t step, nac_f4 y[4]) {
    nac_f4 h[OUT][IN];
    for (size_t x = 0; x < IN; ++x) {
        const nac_f4 a = nac_load4(m + x * step), b = nac_load4(m + (x + 4) * step);
        const nac_f4 c = nac_load4(m + (x + 8) * step), d = nac_load4(m + (x + 12) * step);
        h[0][x] = a + b + c, h[1][x] = b - c - d;
    }
    for (size_t r = 0; r < OUT; ++r) y[2 * r] = h[r][0] + h[r][1] + h[r][2], y[2 * r + 1] = h[r][1] - h[r][2] - h[r][3];
}

/* Four output channels of the group's tiles from m [panels, 4, 8] of each position. */
static void store_outputs(const side *s, size_t first, size_t panels, const float *m, size_t step, nac_f4 bias, nac_f4 low, nac_f4 high,
                          float *to) {
    for (size_t t = 0; t < panels * NAC_PANEL && first + t < s->tiles; t += 4) {
        nac_f4 y[4][4]; /* channel, output; after the transposition: tile, output */
        for (size_t c = 0; c < NAC_BLOCK; ++c) transform_products(m + t / NAC_PANEL * NAC_TILE + c * NAC_PANEL + t % NAC_PANEL, step, y[c]);
        for (size_t i = 0; i < 4; ++i) nac_transpose4(&y[0][i], &y[1][i], &y[2][i], &y[3][i]);
        for (size_t j = 0; j < 4 && first + t + j < s->tiles; ++j) {
            const place at = place_of(s, first + t + j);
            for (int i = 0; i < 4; ++i) {
                const int row = at.y + i / OUT, column = at.x + i % OUT;
                if (row >= s->out_h || column >= s->out_w) continue;
                nac_store4(to + (((size_t)at.n * (size_t)s->out_h + (size_t)row) * (size_t)s->out_w + (size_t)column) * s->O,
                           nac_min4(nac_max4(y[j][i] + bias, low), high));
            }
        }
    }
}

/* ---- All of it ------------------------------------------------------------------------------------- */

/* Tiles, products and a pixel of zeros. */
size_t nac_winograd_scratch(const nac_convolution *p, bool backward) {
    const side s = side_of(p, backward);
    return POSITIONS * s.group * (s.K + s.O) + s.K;
}

void nac_winograd_run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                      float *scratch, float *to) {
    static const size_t turned[IN] = {3, 1, 2, 0};
    const side s = side_of(p, backward);
    const size_t matrix = (size_t)p->Co * (size_t)p->Ci;
    float *v = scratch, *m = v + POSITIONS * s.group * s.K, *zeros = m + POSITIONS * s.group * s.O;
    memset(zeros, 0, s.K * sizeof(float));
    for (size_t first = 0; first < s.tiles; first += s.group) {
        const size_t rest = s.tiles - first, panels = ((rest < s.group ? rest : s.group) + NAC_PANEL - 1) / NAC_PANEL;
        const size_t tiles = panels * NAC_PANEL;
        fill_panels(&s, first, panels, from, zeros, v);
        for (size_t k = 0; k < POSITIONS; ++k) {
            const size_t position = backward ? turned[k / IN] * IN + turned[k % IN] : k;
            const nac_blocks w = {weights + position * matrix, p->Co, p->Ci};
            for (size_t o = 0; o < s.O; o += NAC_BLOCK)
                nac_product(&w, backward, (int)(o / NAC_BLOCK), v + k * tiles * s.K, panels, m + (k * s.O + o) * tiles);
        }
        for (size_t o = 0; o < s.O; o += NAC_BLOCK)
            store_outputs(&s, first, panels, m + o * tiles, s.O * tiles, bias ? nac_load4(bias + o) : nac_splat4(0), nac_splat4(low),
                          nac_splat4(high), to + o);
    }
}
