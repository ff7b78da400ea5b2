/* product.h - matrix products with a copy of the weights that serves both directions of a network: products with w and with its
 * transpose. The weights are streamed once, past all pixels.
 *
 * Weights [Co,Ci] lie in blocks of 4 x 4, a cache line each. Pixels lie in panels [K,8], channel by channel: the
 * micro-kernel multiplies broadcast weights with vectors of pixels, so it reads a block's rows as well as its columns.
 *
 * All of it is compiled into its callers: as functions of their own the products are 5 % slower in V8. */
#ifndef NAC_PRODUCT_H
#define NAC_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/simd.h"

#if defined(__GNUC__)
#define NAC_INLINE static inline __attribute__((always_inline))
#else
#define NAC_INLINE static inline
#endif

enum {
    NAC_PANEL = 8, /* pixels */
    NAC_BLOCK = 4, /* channels */
    NAC_TILE = NAC_PANEL * NAC_BLOCK,
    NAC_BLOCK_SIZE = NAC_BLOCK * NAC_BLOCK,
    NAC_AHEAD = 4, /* blocks that the backward direction fetches together */
};

/* Weights of a matrix [Co,Ci], both multiples of NAC_BLOCK. */
typedef struct nac_blocks {
    const float *data; /* [nac_blocks_size] */
    int Co, Ci;
} nac_blocks;

/* ---- Layout ---------------------------------------------------------------------------------------- */

/* Blocks lie [Co4 / G, Ci4 + 1, G]: forward reads every G-th, backward G neighbours at a time, and both at a stride that processors prefetch.
 * With G = 1 the backward direction would read a line a page. Without the gap behind Ci4 blocks, whose number tends to be a power of two,
 * the lines that it reads would fall on the same few sets of the cache (40 instead of 48 GFLOP/s at 512 channels). */
NAC_INLINE size_t nac_block_group(int Co) {
    const int blocks = Co / NAC_BLOCK;
    return blocks % 4 == 0 ? 4 : blocks % 2 == 0 ? 2 : 1;
}

/* Floats from one group to the next. */
NAC_INLINE size_t nac_block_group_step(int Co, int Ci) { return ((size_t)(Ci / NAC_BLOCK) + 1) * nac_block_group(Co) * NAC_BLOCK_SIZE; }

/* Where the block of output channels 4 * co4 and input channels 4 * ci4 begins. */
NAC_INLINE size_t nac_block_begin(int Co, int Ci, size_t co4, size_t ci4) {
    const size_t G = nac_block_group(Co);
    return co4 / G * nac_block_group_step(Co, Ci) + (ci4 * G + co4 % G) * NAC_BLOCK_SIZE;
}

/* Floats of a matrix, Co * Ci and a few, and where weight (co, ci) lies in it. */
NAC_INLINE size_t nac_blocks_size(int Co, int Ci) { return (size_t)(Co / NAC_BLOCK) / nac_block_group(Co) * nac_block_group_step(Co, Ci); }

NAC_INLINE size_t nac_block_offset(int Co, int Ci, int co, int ci) {
    return nac_block_begin(Co, Ci, (size_t)(co / NAC_BLOCK), (size_t)(ci / NAC_BLOCK)) + (size_t)(ci % NAC_BLOCK * NAC_BLOCK + co % NAC_BLOCK);
}

/* ---- Products -------------------------------------------------------------------------------------- */

/* Where the blocks lie that one output block is summed over. */
typedef struct nac_walk {
    const float *first;
    size_t runs, run_step; /* runs of `run` neighbouring blocks, their starts run_step floats apart */
    size_t run;
} nac_walk;

/* m = (add: +=) block rows or columns times a panel. 8 sums, 2 vectors of pixels and a weight are in registers; ROW and COLUMN are constants
 * after inlining. */
NAC_INLINE void nac_multiply(const nac_walk *w, size_t ROW, size_t COLUMN, const float *v, bool add, float *m) {
    nac_f4 s00 = {0}, s01 = {0}, s10 = {0}, s11 = {0}, s20 = {0}, s21 = {0}, s30 = {0}, s31 = {0};
    if (add) {
        s00 = nac_load4(m), s01 = nac_load4(m + 4), s10 = nac_load4(m + 8), s11 = nac_load4(m + 12);
        s20 = nac_load4(m + 16), s21 = nac_load4(m + 20), s30 = nac_load4(m + 24), s31 = nac_load4(m + 28);
    }
    const float *start = w->first;
    for (size_t r = 0; r < w->runs; ++r, start += w->run_step)
        for (size_t b = 0; b < w->run; ++b) {
            const float *u = start + b * NAC_BLOCK_SIZE, *end = u + NAC_BLOCK * COLUMN;
            NAC_NOT_UNROLLED
            do {
                const nac_f4 v0 = nac_load4(v), v1 = nac_load4(v + 4);
                const nac_f4 u0 = nac_splat4(u[0]), u1 = nac_splat4(u[ROW]), u2 = nac_splat4(u[2 * ROW]), u3 = nac_splat4(u[3 * ROW]);
                u += COLUMN;
                v += NAC_PANEL;
                s00 = nac_madd4(u0, v0, s00), s01 = nac_madd4(u0, v1, s01);
                s10 = nac_madd4(u1, v0, s10), s11 = nac_madd4(u1, v1, s11);
                s20 = nac_madd4(u2, v0, s20), s21 = nac_madd4(u2, v1, s21);
                s30 = nac_madd4(u3, v0, s30), s31 = nac_madd4(u3, v1, s31);
            } while (u != end);
        }
    nac_store4(m, s00), nac_store4(m + 4, s01), nac_store4(m + 8, s10), nac_store4(m + 12, s11);
    nac_store4(m + 16, s20), nac_store4(m + 20, s21), nac_store4(m + 24, s30), nac_store4(m + 28, s31);
}

/* Four output channels of w (forward: from co = 4 * block, summed over ci) or of its transpose (backward: from ci = 4 * block, summed
 * over co) for all pixels of v [panels, K, NAC_PANEL]. m is [panels, NAC_BLOCK, NAC_PANEL], `add`: to what it holds. An output depends on its own pixel alone,
 * and is summed in the order of channels. */
NAC_INLINE void nac_product(const nac_blocks *w, bool backward, size_t block, const float *v, size_t panels, bool add, float *m) {
    const size_t G = nac_block_group(w->Co), in = (size_t)(w->Ci / NAC_BLOCK), out = (size_t)(w->Co / NAC_BLOCK);
    if (backward) {
        const nac_walk columns = {w->data + nac_block_begin(w->Co, w->Ci, 0, block), out / G, nac_block_group_step(w->Co, w->Ci), G};
        const size_t ahead = block % NAC_AHEAD ? 0 : in - block < NAC_AHEAD ? in - block : NAC_AHEAD;
        for (size_t r = 0; ahead && r < columns.runs; ++r) nac_fetch(columns.first + r * columns.run_step, ahead * G * NAC_BLOCK_SIZE * sizeof(float));
        for (size_t p = 0; p < panels; ++p) nac_multiply(&columns, NAC_BLOCK, 1, v + p * out * NAC_TILE, add, m + p * NAC_TILE);
    } else {
        const nac_walk rows = {w->data + nac_block_begin(w->Co, w->Ci, block, 0), in, G * NAC_BLOCK_SIZE, 1};
        if (block % G == 0) nac_fetch(rows.first, in * G * NAC_BLOCK_SIZE * sizeof(float));
        for (size_t p = 0; p < panels; ++p) nac_multiply(&rows, 1, NAC_BLOCK, v + p * in * NAC_TILE, add, m + p * NAC_TILE);
    }
}

/* The same four output channels of one pixel [K]. */
static inline nac_f4 nac_product_of_one(const nac_blocks *w, bool backward, size_t block, const float *pixel) {
    const size_t G = nac_block_group(w->Co), in = (size_t)(w->Ci / NAC_BLOCK), out = (size_t)(w->Co / NAC_BLOCK);
    const size_t step = nac_block_group_step(w->Co, w->Ci), count = backward ? out : in;
    const float *first = w->data + (backward ? nac_block_begin(w->Co, w->Ci, 0, block) : nac_block_begin(w->Co, w->Ci, block, 0));
    nac_f4 s[NAC_BLOCK] = {{0}, {0}, {0}, {0}};
    for (size_t i = 0; i < count; ++i, pixel += NAC_BLOCK) {
        const float *u = first + (backward ? i / G * step + i % G * NAC_BLOCK_SIZE : i * G * NAC_BLOCK_SIZE);
        for (size_t r = 0; r < NAC_BLOCK; ++r) s[r] = nac_madd4(backward ? nac_load4(pixel) : nac_splat4(pixel[r]), nac_load4(u + r * NAC_BLOCK), s[r]);
    }
    if (backward) nac_transpose4(&s[0], &s[1], &s[2], &s[3]); /* a vector becomes the four channels' sums over every fourth */
    return (s[0] + s[1]) + (s[2] + s[3]);
}

#endif
