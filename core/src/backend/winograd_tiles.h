/* winograd_tiles.h - inside of Winograd's convolutions: images to transformed tiles, and sums of products to images. What is transformed into
 * what: winograd.c. */
#ifndef NAC_WINOGRAD_TILES_H
#define NAC_WINOGRAD_TILES_H

#include <stdbool.h>
#include <stddef.h>

typedef enum nac_tile_kind { NAC_TILES_STRIDE_1, NAC_TILES_STRIDE_2, NAC_TILES_STRIDE_2_GRADIENT, NAC_TILE_KINDS } nac_tile_kind;

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
