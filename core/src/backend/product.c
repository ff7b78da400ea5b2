#include "backend/product.h"

enum { BLOCK_SIZE = NAC_BLOCK * NAC_BLOCK };

/* V8 computes a loop body's loads first and its sums last, so of a body with several steps most would be spilled: 31 GFLOP/s unrolled,
 * 49 of 50 as it is. */
#if defined(__clang__)
#define NAC_NOT_UNROLLED _Pragma("clang loop unroll(disable)")
#else
#define NAC_NOT_UNROLLED
#endif

/* Blocks lie [Co4 / G, Ci4, G]: forward reads every G-th, backward G neighbours at a time, and both at a stride that processors prefetch.
 * With G = 1 the backward direction would read a line a page. */
static int group_of(int Co) {
    const int blocks = Co / NAC_BLOCK;
    return blocks % 4 == 0 ? 4 : blocks % 2 == 0 ? 2 : 1;
}

static size_t block_offset(int Co, int Ci, int co4, int ci4) {
    const size_t G = (size_t)group_of(Co), o = (size_t)co4;
    return ((o / G * (size_t)(Ci / NAC_BLOCK) + (size_t)ci4) * G + o % G) * BLOCK_SIZE;
}

size_t nac_block_offset(int Co, int Ci, int co, int ci) {
    return block_offset(Co, Ci, co / NAC_BLOCK, ci / NAC_BLOCK) + (size_t)(ci % NAC_BLOCK * NAC_BLOCK + co % NAC_BLOCK);
}

/* Where the blocks lie that one output block is summed over. */
typedef struct walk {
    const float *first;
    size_t runs, run_step; /* runs of `run` neighbouring blocks, their starts run_step floats apart */
    size_t run;
} walk;

/* m = block rows or columns times a panel. 8 sums, 2 vectors of pixels and a weight are in registers; ROW, COLUMN and ADD are
 * constants after inlining. */
static inline void multiply(const walk *w, size_t ROW, size_t COLUMN, const float *v, bool ADD, float *m) {
    nac_f4 s00 = {0}, s01 = {0}, s10 = {0}, s11 = {0}, s20 = {0}, s21 = {0}, s30 = {0}, s31 = {0};
    if (ADD) {
        s00 = nac_load4(m), s01 = nac_load4(m + 4), s10 = nac_load4(m + 8), s11 = nac_load4(m + 12);
        s20 = nac_load4(m + 16), s21 = nac_load4(m + 20), s30 = nac_load4(m + 24), s31 = nac_load4(m + 28);
    }
    const float *start = w->first;
    for (size_t r = 0; r < w->runs; ++r, start += w->run_step)
        for (size_t b = 0; b < w->run; ++b) {
            const float *u = start + b * BLOCK_SIZE, *end = u + NAC_BLOCK * COLUMN;
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

/* Reads a number of each cache line, in order, so that the processor fetches ahead: multiplying takes every G-th line and would wait
 * for most of them (23 instead of 32 GFLOP/s at 512 channels and 16 pixels). */
static void fetch(const float *data, size_t count) {
    float sum = 0;
    for (size_t i = 0; i < count; i += BLOCK_SIZE) sum += data[i];
    __asm__ volatile("" ::"r"(sum)); /* the sum is wanted, as far as the compiler knows */
}

static inline void multiply_by_rows(const nac_blocks *w, int block, const float *v, size_t panels, bool ADD, float *m) {
    const size_t G = (size_t)group_of(w->Co), in = (size_t)(w->Ci / NAC_BLOCK);
    if ((size_t)block % G == 0) fetch(w->data + block_offset(w->Co, w->Ci, block, 0), in * G * BLOCK_SIZE);
    const walk rows = {w->data + block_offset(w->Co, w->Ci, block, 0), in, G * BLOCK_SIZE, 1};
    for (size_t p = 0; p < panels; ++p) multiply(&rows, 1, NAC_BLOCK, v + p * in * NAC_TILE, ADD, m + p * NAC_TILE);
}

static inline void multiply_by_columns(const nac_blocks *w, int block, const float *v, size_t panels, bool ADD, float *m) {
    const size_t G = (size_t)group_of(w->Co), in = (size_t)(w->Ci / NAC_BLOCK), out = (size_t)(w->Co / NAC_BLOCK);
    const walk columns = {w->data + block_offset(w->Co, w->Ci, 0, block), out / G, in * G * BLOCK_SIZE, G};
    for (size_t p = 0; p < panels; ++p) multiply(&columns, NAC_BLOCK, 1, v + p * out * NAC_TILE, ADD, m + p * NAC_TILE);
}

/* A function for each, since V8 keeps fewer sums in registers where one has several of these loops (45 instead of 49 GFLOP/s). */
#define NAC_PRODUCT(name, multiply_by, ADD)                                                                                       \
    static __attribute__((noinline)) void name(const nac_blocks *w, int block, const float *v, size_t panels, float *m) { \
        multiply_by(w, block, v, panels, ADD, m);                                                                                 \
    }
NAC_PRODUCT(by_rows, multiply_by_rows, false)
NAC_PRODUCT(by_columns, multiply_by_columns, false)
NAC_PRODUCT(add_by_rows, multiply_by_rows, true)
NAC_PRODUCT(add_by_columns, multiply_by_columns, true)

void nac_product(const nac_blocks *w, bool backward, int block, const float *v, size_t panels, float *m) {
    (backward ? by_columns : by_rows)(w, block, v, panels, m);
}

void nac_product_add(const nac_blocks *w, bool backward, int block, const float *v, size_t panels, float *m) {
    (backward ? add_by_columns : add_by_rows)(w, block, v, panels, m);
}
