/* winograd.c - 3x3 convolutions of stride 1 and 2, and their gradients, with fewer multiplications (Winograd's minimal filtering; Lavin and
 * Gray, Fast Algorithms for Convolutional Neural Networks, 2015).
 *
 * Along one axis two outputs are made from sums of products of transformed inputs and weights, fewer than 6. In two dimensions rows are transformed,
 * then columns; summed over channels, each product of a plane of transformed inputs and a plane of weights is a matrix product of its own. The
 * transforms only add and halve, and sums are shorter: the error is below that of the direct sum. Larger tiles, F(4x4, 3x3), would
 * multiply less, but weigh 36/9 and err more than the direct sum does, whatever their points: more rectifiers behind them turn.
 *
 * Stride 1, F(2, 3): 4 products, 16 instead of 36 in two dimensions.
 *     y0 = u0 v0 + u1 v1 + u2 v2      u = w0, (w0 + w1 + w2) / 2, (w0 - w1 + w2) / 2, w2
 *     y1 = u1 v1 - u2 v2 - u3 v3      v = x0 - x2, x1 + x2, x2 - x1, x1 - x3
 * The gradient is the convolution of dy with the window turned by 180 degrees and its channels exchanged. Turning w exchanges u0 and u3: the same
 * transformed weights, read in another order and transposed.
 *
 * Stride 2: even inputs meet w0 and w2 only, which is F(2, 2), odd ones w1 only. 5 products, 25 instead of 36.
 *     y0 = u0 (x0 - x2) + u1 x1 + u3 x2      u = w0, w1, w2, w0 + w2
 *     y1 = u1 x3 + u2 (x4 - x2) + u3 x2
 * The gradient's even outputs are F(2, 2) of three neighbours dy0, dy1, dy2 again, with the same u. 4 outputs of 5 products:
 *     dx0 = u3 dy1 + u2 (dy0 - dy1)     dx1 = u1 dy1     dx2 = u3 dy1 + u0 (dy2 - dy1)     dx3 = u1 dy2
 * Where the first output is an odd one, inputs and outputs are read from the far end, and the window with them: u0 and u2 change places. */
#include "backend/convolution.h"

#include <stdint.h>
#include <string.h>

#include "backend/product.h"
#include "backend/winograd_tiles.h"

enum {
    WEIGHTS = 4, POSITIONS = WEIGHTS * WEIGHTS, /* planes of weights, along one axis and in all */
    GROUP_FLOATS = 256 * 1024, /* tiles, before and after the products, that stay in the cache */
    SKEW = 32,                 /* planes a multiple of a page apart would share few of the cache's sets */
    MIN_CHANNELS = 64,         /* of stride 2 */
    MAX_CHANNELS = 1 << 16,    /* keeps the size of a group within 32 bits */
};

/* ---- Choice ---------------------------------------------------------------------------------------- */

static int tiles_of(int outputs, int each) { return (outputs + each - 1) / each; }

/* 25 products of an image's tiles, in whole panels, against 9 of its pixels; with fewer channels the transforms cost more than that saves. Measured
 * with relaxed SIMD, times as fast as XNNPACK, forward and gradient: 64 to 128 channels and 28 x 28 outputs 1.14 and 1.17, 128 to 128 1.03 and 1.20,
 * 256 to 256 and 14 x 14 1.10 and 1.26, 512 to 512 and 7 x 7 1.18 and 1.26; but 0.85 and 0.83 for 16 to 32 and 28 x 28. */
static bool is_stride_2_worth_it(const nac_convolution *p) {
    const nac_tile_shape *shape = &nac_tile_shapes[NAC_TILES_STRIDE_2];
    const int64_t tiles = (int64_t)tiles_of(p->OH, shape->out) * tiles_of(p->OW, shape->out), planes = (int64_t)(shape->planes * shape->planes);
    return p->Ci >= MIN_CHANNELS && p->Co >= MIN_CHANNELS &&
           (tiles + NAC_PANEL - 1) / NAC_PANEL * NAC_PANEL * planes < 9 * (int64_t)p->OH * p->OW;
}

static bool takes(const nac_convolution *p) {
    const nac_window *v = &p->window;
    if (p->groups != 1 || v->kernel_h != 3 || v->kernel_w != 3 || v->dilation_h != 1 || v->dilation_w != 1 || p->Ci % NAC_BLOCK != 0 ||
        p->Co % NAC_BLOCK != 0 || p->Ci > MAX_CHANNELS || p->Co > MAX_CHANNELS || v->pad_top > 2 || v->pad_left > 2)
        return false;
    if (v->stride_h == 1 && v->stride_w == 1) return true;
    return v->stride_h == 2 && v->stride_w == 2 && is_stride_2_worth_it(p);
}

/* ---- Weights --------------------------------------------------------------------------------------- */

static size_t count_weights(const nac_convolution *p) { return POSITIONS * nac_blocks_size(p->Co, p->Ci); }

/* u of w along one axis. */
static inline void transform_weights(bool stride_1, const nac_f4 *w, size_t step, nac_f4 *u, size_t u_step) {
    const nac_f4 a = w[0], b = w[step], c = w[2 * step];
    u[0] = a;
    u[u_step] = stride_1 ? (a + b + c) * 0.5f : b;
    u[2 * u_step] = stride_1 ? (a - b + c) * 0.5f : c;
    u[3 * u_step] = stride_1 ? c : a + c;
}

static void arrange_weights(const nac_convolution *p, float *weights) {
    const size_t Ci = (size_t)p->Ci, matrix = nac_blocks_size(p->Co, p->Ci);
    const bool stride_1 = p->window.stride_h == 1;
    for (int o = 0; o < p->Co; o += NAC_BLOCK)
        for (int i = 0; i < p->Ci; i += NAC_BLOCK) {
            /* A block of each position at a time, which is a cache line: the positions lie as far apart as caches like least. */
            nac_f4 u[NAC_BLOCK][POSITIONS];
            for (size_t b = 0; b < NAC_BLOCK; ++b) {
                const float *from = p->w + ((size_t)o + b) * 9 * Ci + (size_t)i;
                nac_f4 g[9], half[WEIGHTS][3];
                for (size_t k = 0; k < 9; ++k) g[k] = nac_load4(from + k * Ci);
                for (size_t x = 0; x < 3; ++x) transform_weights(stride_1, g + x, 3, &half[0][x], 3);
                for (size_t y = 0; y < WEIGHTS; ++y) transform_weights(stride_1, half[y], 1, u[b] + y * WEIGHTS, 1);
            }
            float *to = weights + nac_block_offset(p->Co, p->Ci, o, i);
            for (size_t k = 0; k < POSITIONS; ++k, to += matrix) {
                nac_transpose4(&u[0][k], &u[1][k], &u[2][k], &u[3][k]); /* output channels are neighbours */
                for (size_t b = 0; b < NAC_BLOCK; ++b) nac_store4(to + b * NAC_BLOCK, u[b][k]);
            }
        }
}

/* ---- Products -------------------------------------------------------------------------------------- */

/* What a plane of weights is multiplied with along one axis: a plane of inputs, and the sum that the product goes into. */
typedef struct use {
    unsigned char from, to;
    bool add; /* it isn't the first of the sum */
} use;

typedef struct weight_uses {
    size_t count;
    use uses[2];
} weight_uses;

static const weight_uses products[NAC_TILE_KINDS][WEIGHTS] = {
    [NAC_TILES_STRIDE_1] = {{1, {{0, 0, false}}}, {1, {{1, 1, false}}}, {1, {{2, 2, false}}}, {1, {{3, 3, false}}}},
    [NAC_TILES_STRIDE_2] = {{1, {{0, 0, false}}}, {2, {{1, 0, true}, {3, 2, false}}}, {1, {{4, 2, true}}}, {1, {{2, 1, false}}}},
    [NAC_TILES_STRIDE_2_GRADIENT] = {{1, {{2, 2, false}}}, {2, {{1, 3, false}, {3, 4, false}}}, {1, {{0, 0, false}}}, {1, {{1, 1, false}}}},
};

/* One direction. */
typedef struct side {
    nac_tiles tiles;
    const unsigned char *rows, *columns; /* [WEIGHTS]: where the window's planes lie, seen from this direction */
    size_t planes, sums, group;          /* planes and sums in two dimensions; tiles that are computed together, whole panels */
} side;

static const unsigned char as_they_are[WEIGHTS] = {0, 1, 2, 3}, turned[WEIGHTS] = {3, 1, 2, 0}, mirrored[WEIGHTS] = {2, 1, 0, 3};

/* `in` and `out` are the forward convolution's. Returns the order of the weights. */
static const unsigned char *lay_axis(nac_tile_kind kind, bool backward, int in, int out, int pad, nac_tile_axis *axis) {
    *axis = backward ? (nac_tile_axis){.in = out, .out = in} : (nac_tile_axis){.in = in, .out = out};
    axis->tiles = tiles_of(axis->out, nac_tile_shapes[kind].out);
    axis->first = -pad;
    if (!backward) return as_they_are;
    if (kind == NAC_TILES_STRIDE_1) {
        axis->first = pad - 2;
        return turned;
    }
    axis->first = (pad + 1) / 2 - 1; /* the first output is input `pad` of the padded image: under dy's pixel pad / 2, or behind it */
    axis->mirrored = pad % 2 == 1;
    return axis->mirrored ? mirrored : as_they_are;
}

static side side_of(const nac_convolution *p, bool backward) {
    const nac_tile_kind kind = p->window.stride_h == 1 ? NAC_TILES_STRIDE_1 : backward ? NAC_TILES_STRIDE_2_GRADIENT : NAC_TILES_STRIDE_2;
    const nac_tile_shape *shape = &nac_tile_shapes[kind];
    side s = {.tiles = {.kind = kind, .K = (size_t)(backward ? p->Co : p->Ci), .O = (size_t)(backward ? p->Ci : p->Co)},
              .planes = shape->planes * shape->planes, .sums = shape->sums * shape->sums};
    s.rows = lay_axis(kind, backward, p->H, p->OH, p->window.pad_top, &s.tiles.y);
    s.columns = lay_axis(kind, backward, p->W, p->OW, p->window.pad_left, &s.tiles.x);
    s.tiles.count = (size_t)p->N * (size_t)s.tiles.y.tiles * (size_t)s.tiles.x.tiles;
    const size_t all = (s.tiles.count + NAC_PANEL - 1) / NAC_PANEL * NAC_PANEL;
    s.group = GROUP_FLOATS / (s.planes * s.tiles.K + s.sums * s.tiles.O) / NAC_PANEL * NAC_PANEL;
    if (s.group < 4 * NAC_PANEL) s.group = 4 * NAC_PANEL; /* fewer would read the weights too often */
    if (s.group > all) s.group = all;
    s.tiles.plane_step = s.group * s.tiles.K + SKEW;
    s.tiles.sum_step = s.group * s.tiles.O + SKEW;
    return s;
}

/* All products with the plane of weights (a, b). A weight is read once for all of them. */
static void multiply(const side *s, bool backward, const nac_blocks *w, size_t a, size_t b, size_t panels, const float *v, float *m) {
    const nac_tile_shape *shape = &nac_tile_shapes[s->tiles.kind];
    const weight_uses *rows = &products[s->tiles.kind][a], *columns = &products[s->tiles.kind][b];
    for (size_t o = 0; o < s->tiles.O; o += NAC_BLOCK)
        for (size_t i = 0; i < rows->count; ++i)
            for (size_t j = 0; j < columns->count; ++j) {
                const use y = rows->uses[i], x = columns->uses[j];
                const size_t from = y.from * shape->planes + x.from, to = y.to * shape->sums + x.to;
                const float *inputs = v + from * s->tiles.plane_step;
                float *sums = m + to * s->tiles.sum_step + o * panels * NAC_PANEL;
                nac_product(w, backward, o / NAC_BLOCK, inputs, panels, y.add || x.add, sums);
            }
}

/* Tiles, sums and a pixel of zeros. */
static size_t count_scratch(const nac_convolution *p, bool backward) {
    const side s = side_of(p, backward);
    return s.planes * s.tiles.plane_step + s.sums * s.tiles.sum_step + s.tiles.K;
}

static void run(const nac_convolution *p, bool backward, const float *weights, const float *from, const float *bias, float low, float high,
                float *scratch, float *to) {
    const side s = side_of(p, backward);
    const size_t matrix = nac_blocks_size(p->Co, p->Ci);
    float *v = scratch, *m = v + s.planes * s.tiles.plane_step, *zeros = m + s.sums * s.tiles.sum_step;
    memset(zeros, 0, s.tiles.K * sizeof(float));
    for (size_t first = 0; first < s.tiles.count; first += s.group) {
        const size_t rest = s.tiles.count - first, panels = ((rest < s.group ? rest : s.group) + NAC_PANEL - 1) / NAC_PANEL;
        nac_tiles_fill(&s.tiles, first, panels, from, zeros, v);
        for (size_t a = 0; a < WEIGHTS; ++a)
            for (size_t b = 0; b < WEIGHTS; ++b) {
                const nac_blocks w = {weights + ((size_t)s.rows[a] * WEIGHTS + s.columns[b]) * matrix, p->Co, p->Ci};
                multiply(&s, backward, &w, a, b, panels, v, m);
            }
        nac_tiles_store(&s.tiles, first, panels, m, bias, low, high, to);
    }
}

const nac_algorithm nac_winograd = {"Winograd", "Winograd, turned", takes, false, count_weights, arrange_weights, count_scratch, run};
