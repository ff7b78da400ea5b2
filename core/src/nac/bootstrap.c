/* bootstrap.c - how far a metric would move on other images from the same two sets. */
#include <stdlib.h>
#include <string.h>

#include "nac/metrics.h"

enum { FIELDS = sizeof(nac_metrics) / sizeof(double), MAX_ROUNDS = 1000000 };
_Static_assert(sizeof(nac_metrics) == FIELDS * sizeof(double), "nac_metrics must hold nothing but doubles");

/* splitmix64 (Steele, Lea, Flood 2014): any seed is a good seed. */
static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* Uniform in [0, count), integers only: the same draws on every machine. */
static size_t draw(uint64_t *state, size_t count) {
    uint64_t n = count, limit = UINT64_MAX - UINT64_MAX % n, x;
    do x = next_random(state);
    while (x >= limit);
    return (size_t)(x % n);
}

static void resample(const size_t *group_of, size_t count, size_t group_count, size_t *counts, uint64_t *state) {
    memset(counts, 0, group_count * sizeof *counts);
    for (size_t i = 0; i < count; ++i) ++counts[group_of[draw(state, count)]];
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* np.percentile's linear interpolation; share in [0, 1]. */
static double percentile(const double *sorted, size_t count, double share) {
    double position = share * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (sorted[below + 1] - sorted[below]) * (position - (double)below);
}

nac_status nac_metrics_bootstrap(const float *id, size_t id_count, const float *ood, size_t ood_count, int rounds, uint64_t seed,
                                 nac_metrics *low, nac_metrics *high, nac_error *error) {
    if (rounds < 1 || rounds > MAX_ROUNDS)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "%d bootstrap rounds: 1..%d are possible", rounds, (int)MAX_ROUNDS);
    if (!low || !high) return nac_fail(error, NAC_INVALID_ARGUMENT, "low or high is NULL");
    nac_score_groups groups;
    NAC_TRY(nac_score_groups_create(id, id_count, ood, ood_count, &groups, error));
    size_t R = (size_t)rounds;
    size_t *id_counts = nac_alloc_array(groups.group_count, sizeof(size_t));
    size_t *ood_counts = nac_alloc_array(groups.group_count, sizeof(size_t));
    double *values = nac_alloc_array(R, sizeof(nac_metrics)); /* [FIELDS, R] */
    nac_status status = NAC_OK;
    if (id_counts && ood_counts && values) {
        for (size_t r = 0; r < R; ++r) {
            resample(groups.id_group, id_count, groups.group_count, id_counts, &seed);
            resample(groups.ood_group, ood_count, groups.group_count, ood_counts, &seed);
            nac_metrics metrics = nac_metrics_of_counts(&groups, id_counts, ood_counts);
            double fields[FIELDS];
            memcpy(fields, &metrics, sizeof fields);
            for (size_t f = 0; f < FIELDS; ++f) values[f * R + r] = fields[f];
        }
        double lows[FIELDS], highs[FIELDS];
        for (size_t f = 0; f < FIELDS; ++f) {
            qsort(values + f * R, R, sizeof *values, compare_doubles);
            lows[f] = percentile(values + f * R, R, 0.025);
            highs[f] = percentile(values + f * R, R, 0.975);
        }
        memcpy(low, lows, sizeof lows);
        memcpy(high, highs, sizeof highs);
    } else {
        status = nac_out_of_memory(error, "bootstrap rounds");
    }
    nac_free(id_counts);
    nac_free(ood_counts);
    nac_free(values);
    nac_score_groups_destroy(&groups);
    return status;
}
