/* sparse_weights.h - the weights of sparse.c's convolutions: one copy for both directions, of floats or of a quantised model's bytes. */
#ifndef NAC_SPARSE_WEIGHTS_H
#define NAC_SPARSE_WEIGHTS_H

#include "backend/convolution.h"

enum {
    NAC_SPARSE_GROUP = 4,   /* channels that are read at a time */
    NAC_SPARSE_TILE = 32,   /* channels that are summed together: 8 vectors */
    NAC_SPARSE_BLOCK = 256, /* channels that are read for them: 32 KiB of weights, which stay in the cache while the pixels go past */
};

/* Channels, filled up to whole tiles. */
static inline size_t nac_sparse_padded(int channels) { return ((size_t)channels + NAC_SPARSE_TILE - 1) / NAC_SPARSE_TILE * NAC_SPARSE_TILE; }

size_t nac_sparse_count_weights(const nac_convolution *p);
void nac_sparse_arrange(const nac_convolution *p, float *weights);

/* Panel [count, NAC_SPARSE_TILE] of one place of the window: the weights between the tile of channels that are made from `made` on, and channels
 * read to read + count, which are read; forward these are input channels. In `scratch`, of a block and a tile, unless it lies ready. */
const float *nac_sparse_panel(const nac_convolution *p, bool backward, const float *weights, size_t tap, size_t made, size_t read, size_t count,
                              float *scratch);

#endif
