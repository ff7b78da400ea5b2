/* bins.h - nac_bin for loops: a table first says which few edges are left to compare. */
#ifndef NAC_BINS_H
#define NAC_BINS_H

#include "base/base.h"

enum { NAC_BIN_BUCKETS = 4096 }; /* for M = 1000 a bucket is narrower than every bin of the authors' edges */

/* The range of the edges is cut into equal buckets. bucket(x) = (x - edges[0]) * scale only has to be monotone, which rounding
 * cannot break: edges in lower buckets than x's are below x, edges in higher ones above, and those in its own are
 * compared with x themselves. So the result is nac_bin's, exactly, for any edges. */
typedef struct nac_bin_map {
    const double *edges; /* [M], the caller's, which must outlive the map */
    int M;
    double scale;
    uint16_t first[NAC_BIN_BUCKETS + 1]; /* inner edges in buckets below */
} nac_bin_map;

_Static_assert(NAC_MAX_BINS <= UINT16_MAX, "first holds numbers of edges");

/* edges: finite, strictly ascending, M >= 2. */
void nac_bin_map_init(nac_bin_map *map, const double *edges, int M);

static inline int nac_bin_bucket(const nac_bin_map *map, double x) {
    int bucket = (int)((x - map->edges[0]) * map->scale);
    return bucket < NAC_BIN_BUCKETS ? bucket : NAC_BIN_BUCKETS - 1;
}

/* nac_bin(s, map->edges, map->M). */
static inline int nac_bin_map_find(const nac_bin_map *map, float s) {
    double x = s;
    if (!(x >= map->edges[0] && x < map->edges[map->M - 1])) return -1;
    int bucket = nac_bin_bucket(map, x);
    int low = map->first[bucket], width = map->first[bucket + 1] - low + 1; /* edges[low] <= x < edges[low + width] */
    while (width > 1) {
        int half = width / 2;
        if (map->edges[low + half] <= x) low += half;
        width -= half;
    }
    return low;
}

#endif
