/* neighbours.c - distance to the k-th nearest of many references: brute force, which no index beats in hundreds of dimensions. */
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "nac/select.h"

enum {
    QUERIES = 4,           /* that share one pass over a reference */
    LANES = 8,             /* partial sums of a distance, so that they can be vectors */
    TILE_FLOATS = 1 << 16, /* of references at a time */
};

/* To length 1; false, with the row as it was, where that is not finite. */
static bool normalise(float *row, int C) {
    double square = 0;
    for (int c = 0; c < C; ++c) square += (double)row[c] * (double)row[c];
    if (!isfinite(square)) return false;
    const double scale = 1 / (sqrt(square) + 1e-10); /* the authors' guard: a row of zeroes stays one */
    for (int c = 0; c < C; ++c) row[c] = (float)((double)row[c] * scale);
    return true;
}

/* Squared distances of QUERIES rows to one reference. Differences, not 2 - 2 q.r, which has no digits left for near neighbours. */
static void distances(const float *queries, const float *reference, int C, float squares[QUERIES]) {
    float sums[QUERIES][LANES] = {0};
    int c = 0;
    for (; c + LANES <= C; c += LANES)
        for (int q = 0; q < QUERIES; ++q)
            for (int lane = 0; lane < LANES; ++lane) {
                const float d = queries[(size_t)q * (size_t)C + (size_t)(c + lane)] - reference[c + lane];
                sums[q][lane] += d * d;
            }
    for (int q = 0; q < QUERIES; ++q) {
        float sum = 0;
        for (int lane = 0; lane < LANES; ++lane) sum += sums[q][lane];
        for (int rest = c; rest < C; ++rest) {
            const float d = queries[(size_t)q * (size_t)C + (size_t)rest] - reference[rest];
            sum += d * d;
        }
        squares[q] = sum;
    }
}

nac_status nac_neighbours_prepare(float *references, size_t count, int C, nac_error *error) {
    if (C < 1 || C > NAC_MAX_NEURONS) return nac_fail(error, NAC_INVALID_ARGUMENT, "%d neurons: 1..%d are possible", C, NAC_MAX_NEURONS);
    for (size_t n = 0; n < count; ++n)
        if (!normalise(references + n * (size_t)C, C)) return nac_fail(error, NAC_NOT_FINITE, "reference %zu holds NaN or infinity", n);
    return NAC_OK;
}

/* Offers `count` references to the queries of one block. */
static void visit(const float *references, size_t count, const float *block, int C, nac_smallest nearest[QUERIES]) {
    for (size_t r = 0; r < count; ++r) {
        float squares[QUERIES];
        distances(block, references + r * (size_t)C, C, squares);
        for (int q = 0; q < QUERIES; ++q) nac_smallest_offer(&nearest[q], squares[q]);
    }
}

/* Scaled copies of the queries [count, C], with zeroes up to a whole number of blocks, and a heap each. */
typedef struct query_set {
    size_t blocks;
    float *rows, *kept;
    nac_smallest *nearest;
} query_set;

static nac_status open_queries(const float *queries, size_t count, int C, int k, query_set *set, nac_error *error) {
    const size_t width = (size_t)C, padded = (count + QUERIES - 1) / QUERIES * QUERIES;
    size_t floats, heaps;
    *set = (query_set){0};
    if (!nac_mul_size(padded, width, &floats) || !nac_mul_size(padded, (size_t)k, &heaps)) return nac_out_of_memory(error, "the queries");
    *set = (query_set){.blocks = padded / QUERIES, .rows = nac_alloc_array(floats, sizeof(float)), .kept = nac_alloc_array(heaps, sizeof(float)),
                       .nearest = nac_alloc_array(padded, sizeof(nac_smallest))};
    if (!set->rows || !set->kept || !set->nearest) return nac_out_of_memory(error, "the queries");
    memcpy(set->rows, queries, count * width * sizeof(float));
    for (size_t n = 0; n < count; ++n)
        if (!normalise(set->rows + n * width, C)) return nac_fail(error, NAC_NOT_FINITE, "query %zu holds NaN or infinity", n);
    for (size_t n = 0; n < padded; ++n) set->nearest[n] = (nac_smallest){.kept = set->kept + n * (size_t)k, .capacity = k};
    return NAC_OK;
}

static void close_queries(query_set *set) {
    nac_free(set->rows);
    nac_free(set->kept);
    nac_free(set->nearest);
}

nac_status nac_neighbours_score(const float *references, size_t reference_count, const float *queries, size_t count, int C, int k,
                                float *scores, nac_error *error) {
    if (C < 1 || C > NAC_MAX_NEURONS) return nac_fail(error, NAC_INVALID_ARGUMENT, "%d neurons: 1..%d are possible", C, NAC_MAX_NEURONS);
    if (k < 1 || (size_t)k > reference_count)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "the %d-th nearest of %zu references", k, reference_count);
    query_set set;
    const nac_status status = open_queries(queries, count, C, k, &set, error);
    /* As many references as the second cache holds are offered to every query before the next. */
    const size_t width = (size_t)C, tile = TILE_FLOATS / width + 1;
    for (size_t r = 0; r < reference_count && status == NAC_OK; r += tile)
        for (size_t b = 0; b < set.blocks; ++b)
            visit(references + r * width, reference_count - r < tile ? reference_count - r : tile, set.rows + b * QUERIES * width, C,
                  set.nearest + b * QUERIES);
    for (size_t n = 0; n < count && status == NAC_OK; ++n) scores[n] = -sqrtf(set.nearest[n].kept[0]);
    close_queries(&set);
    return status;
}
