/* Counts and scores of one layer and NAC-ME, against NumPy and by hand. */
#include "golden.h"
#include "nac.h"

enum { FIT = 30, SCORED = 10 }; /* images of the goldens */

typedef struct layer_golden {
    int M, neurons;
    float alpha;
    double O;
} layer_golden;

static const layer_golden layers[] = {{50, 24, 100.0f, 10.0}, {500, 8, 10.0f, 2.0}, {4, 8, 1.0f, 50.0}, {1000, 4, 0.001f, 3.0}};

static void *layer_tensor(const golden *g, int layer, const char *what, size_t width) {
    char name[32];
    snprintf(name, sizeof name, "%d.%s", layer, what);
    return golden_copy(g, name, width);
}

static void test_against_the_authors_formula(void) {
    golden g = golden_open("profile/parity.safetensors");
    for (int l = 0; l < 4; ++l) {
        const layer_golden *t = &layers[l];
        size_t cells = (size_t)(t->M - 1) * (size_t)t->neurons;
        float *z = layer_tensor(&g, l, "z", 4), *gradient = layer_tensor(&g, l, "g", 4);
        uint32_t *expected = layer_tensor(&g, l, "counts", 4), *counts = calloc(cells, 4);
        double *expected_scores = layer_tensor(&g, l, "scores", 8), edges[1000];
        ENSURE(nac_bin_edges(t->M, edges, NULL) == NAC_OK);
        ENSURE(nac_coverage_count(FIT, t->neurons, z, gradient, t->alpha, t->M, edges, counts, NULL) == NAC_OK);
        ENSURE(memcmp(counts, expected, cells * 4) == 0);
        float scores[SCORED];
        size_t skip = (size_t)FIT * (size_t)t->neurons;
        ENSURE(nac_coverage_score(SCORED, t->neurons, z + skip, gradient + skip, t->alpha, t->M, edges, counts, &t->O, 1, scores, NULL) ==
               NAC_OK);
        /* The sums differ in order alone (1e-16), the result is rounded to float32 (6e-8). */
        for (int n = 0; n < SCORED; ++n) ENSURE_NEAR(scores[n], expected_scores[n], 1e-6);
        free(z);
        free(gradient);
        free(expected);
        free(counts);
        free(expected_scores);
    }
    golden_close(&g);
}

/* Many O at once are the same as one at a time, and a layer's score does not depend on the batch. */
static void test_many_fills_and_batches(void) {
    enum { N = 20, C = 7, M = 50 };
    float z[N * C], g[N * C], together[3 * N], alone;
    uint64_t random = 3;
    for (int i = 0; i < N * C; ++i) z[i] = test_uniform(&random), g[i] = test_uniform(&random);
    double edges[M];
    uint32_t counts[(M - 1) * C] = {0};
    const double O[3] = {1, 2.5, 1000};
    ENSURE(nac_bin_edges(M, edges, NULL) == NAC_OK);
    ENSURE(nac_coverage_count(N, C, z, g, 5, M, edges, counts, NULL) == NAC_OK);
    ENSURE(nac_coverage_score(N, C, z, g, 5, M, edges, counts, O, 3, together, NULL) == NAC_OK);
    for (int o = 0; o < 3; ++o)
        for (int n = 0; n < N; ++n) {
            ENSURE(nac_coverage_score(1, C, z + n * C, g + n * C, 5, M, edges, counts, O + o, 1, &alone, NULL) == NAC_OK);
            ENSURE(alone == together[o * N + n]);
        }
    for (int n = 0; n < N; ++n) {
        ENSURE(together[n] == 1.0f);                /* O = 1: every image of the profile is covered */
        ENSURE(together[2 * N + n] <= 0.02f); /* O = 1000 > 20 images caps the layer */
        ENSURE(together[2 * N + n] >= 0.001f);
    }
}

/* An ascending set of edges, and the state 0.5 alone: 3 dead units out of 4, O = 4, 2 images. */
static void test_by_hand(void) {
    const float z[] = {0, 0, 0, 1e9f, 0, 0, 0, 1e9f}, g[] = {1, 2, 3, 1, 1, 2, 3, 1};
    double edges[4];
    uint32_t counts[3 * 4] = {0};
    ENSURE(nac_bin_edges(4, edges, NULL) == NAC_OK);
    ENSURE(nac_coverage_count(2, 4, z, g, 1, 4, edges, counts, NULL) == NAC_OK);
    const uint32_t expected[12] = {0, 0, 0, 0, 2, 2, 2, 2, 0, 0, 0, 0};
    ENSURE(memcmp(counts, expected, sizeof counts) == 0); /* bins [0, .5), [.5, 1.01), [1.01, 1.2) */
    float score;
    ENSURE(nac_coverage_score(1, 4, z, g, 1, 4, edges, counts, (double[]){4}, 1, &score, NULL) == NAC_OK);
    ENSURE(score == 0.5f);
    const float other_z[] = {-1, 0, 0, NAN}; /* a state below 0.5 is uncovered; NaN is in no bin */
    ENSURE(nac_coverage_score(1, 4, other_z, g, 1, 4, edges, counts, (double[]){2}, 1, &score, NULL) == NAC_OK);
    ENSURE(score == 0.5f);
}

static void test_counts_stop_at_their_end(void) {
    double edges[4];
    uint32_t counts[3] = {0, UINT32_MAX - 1, 0};
    const float z[3] = {0}, g[3] = {0};
    ENSURE(nac_bin_edges(4, edges, NULL) == NAC_OK);
    ENSURE(nac_coverage_count(3, 1, z, g, 1, 4, edges, counts, NULL) == NAC_OK);
    ENSURE(counts[1] == UINT32_MAX && counts[0] == 0 && counts[2] == 0);
}

static void test_refusals(void) {
    double edges[4], down[4] = {0, 0.5, 0.5, 1}, nan[4] = {0, NAN, 0.5, 1};
    uint32_t counts[3] = {0};
    const float z[1] = {0};
    float score;
    const double O[] = {1, -1, 0, NAN, INFINITY};
    ENSURE(nac_bin_edges(4, edges, NULL) == NAC_OK);
    ENSURE(nac_coverage_count(1, 1, z, z, 0, 4, edges, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(1, 1, z, z, NAN, 4, edges, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(1, 1, z, z, INFINITY, 4, edges, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(1, 0, z, z, 1, 4, edges, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(-1, 1, z, z, 1, 4, edges, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(1, 1, NULL, z, 1, 4, edges, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(1, 1, z, z, 1, 4, down, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(1, 1, z, z, 1, 4, nan, counts, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_count(0, 1, NULL, NULL, 1, 4, edges, counts, NULL) == NAC_OK);
    for (int o = 1; o < 5; ++o)
        ENSURE(nac_coverage_score(1, 1, z, z, 1, 4, edges, counts, O + o, 1, &score, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_coverage_score(1, 1, z, z, 1, 4, edges, counts, O, 0, &score, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(counts[0] + counts[1] + counts[2] == 0);
}

static void test_model_coverage(void) {
    golden g = golden_open("profile/parity.safetensors");
    float *z = golden_copy(&g, "me.z", 4), *gradient = golden_copy(&g, "me.g", 4);
    uint32_t *expected = golden_copy(&g, "me.counts", 4), counts[49 * 16] = {0};
    double *value = golden_copy(&g, "me.value", 8), edges[50];
    ENSURE(nac_bin_edges_linear(50, edges, NULL) == NAC_OK);
    ENSURE(nac_coverage_count(FIT, 16, z, gradient, 0.1f, 50, edges, counts, NULL) == NAC_OK);
    ENSURE(memcmp(counts, expected, sizeof counts) == 0);
    ENSURE_NEAR(nac_model_coverage(counts, 16, 50, 5), *value, 1e-14);
    free(z);
    free(gradient);
    free(expected);
    free(value);
    golden_close(&g);
}

/* The last linear edge is 1, open: the state 1 is dropped, its neighbour is not. And three full bins of four edges are 3/4. */
static void test_model_coverage_by_hand(void) {
    double edges[4];
    ENSURE(nac_bin_edges_linear(4, edges, NULL) == NAC_OK);
    ENSURE(nac_bin(1.0f, edges, 4) == -1);
    ENSURE(nac_bin(nextafterf(1, 0), edges, 4) == 2);
    uint32_t counts[3] = {0};
    const float z[2] = {100, 10}, g[2] = {1, 1};
    ENSURE(nac_coverage_count(2, 1, z, g, 1, 4, edges, counts, NULL) == NAC_OK);
    ENSURE(counts[0] == 0 && counts[1] == 0 && counts[2] == 1);
    ENSURE(nac_model_coverage((uint32_t[]){5, 7, 9}, 1, 4, 5) == 0.75);
    ENSURE(nac_model_coverage((uint32_t[]){1, 0, 0, 1, 0, 4}, 2, 4, 2) == 0.25); /* neurons 0: .5 + 0 + 0, 1: 0 + .5 + 1 */
    ENSURE(isnan(nac_model_coverage((uint32_t[]){1}, 0, 4, 2)));
    ENSURE(isnan(nac_model_coverage((uint32_t[]){1}, 1, 4, 0)));
    ENSURE(isnan(nac_model_coverage(NULL, 1, 4, 1)));
}

int main(void) {
    RUN(test_against_the_authors_formula);
    RUN(test_many_fills_and_batches);
    RUN(test_by_hand);
    RUN(test_counts_stop_at_their_end);
    RUN(test_refusals);
    RUN(test_model_coverage);
    RUN(test_model_coverage_by_hand);
    return TEST_RESULT();
}
