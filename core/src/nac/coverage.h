/* coverage.h - coverage of one layer of one image; the profile's loops stand on these. */
#ifndef NAC_COVERAGE_H
#define NAC_COVERAGE_H

#include "nac/bins.h"

/* min(count / O, 1), in [0, 1]. */
static inline double nac_phi(uint32_t count, double O) {
    double share = (double)count / O;
    return share < 1.0 ? share : 1.0;
}

/* counts[bin][c] += 1 for one image's z, g [neurons]. A state outside of the edges counts nowhere; a count of 2^32 - 1
 * stays there (a profile never comes so far: it refuses the image). */
void nac_coverage_count_one(const float *z, const float *g, int neurons, float alpha, const nac_bin_map *bins, uint32_t *counts);

/* Mean over neurons of phi(counts[bin][c]), 0 for a state outside of the edges, summed in double in the order of the
 * neurons: the same bits whatever the batch. */
double nac_coverage_score_one(const float *z, const float *g, int neurons, float alpha, const nac_bin_map *bins, const uint32_t *counts,
                              double O);

/* True when edges [M] are finite and strictly ascending. */
bool nac_edges_valid(const double *edges, int M);

#endif
