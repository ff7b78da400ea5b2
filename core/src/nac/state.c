/* state.c - states and the bins they fall in. */
#include "nac/bins.h"
#include "nac/state.h"

float nac_state(float z, float g, float alpha) { return nac_state_of(z, g, alpha); }

/* The authors' logspace(1e3, M), operation by operation (openood/postprocessors/nac/coverage.py):
 *   h = M / 2; u = np.linspace(1, np.sqrt(1000), h); a = np.log(u) / np.log(1000)
 *   e = concatenate(a[:-1], (1 - a)[::-1]); e[-1] += 0.01; e = append(e, 1.2)
 * Only the last bits can differ from NumPy's, where its log and libm's do. */
nac_status nac_bin_edges(int M, double *edges, nac_error *error) {
    if (M < 4 || M > NAC_MAX_BINS || M % 2 != 0)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "M = %d edges: M must be even and in 4..%d", M, (int)NAC_MAX_BINS);
    if (!edges) return nac_fail(error, NAC_INVALID_ARGUMENT, "edges is NULL");
    int h = M / 2;
    double stop = sqrt(1000.0), step = (stop - 1.0) / (h - 1);
    for (int i = 0; i < h - 1; ++i) {
        double u = i * step + 1.0;
        double a = log(u) / log(1000.0);
        edges[i] = a;
        edges[M - 2 - i] = 1.0 - a;
    }
    /* log(sqrt(1000)) / log(1000): one half in NumPy too, but here by decree, since every dead unit's state is 0.5. */
    edges[h - 1] = 0.5;
    edges[M - 2] += 0.01;
    edges[M - 1] = 1.2;
    return NAC_OK;
}

/* np.linspace(0, 1, M). */
nac_status nac_bin_edges_linear(int M, double *edges, nac_error *error) {
    if (M < 2 || M > NAC_MAX_BINS)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "M = %d edges: M must be in 2..%d", M, (int)NAC_MAX_BINS);
    if (!edges) return nac_fail(error, NAC_INVALID_ARGUMENT, "edges is NULL");
    double step = 1.0 / (M - 1);
    for (int i = 0; i < M - 1; ++i) edges[i] = i * step;
    edges[M - 1] = 1.0;
    return NAC_OK;
}

int nac_bin(float s, const double *edges, int M) {
    double x = s;
    if (M < 2 || !(x >= edges[0] && x < edges[M - 1])) return -1; /* NaN fails both comparisons */
    /* edges[low] <= x < edges[low + width]; halving without a branch, as which way is near to a coin's toss. */
    int low = 0, width = M - 1;
    while (width > 1) {
        int half = width / 2;
        low += edges[low + half] <= x ? half : 0;
        width -= half;
    }
    return low;
}

void nac_bin_map_init(nac_bin_map *map, const double *edges, int M) {
    map->edges = edges;
    map->M = M;
    map->scale = (double)NAC_BIN_BUCKETS / (edges[M - 1] - edges[0]);
    if (!isfinite(map->scale)) map->scale = 0; /* edges closer than 1e-305: all in one bucket */
    int edge = 1;
    for (int bucket = 0; bucket <= NAC_BIN_BUCKETS; ++bucket) {
        while (edge < M - 1 && nac_bin_bucket(map, edges[edge]) < bucket) ++edge;
        map->first[bucket] = (uint16_t)(edge - 1);
    }
}
