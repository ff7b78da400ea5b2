/* coverage.c - counting states into bins, and how covered a state's bin is. */
#include "nac/coverage.h"

#include "nac/state.h"

void nac_coverage_count_one(const float *z, const float *g, int neurons, float alpha, const nac_bin_map *bins, uint32_t *counts) {
    for (int c = 0; c < neurons; ++c) {
        int bin = nac_bin_map_find(bins, nac_state_of(z[c], g[c], alpha));
        if (bin < 0) continue;
        uint32_t *count = &counts[(size_t)bin * (size_t)neurons + (size_t)c];
        *count += *count != UINT32_MAX;
    }
}

double nac_coverage_score_one(const float *z, const float *g, int neurons, float alpha, const nac_bin_map *bins, const uint32_t *counts,
                              double O) {
    double sum = 0;
    for (int c = 0; c < neurons; ++c) {
        int bin = nac_bin_map_find(bins, nac_state_of(z[c], g[c], alpha));
        if (bin >= 0) sum += nac_phi(counts[(size_t)bin * (size_t)neurons + (size_t)c], O);
    }
    return sum / neurons;
}

bool nac_edges_valid(const double *edges, int M) {
    for (int i = 0; i < M; ++i) {
        if (!isfinite(edges[i])) return false;
        if (i > 0 && !(edges[i - 1] < edges[i])) return false;
    }
    return true;
}

static nac_status check_arguments(int N, int neurons, const float *z, const float *g, float alpha, const double *edges, int M,
                                  const uint32_t *counts, nac_error *error) {
    if (N < 0 || neurons < 1 || neurons > NAC_MAX_NEURONS)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "%d images of %d neurons: neurons must be in 1..%d", N, neurons,
                        (int)NAC_MAX_NEURONS);
    if (!(alpha > 0) || !isfinite(alpha))
        return nac_fail(error, NAC_INVALID_ARGUMENT, "alpha = %g must be finite and above 0", (double)alpha);
    if (M < 2 || M > NAC_MAX_BINS)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "M = %d edges: M must be in 2..%d", M, (int)NAC_MAX_BINS);
    if (!edges || !counts || (N > 0 && (!z || !g)))
        return nac_fail(error, NAC_INVALID_ARGUMENT, "z, g, edges or counts is NULL");
    if (!nac_edges_valid(edges, M))
        return nac_fail(error, NAC_INVALID_ARGUMENT, "edges must be finite and strictly ascending");
    return NAC_OK;
}

nac_status nac_coverage_count(int N, int neurons, const float *z, const float *g, float alpha, int M, const double *edges,
                              uint32_t *counts, nac_error *error) {
    NAC_TRY(check_arguments(N, neurons, z, g, alpha, edges, M, counts, error));
    nac_bin_map bins;
    nac_bin_map_init(&bins, edges, M);
    for (size_t n = 0; n < (size_t)N; ++n)
        nac_coverage_count_one(z + n * (size_t)neurons, g + n * (size_t)neurons, neurons, alpha, &bins, counts);
    return NAC_OK;
}

/* States and bins are found once for all O: that is where the time goes. */
nac_status nac_coverage_score(int N, int neurons, const float *z, const float *g, float alpha, int M, const double *edges,
                              const uint32_t *counts, const double *O, int O_count, float *scores, nac_error *error) {
    enum { MAX_O = 64 };
    NAC_TRY(check_arguments(N, neurons, z, g, alpha, edges, M, counts, error));
    if (O_count < 1 || O_count > MAX_O || !O || (N > 0 && !scores))
        return nac_fail(error, NAC_INVALID_ARGUMENT, "%d values of O: 1..%d are possible, and a place for the scores", O_count,
                        (int)MAX_O);
    for (int o = 0; o < O_count; ++o)
        if (!(O[o] > 0) || !isfinite(O[o]))
            return nac_fail(error, NAC_INVALID_ARGUMENT, "O = %g must be finite and above 0", O[o]);
    nac_bin_map bins;
    nac_bin_map_init(&bins, edges, M);
    for (size_t n = 0; n < (size_t)N; ++n) {
        const float *zn = z + n * (size_t)neurons, *gn = g + n * (size_t)neurons;
        double sums[MAX_O] = {0};
        for (int c = 0; c < neurons; ++c) {
            int bin = nac_bin_map_find(&bins, nac_state_of(zn[c], gn[c], alpha));
            if (bin < 0) continue;
            uint32_t count = counts[(size_t)bin * (size_t)neurons + (size_t)c];
            for (int o = 0; o < O_count; ++o) sums[o] += nac_phi(count, O[o]);
        }
        for (int o = 0; o < O_count; ++o) scores[(size_t)o * (size_t)N + n] = (float)(sums[o] / neurons);
    }
    return NAC_OK;
}
