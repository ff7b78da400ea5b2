#include "backend/winograd_tiles.h"

#include "backend/product.h"

enum { MAX_IN = 5, MAX_OUT = 4, MAX_PLANES = 5, MAX_SUMS = 5, GROUP = 4 /* tiles and channels that are transposed at a time */ };

const nac_tile_shape nac_tile_shapes[NAC_TILE_KINDS] = {
    [NAC_TILES_STRIDE_1] = {.in = 4, .out = 2, .advance = 2, .planes = 4, .sums = 4},
    [NAC_TILES_STRIDE_2] = {.in = 5, .out = 2, .advance = 4, .planes = 5, .sums = 3},
    [NAC_TILES_STRIDE_2_GRADIENT] = {.in = 3, .out = 4, .advance = 2, .planes = 4, .sums = 5},
};

typedef struct place {
    int n, y, x; /* image, and the tile's row and column in it */
} place;

static place place_of(const nac_tiles *t, size_t tile) {
    const size_t row = tile / (size_t)t->x.tiles;
    return (place){.n = (int)(row / (size_t)t->y.tiles), .y = (int)(row % (size_t)t->y.tiles), .x = (int)(tile % (size_t)t->x.tiles)};
}

/* The i-th pixel of a tile of `size`, counted from the near or the far end. */
static int along(const nac_tile_axis *axis, int i, int size) { return axis->mirrored ? size - 1 - i : i; }

/* ---- Inputs ---------------------------------------------------------------------------------------- */

static void find_inputs(const nac_tiles *t, size_t tile, const float *from, const float *zeros, const float *inputs[MAX_IN * MAX_IN]) {
    const nac_tile_shape *shape = &nac_tile_shapes[t->kind];
    const place at = place_of(t, tile);
    for (int i = 0; i < shape->in; ++i)
        for (int j = 0; j < shape->in; ++j) {
            const int y = t->y.first + at.y * shape->advance + along(&t->y, i, shape->in);
            const int x = t->x.first + at.x * shape->advance + along(&t->x, j, shape->in);
            const bool inside = tile < t->count && y >= 0 && y < t->y.in && x >= 0 && x < t->x.in;
            inputs[i * shape->in + j] = inside ? from + (((size_t)at.n * (size_t)t->y.in + (size_t)y) * (size_t)t->x.in + (size_t)x) * t->K : zeros;
        }
}

/* Along one axis: x0 to x4 are as many inputs as a tile has. KIND is a constant after inlining, as below. */
static inline void transform_inputs(nac_tile_kind KIND, nac_f4 x0, nac_f4 x1, nac_f4 x2, nac_f4 x3, nac_f4 x4, nac_f4 *v, size_t step) {
    switch (KIND) {
        case NAC_TILES_STRIDE_2: v[0] = x0 - x2, v[step] = x1, v[2 * step] = x2, v[3 * step] = x3, v[4 * step] = x4 - x2; break;
        case NAC_TILES_STRIDE_2_GRADIENT: v[0] = x0 - x1, v[step] = x1, v[2 * step] = x2 - x1, v[3 * step] = x2; break;
        default: v[0] = x0 - x2, v[step] = x1 + x2, v[2 * step] = x2 - x1, v[3 * step] = x1 - x3; break;
    }
}

/* Four channels of one tile: columns, then rows, in place. */
static inline void transform_tile(nac_tile_kind KIND, const float *const *inputs, size_t channel, nac_f4 *v) {
    const size_t IN = (size_t)nac_tile_shapes[KIND].in, PLANES = nac_tile_shapes[KIND].planes;
    const nac_f4 none = {0};
    for (size_t j = 0; j < IN; ++j) {
        const float *const *x = inputs + j;
        transform_inputs(KIND, nac_load4(x[0] + channel), nac_load4(x[IN] + channel), nac_load4(x[2 * IN] + channel),
                         IN > 3 ? nac_load4(x[3 * IN] + channel) : none, IN > 4 ? nac_load4(x[4 * IN] + channel) : none, v + j, PLANES);
    }
    for (size_t i = 0; i < PLANES; ++i) {
        nac_f4 *x = v + i * PLANES;
        transform_inputs(KIND, x[0], x[1], x[2], IN > 3 ? x[3] : none, IN > 4 ? x[4] : none, x, 1);
    }
}

/* A panel at a time: whole cache lines. */
static inline void fill(nac_tile_kind KIND, const nac_tiles *tiles, size_t first, size_t panels, const float *from, const float *zeros, float *v) {
    const size_t PLANES = nac_tile_shapes[KIND].planes * nac_tile_shapes[KIND].planes;
    for (size_t p = 0; p < panels; ++p, v += tiles->K * NAC_PANEL) {
        const float *inputs[NAC_PANEL][MAX_IN * MAX_IN];
        for (size_t t = 0; t < NAC_PANEL; ++t) find_inputs(tiles, first + p * NAC_PANEL + t, from, zeros, inputs[t]);
        for (size_t c = 0; c < tiles->K; c += GROUP)
            for (size_t t = 0; t < NAC_PANEL; t += GROUP) {
                nac_f4 d[GROUP][MAX_PLANES * MAX_PLANES];
                for (size_t j = 0; j < GROUP; ++j) transform_tile(KIND, inputs[t + j], c, d[j]);
                float *to = v + c * NAC_PANEL + t;
                for (size_t k = 0; k < PLANES; ++k, to += tiles->plane_step) {
                    nac_transpose4(&d[0][k], &d[1][k], &d[2][k], &d[3][k]);
                    for (size_t j = 0; j < GROUP; ++j) nac_store4(to + j * NAC_PANEL, d[j][k]);
                }
            }
    }
}

void nac_tiles_fill(const nac_tiles *tiles, size_t first, size_t panels, const float *from, const float *zeros, float *v) {
    switch (tiles->kind) {
        case NAC_TILES_STRIDE_2: fill(NAC_TILES_STRIDE_2, tiles, first, panels, from, zeros, v); break;
        case NAC_TILES_STRIDE_2_GRADIENT: fill(NAC_TILES_STRIDE_2_GRADIENT, tiles, first, panels, from, zeros, v); break;
        default: fill(NAC_TILES_STRIDE_1, tiles, first, panels, from, zeros, v); break;
    }
}

/* ---- Outputs --------------------------------------------------------------------------------------- */

static inline void transform_sums(nac_tile_kind KIND, nac_f4 m0, nac_f4 m1, nac_f4 m2, nac_f4 m3, nac_f4 m4, nac_f4 *y, size_t step) {
    switch (KIND) {
        case NAC_TILES_STRIDE_2: y[0] = m0 + m1, y[step] = m1 + m2; break;
        case NAC_TILES_STRIDE_2_GRADIENT: y[0] = m0 + m1, y[step] = m3, y[2 * step] = m1 + m2, y[3 * step] = m4; break;
        default: y[0] = m0 + m1 + m2, y[step] = m1 - m2 - m3; break;
    }
}

/* One channel of four tiles; the sums lie `step` floats apart. */
static inline void transform_products(nac_tile_kind KIND, const float *from, size_t step, nac_f4 *y) {
    const size_t SUMS = nac_tile_shapes[KIND].sums, OUT = (size_t)nac_tile_shapes[KIND].out, row = SUMS * step;
    const nac_f4 none = {0};
    nac_f4 rows[MAX_OUT * MAX_SUMS];
    for (size_t j = 0; j < SUMS; ++j) {
        const float *m = from + j * step;
        transform_sums(KIND, nac_load4(m), nac_load4(m + row), nac_load4(m + 2 * row), SUMS > 3 ? nac_load4(m + 3 * row) : none,
                       SUMS > 4 ? nac_load4(m + 4 * row) : none, rows + j, SUMS);
    }
    for (size_t i = 0; i < OUT; ++i) {
        const nac_f4 *m = rows + i * SUMS;
        transform_sums(KIND, m[0], m[1], m[2], SUMS > 3 ? m[3] : none, SUMS > 4 ? m[4] : none, y + i * OUT, 1);
    }
}

/* Where a tile's outputs go; NULL: outside of the image. */
static void find_outputs(const nac_tiles *t, size_t tile, float *to, float *outputs[MAX_OUT * MAX_OUT]) {
    const int OUT = nac_tile_shapes[t->kind].out;
    const place at = place_of(t, tile);
    for (int i = 0; i < OUT; ++i)
        for (int j = 0; j < OUT; ++j) {
            const int y = at.y * OUT + along(&t->y, i, OUT), x = at.x * OUT + along(&t->x, j, OUT);
            const bool inside = tile < t->count && y < t->y.out && x < t->x.out;
            outputs[i * OUT + j] = inside ? to + (((size_t)at.n * (size_t)t->y.out + (size_t)y) * (size_t)t->x.out + (size_t)x) * t->O : NULL;
        }
}

/* Four tiles and four channels. */
static inline void store_group(nac_tile_kind KIND, const float *m, size_t step, nac_f4 bias, nac_f4 low, nac_f4 high,
                               float *(*outputs)[MAX_OUT * MAX_OUT], size_t channel) {
    const int OUT = nac_tile_shapes[KIND].out;
    nac_f4 y[GROUP][MAX_OUT * MAX_OUT]; /* channel, output; after the transposition: tile, output */
    for (size_t c = 0; c < GROUP; ++c) transform_products(KIND, m + c * NAC_PANEL, step, y[c]);
    for (int i = 0; i < OUT * OUT; ++i) {
        nac_transpose4(&y[0][i], &y[1][i], &y[2][i], &y[3][i]);
        for (size_t j = 0; j < GROUP; ++j)
            if (outputs[j][i]) nac_store4(outputs[j][i] + channel, nac_min4(nac_max4(y[j][i] + bias, low), high));
    }
}

static inline void store(nac_tile_kind KIND, const nac_tiles *tiles, size_t first, size_t panels, const float *m, const float *bias, float low,
                         float high, float *to) {
    for (size_t p = 0; p < panels; ++p) {
        float *outputs[NAC_PANEL][MAX_OUT * MAX_OUT];
        for (size_t t = 0; t < NAC_PANEL; ++t) find_outputs(tiles, first + p * NAC_PANEL + t, to, outputs[t]);
        for (size_t o = 0; o < tiles->O; o += NAC_BLOCK)
            for (size_t t = 0; t < NAC_PANEL; t += GROUP)
                store_group(KIND, m + (o * panels + p * NAC_BLOCK) * NAC_PANEL + t, tiles->sum_step, bias ? nac_load4(bias + o) : nac_splat4(0),
                            nac_splat4(low), nac_splat4(high), outputs + t, o);
    }
}

void nac_tiles_store(const nac_tiles *tiles, size_t first, size_t panels, const float *m, const float *bias, float low, float high, float *to) {
    switch (tiles->kind) {
        case NAC_TILES_STRIDE_2: store(NAC_TILES_STRIDE_2, tiles, first, panels, m, bias, low, high, to); break;
        case NAC_TILES_STRIDE_2_GRADIENT: store(NAC_TILES_STRIDE_2_GRADIENT, tiles, first, panels, m, bias, low, high, to); break;
        default: store(NAC_TILES_STRIDE_1, tiles, first, panels, m, bias, low, high, to); break;
    }
}
