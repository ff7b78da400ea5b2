/* winograd_tiles.h - inside of Winograd's convolutions: images to transformed tiles, and sums of products to images. What is transformed into
 * what: winograd.c. */
#ifndef NAC_WINOGRAD_TILES_H
#define NAC_WINOGRAD_TILES_H

#include <stdbool.h>
#include <stddef.h>

/* F(4, 3) evaluates polynomials at 0, A, -A, B, -B and infinity. A B = 1 makes the turned window's weights a permutation of the window's, and 3/2 has the
 * smallest error of such pairs: 8.7e-7 of the outputs' root mean square after a ReLU and 1.07e-6 for a gradient (128 channels; tests/unit/test_winograd.c),
 * 9.2e-7 and 1.12e-6 with the square root of 2, 1.3e-6 and 1.6e-6 with 2; the usual 0, 1, -1, 2, -2 have twice as much. */
#define NAC_WINOGRAD_A 1.5f
#define NAC_WINOGRAD_B (1 / 1.5f)

typedef enum nac_tile_kind { NAC_TILES_2, NAC_TILES_4, NAC_TILES_STRIDE_2, NAC_TILES_STRIDE_2_GRADIENT, NAC_TILE_KINDS } nac_tile_kind;

/* Sizes along one axis. */
typedef struct nac_tile_shape {
    int in, out, advance; /* inputs and outputs of a tile; its inputs begin `advance` after those of the tile before */
    size_t planes, sums;  /* transformed inputs; sums that its outputs are made of */
} nac_tile_shape;

extern const nac_tile_shape nac_tile_shapes[NAC_TILE_KINDS];

/* One axis of the images. */
typedef struct nac_tile_axis {
    int in, out, tiles;
    int first;     /* where the first tile's inputs begin; below 0 in the padding */
    bool mirrored; /* a tile's inputs and outputs are counted from its far end */
} nac_tile_axis;

/* One direction: `from` [N,y.in,x.in,K], `to` [N,y.out,x.out,O]. */
typedef struct nac_tiles {
    nac_tile_kind kind;
    nac_tile_axis y, x;
    size_t K, O, count;          /* count: N * y.tiles * x.tiles */
    size_t plane_step, sum_step; /* floats from a plane of v, and of m, to the next */
} nac_tiles;

/* The tiles from `first` on, transformed: v is planes^2 times [panels, K, NAC_PANEL]. Both channel counts are multiples of four. `zeros` [K] stands
 * for what lies outside of the image. */
void nac_tiles_fill(const nac_tiles *tiles, size_t first, size_t panels, const float *from, const float *zeros, float *v);

/* The same tiles' outputs from their sums m, sums^2 times [O / NAC_BLOCK, panels, NAC_BLOCK, NAC_PANEL], with bias [O] or NULL, clamped to
 * [low, high]. */
void nac_tiles_store(const nac_tiles *tiles, size_t first, size_t panels, const float *m, const float *bias, float low, float high, float *to);

#endif
