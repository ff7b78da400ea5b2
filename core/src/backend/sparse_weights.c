/* sparse_weights.c - [places of the window, output tiles, input channels, TILE], with zeros up to whole tiles on both sides.
 *
 * Bytes lie in the same order, but in squares of 4 input and 4 output channels: a vector, which becomes four of a panel's, forward or turned. To make
 * floats of them again for each image costs about what it saves, for a quarter as much is fetched from memory; and they are the very floats that
 * nac_graph_dequantise makes. Their scales and zero points lie in front of them. */
#include "backend/sparse_weights.h"

#include <string.h>

#include "backend/simd.h"

enum { GROUP = NAC_SPARSE_GROUP, TILE = NAC_SPARSE_TILE, SQUARE = GROUP * GROUP };

static size_t taps_of(const nac_convolution *p) { return (size_t)p->window.kernel_h * (size_t)p->window.kernel_w; }

/* Numbers of one place of the window. */
static size_t matrix_size(const nac_convolution *p) { return nac_sparse_padded(p->Co) * nac_sparse_padded(p->Ci); }

/* Where output channel o's weight for input channel i lies in it. */
static size_t find_weight(const nac_convolution *p, size_t o, size_t i) { return o / TILE * TILE * nac_sparse_padded(p->Ci) + i * TILE + o % TILE; }

/* ---- Floats ----------------------------------------------------------------------------------------- */

/* Four output channels of one place of the window. */
NAC_NOT_INLINED static void arrange_rows(const nac_convolution *p, size_t tap, size_t o, float *matrix) {
    const size_t Ci = (size_t)p->Ci;
    float *to = matrix + find_weight(p, o, 0);
    for (size_t i = 0; i < Ci; i += GROUP, to += GROUP * TILE) {
        nac_f4 w[GROUP];
        for (size_t b = 0; b < GROUP; ++b) w[b] = nac_load4(p->w + ((o + b) * taps_of(p) + tap) * Ci + i);
        nac_transpose4(&w[0], &w[1], &w[2], &w[3]);
        for (size_t b = 0; b < GROUP; ++b) nac_store4(to + b * TILE, w[b]);
    }
}

/* The gradient's: of output channels o to o + count, and of the tile of input channels from i on. */
NAC_NOT_INLINED static void turn_weights(const nac_convolution *p, const float *matrix, size_t i, size_t o, size_t count, float *panel) {
    for (size_t n = 0; n < count; n += TILE) nac_fetch(matrix + find_weight(p, o + n, i), TILE * TILE * sizeof(float));
    for (size_t end = o + count; o < end; o += GROUP, panel += GROUP * TILE) {
        const float *from = matrix + find_weight(p, o, i);
        for (size_t c = 0; c < TILE; c += GROUP) {
            nac_f4 w[GROUP];
            for (size_t b = 0; b < GROUP; ++b) w[b] = nac_load4(from + (c + b) * TILE);
            nac_transpose4(&w[0], &w[1], &w[2], &w[3]);
            for (size_t b = 0; b < GROUP; ++b) nac_store4(panel + b * TILE + c, w[b]);
        }
    }
}

/* ---- Bytes ------------------------------------------------------------------------------------------ */

/* Of all output channels, filled up with 0. */
typedef struct bytes {
    float *scales;
    int16_t *zeros;
    int8_t *q;
} bytes;

static bytes find_bytes(const nac_convolution *p, const float *weights) {
    bytes w = {.scales = (float *)weights};
    w.zeros = (int16_t *)(w.scales + nac_sparse_padded(p->Co));
    w.q = (int8_t *)(w.zeros + nac_sparse_padded(p->Co));
    return w;
}

/* Where the square of output channels o to o + 4 and input channels i to i + 4 begins: [o, i]. */
static size_t find_square(const nac_convolution *p, size_t o, size_t i) { return find_weight(p, o - o % TILE, i) + o % TILE * GROUP; }

NAC_NOT_INLINED static void arrange_squares(const nac_convolution *p, size_t tap, size_t o, int8_t *matrix) {
    const size_t Ci = (size_t)p->Ci;
    int8_t *to = matrix + find_square(p, o, 0);
    const int8_t *from = p->bytes.q + (o * taps_of(p) + tap) * Ci;
    for (size_t i = 0; i < Ci; i += GROUP, to += GROUP * TILE)
        for (size_t b = 0; b < GROUP; ++b) memcpy(to + b * GROUP, from + b * taps_of(p) * Ci + i, GROUP);
}

/* Input channels i to i + count, and the tile of output channels from o on. */
NAC_NOT_INLINED static void unpack(const nac_convolution *p, const bytes *w, const int8_t *matrix, size_t o, size_t i, size_t count, float *panel) {
    const int8_t *square = matrix + find_square(p, o, i);
    nac_h8 zeros[TILE / GROUP];
    for (size_t c = 0; c < TILE; c += GROUP) zeros[c / GROUP] = nac_repeat4h(w->zeros + o + c);
    for (float *end = panel + count * TILE; panel < end; panel += GROUP * TILE)
        for (size_t c = 0; c < TILE; c += GROUP, square += SQUARE) {
            const nac_f4 scale = nac_load4(w->scales + o + c);
            nac_f4 v[GROUP];
            nac_widen16(nac_transpose4b(nac_load16b(square)), zeros[c / GROUP], zeros[c / GROUP], v);
            for (size_t b = 0; b < GROUP; ++b) nac_store4(panel + b * TILE + c, v[b] * scale);
        }
}

/* The gradient's, as turn_weights. */
NAC_NOT_INLINED static void unpack_turned(const nac_convolution *p, const bytes *w, const int8_t *matrix, size_t i, size_t o, size_t count, float *panel) {
    for (size_t n = 0; n < count; n += TILE) nac_fetch(matrix + find_square(p, o + n, i), TILE * TILE);
    for (size_t end = o + count; o < end; o += GROUP, panel += GROUP * TILE) {
        const int8_t *square = matrix + find_square(p, o, i);
        const nac_h8 low = nac_double4h(w->zeros[o], w->zeros[o + 1]), high = nac_double4h(w->zeros[o + 2], w->zeros[o + 3]);
        for (size_t c = 0; c < TILE; c += GROUP, square += GROUP * TILE) {
            nac_f4 v[GROUP];
            nac_widen16(nac_load16b(square), low, high, v);
            for (size_t b = 0; b < GROUP; ++b) nac_store4(panel + b * TILE + c, v[b] * nac_splat4(w->scales[o + b]));
        }
    }
}

/* ---- Both ------------------------------------------------------------------------------------------- */

size_t nac_sparse_count_weights(const nac_convolution *p) {
    const size_t numbers = taps_of(p) * matrix_size(p), channels = nac_sparse_padded(p->Co);
    return p->quantised ? channels + channels / 2 + numbers / sizeof(float) : numbers;
}

void nac_sparse_arrange(const nac_convolution *p, float *weights) {
    if (p->Ci % TILE || p->Co % TILE) memset(weights, 0, nac_sparse_count_weights(p) * sizeof(float));
    const bytes w = find_bytes(p, weights);
    if (p->quantised) memcpy(w.scales, p->bytes.scales, (size_t)p->Co * sizeof *w.scales);
    if (p->quantised) memcpy(w.zeros, p->bytes.zeros, (size_t)p->Co * sizeof *w.zeros);
    for (size_t tap = 0; tap < taps_of(p); ++tap)
        for (size_t o = 0; o < (size_t)p->Co; o += GROUP) {
            if (p->quantised) arrange_squares(p, tap, o, w.q + tap * matrix_size(p));
            else arrange_rows(p, tap, o, weights + tap * matrix_size(p));
        }
}

const float *nac_sparse_panel(const nac_convolution *p, bool backward, const float *weights, size_t tap, size_t made, size_t read, size_t count,
                              float *scratch) {
    if (p->quantised) {
        const bytes w = find_bytes(p, weights);
        const int8_t *matrix = w.q + tap * matrix_size(p);
        if (backward) unpack_turned(p, &w, matrix, made, read, count, scratch);
        else unpack(p, &w, matrix, made, read, count, scratch);
        return scratch;
    }
    const float *matrix = weights + tap * matrix_size(p);
    if (backward) {
        turn_weights(p, matrix, made, read, count, scratch);
        return scratch;
    }
    const float *panel = matrix + find_weight(p, made, read);
    nac_fetch(panel, count * TILE * sizeof(float));
    return panel;
}
