/* product.h - matrix products with a copy of the weights that serves both directions of a network: products with w and with its
 * transpose. The weights are streamed once, past all pixels.
 *
 * Weights [Co,Ci] lie in blocks of 4 x 4, a cache line each. Pixels lie in panels [K,8], channel by channel: the
 * micro-kernel multiplies broadcast weights with vectors of pixels, so it reads a block's rows as well as its columns. */
#ifndef NAC_PRODUCT_H
#define NAC_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/simd.h"

enum { NAC_PANEL = 8 /* pixels */, NAC_BLOCK = 4 /* channels */, NAC_TILE = NAC_PANEL * NAC_BLOCK };

/* Weights of a matrix [Co,Ci], both multiples of NAC_BLOCK. */
typedef struct nac_blocks {
    const float *data; /* [Co * Ci] */
    int Co, Ci;
} nac_blocks;

/* Where weight (co, ci) lies in `data`. */
size_t nac_block_offset(int Co, int Ci, int co, int ci);

/* Four output channels of w (forward: from co = 4 * block, summed over ci) or of its transpose (backward: from ci = 4 * block, summed
 * over co) for all pixels of v [panels, K, NAC_PANEL]. m is [panels, NAC_BLOCK, NAC_PANEL]. An output depends on its own pixel alone,
 * and is summed in the order of channels. */
void nac_product(const nac_blocks *w, bool backward, int block, const float *v, size_t panels, float *m);

/* m += the same. */
void nac_product_add(const nac_blocks *w, bool backward, int block, const float *v, size_t panels, float *m);

/* Rows become columns. */
static inline void nac_transpose4(nac_f4 *a, nac_f4 *b, nac_f4 *c, nac_f4 *d) {
    const nac_f4 ab_low = __builtin_shufflevector(*a, *b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(*a, *b, 2, 6, 3, 7);
    const nac_f4 cd_low = __builtin_shufflevector(*c, *d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(*c, *d, 2, 6, 3, 7);
    *a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

#endif
