/* Baselines against NumPy, PyTorch and scikit-learn (tests/oracle/profile_oracle.py and baselines_oracle.py), and at their ends. */
#include "golden.h"
#include "nac.h"
#include "nac/select.h"

enum { K = 10, C = 37, REFERENCES = 200, QUERIES = 30 }; /* of baselines_oracle.py */

static nac_error error;

static void test_softmax_baselines(void) {
    enum { ROWS = 6 };
    golden g = golden_open("profile/parity.safetensors");
    float *logits = golden_copy(&g, "baselines.logits", 4), probabilities[K];
    double *energy = golden_copy(&g, "baselines.energy", 8), *p = golden_copy(&g, "baselines.probabilities", 8);
    for (int r = 0; r < ROWS; ++r) {
        nac_baselines b = nac_baselines_compute(logits + r * K, K, probabilities);
        double max_p = 0, max_logit = -INFINITY;
        for (int k = 0; k < K; ++k) {
            ENSURE_NEAR(probabilities[k], p[r * K + k], 6e-8); /* one rounding to float32 */
            if (p[r * K + k] > max_p) max_p = p[r * K + k];
            if ((double)logits[r * K + k] > max_logit) max_logit = (double)logits[r * K + k];
        }
        ENSURE_NEAR(b.msp, max_p, 6e-8);
        ENSURE_NEAR(b.energy, energy[r], 6e-8 * (1 + fabs(energy[r])));
        ENSURE((double)b.max_logit == max_logit);
    }
    free(logits);
    free(energy);
    free(p);
    golden_close(&g);
}

static void test_at_the_ends(void) {
    nac_baselines one = nac_baselines_compute((float[]){-3}, 1, NULL);
    ENSURE(one.msp == 1 && one.energy == -3 && one.max_logit == -3 && one.entropy == 0 && one.gen == 0);
    float probabilities[3];
    nac_baselines wide = nac_baselines_compute((float[]){3e38f, -3e38f, 0}, 3, probabilities);
    ENSURE(wide.msp == 1 && wide.energy == 3e38f && wide.max_logit == 3e38f);
    ENSURE(probabilities[0] == 1 && probabilities[1] == 0 && probabilities[2] == 0);
    nac_baselines equal = nac_baselines_compute((float[]){7, 7, 7, 7}, 4, NULL);
    ENSURE(equal.msp == 0.25f && equal.max_logit == 7);
    ENSURE_NEAR(equal.energy, 7 + log(4), 1e-6);
    ENSURE_NEAR(equal.entropy, -log(4), 1e-6);
    ENSURE_NEAR(equal.gen, -4 * pow(0.25 * 0.75, 0.1), 1e-6);
    /* Two sure images whose 1 - p both round to nothing beside 1: the order stays. */
    ENSURE(nac_baselines_compute((float[]){60, 0}, 2, NULL).gen > nac_baselines_compute((float[]){50, 0}, 2, NULL).gen);
    ENSURE(nac_baselines_compute((float[]){60, 0}, 2, NULL).entropy > nac_baselines_compute((float[]){50, 0}, 2, NULL).entropy);
    const float with_nan[3][3] = {{NAN, 1, 2}, {1, NAN, 2}, {1, 2, NAN}};
    for (int i = 0; i < 3; ++i) {
        nac_baselines b = nac_baselines_compute(with_nan[i], 3, NULL);
        ENSURE(isnan(b.msp) && isnan(b.energy) && isnan(b.max_logit) && isnan(b.entropy) && isnan(b.gen));
        ENSURE(isnan(nac_grad_norm(with_nan[i], 3, (float[]){1}, 1)));
    }
    ENSURE(isnan(nac_baselines_compute(NULL, 3, NULL).msp));
    ENSURE(isnan(nac_baselines_compute((float[]){1}, 0, NULL).msp));
    ENSURE(isnan(nac_grad_norm((float[]){1, 2}, 2, (float[]){NAN}, 1)) && isnan(nac_grad_norm((float[]){1, 2}, 2, NULL, 1)));
    ENSURE(nac_grad_norm((float[]){3, 3}, 2, (float[]){5, -6}, 2) == 0); /* an undecided softmax has no gradient */
}

/* Float64 against float64, and one rounding to float32: of its value, or of the last step above 0. */
static const double ROUNDING = 1.2e-7;

static void check_entropies(const char *name, int classes) {
    golden g = golden_open("baselines/parity.safetensors");
    char key[3][32];
    snprintf(key[0], sizeof key[0], "%s.logits", name);
    snprintf(key[1], sizeof key[1], "%s.entropy", name);
    snprintf(key[2], sizeof key[2], "%s.gen", name);
    float *logits = golden_copy(&g, key[0], 4);
    double *entropy = golden_copy(&g, key[1], 8), *gen = golden_copy(&g, key[2], 8);
    for (int r = 0; r < 7; ++r) {
        const nac_baselines b = nac_baselines_compute(logits + r * classes, classes, NULL);
        ENSURE_NEAR(b.entropy, entropy[r], ROUNDING * fabs(entropy[r]) + 1.5e-45);
        ENSURE_NEAR(b.gen, gen[r], ROUNDING * fabs(gen[r]) + 1.5e-45);
    }
    free(logits);
    free(entropy);
    free(gen);
    golden_close(&g);
}

static void test_entropy_and_gen(void) {
    check_entropies("few", K);
    check_entropies("many", 300);
}

static void test_grad_norm(void) {
    golden g = golden_open("baselines/parity.safetensors");
    float *queries = golden_copy(&g, "queries", 4), *weight = golden_copy(&g, "weight", 4), *bias = golden_copy(&g, "bias", 4);
    double *expected = golden_copy(&g, "gradNorm", 8);
    for (int n = 0; n < QUERIES; ++n) {
        float logits[K];
        for (int k = 0; k < K; ++k) {
            double sum = (double)bias[k];
            for (int c = 0; c < C; ++c) sum += (double)weight[k * C + c] * (double)queries[n * C + c];
            logits[k] = (float)sum;
        }
        /* The logits were rounded to float32: 1e-6 of the softmax. */
        ENSURE_NEAR(nac_grad_norm(logits, K, queries + n * C, C), expected[n], 2e-6 * (1 + fabs(expected[n])));
    }
    free(queries);
    free(weight);
    free(bias);
    free(expected);
    golden_close(&g);
}

static void test_neighbours(void) {
    golden g = golden_open("baselines/parity.safetensors");
    float *references = golden_copy(&g, "references", 4), *queries = golden_copy(&g, "queries", 4), scores[QUERIES], alone;
    double *expected = golden_copy(&g, "knn", 8);
    const int k = atoi(golden_metadata(&g, "nearest"));
    ENSURE_OK(nac_neighbours_prepare(references, REFERENCES, C, &error), &error);
    ENSURE_OK(nac_neighbours_score(references, REFERENCES, queries, QUERIES, C, k, scores, &error), &error);
    for (int n = 0; n < QUERIES; ++n) {
        ENSURE_NEAR(scores[n], expected[n], 1e-6); /* coordinates of length 1, rounded to float32 */
        ENSURE_OK(nac_neighbours_score(references, REFERENCES, queries + n * C, 1, C, k, &alone, &error), &error);
        ENSURE(alone == scores[n]);
    }
    /* A reference itself, k = 1: no distance at all, where 2 - 2 cos would leave 3e-4. */
    ENSURE_OK(nac_neighbours_score(references, REFERENCES, queries + 3 * C, 1, C, 1, &alone, &error), &error);
    ENSURE(alone == 0);
    free(references);
    free(queries);
    free(expected);
    golden_close(&g);
}

static void test_neighbours_by_hand(void) {
    float references[3][2] = {{3, 4}, {0, 2}, {-5, 0}}, scores[2];
    const float queries[2][2] = {{6, 8}, {0, 0}};
    ENSURE_OK(nac_neighbours_prepare(references[0], 3, 2, &error), &error);
    for (int k = 1; k <= 3; ++k) {
        const double expected[] = {0, sqrt(0.36 + 0.04), sqrt(1.6 * 1.6 + 0.64)}; /* (.6, .8) to itself, to (0, 1), to (-1, 0) */
        ENSURE_OK(nac_neighbours_score(references[0], 3, queries[0], 2, 2, k, scores, &error), &error);
        ENSURE_NEAR(scores[0], -expected[k - 1], 1e-6);
        ENSURE_NEAR(scores[1], -1, 1e-6); /* no features at all: the origin */
    }
    ENSURE(nac_neighbours_score(references[0], 3, queries[0], 1, 2, 0, scores, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_neighbours_score(references[0], 3, queries[0], 1, 2, 4, scores, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_neighbours_score(references[0], 3, queries[0], 1, 0, 1, scores, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_neighbours_score(references[0], 3, (float[]){1, NAN}, 1, 2, 1, scores, &error) == NAC_NOT_FINITE);
    ENSURE(nac_neighbours_prepare((float[]){1, 2, INFINITY, 4}, 2, 2, &error) == NAC_NOT_FINITE);
    ENSURE(strstr(error.message, "reference 1"));
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void test_smallest(void) {
    uint64_t random = 17;
    for (int round = 0; round < 300; ++round) {
        float all[60], kept[60];
        const int count = 1 + (int)(test_random(&random) % 60), capacity = 1 + (int)(test_random(&random) % (uint64_t)count);
        nac_smallest smallest = {.kept = kept, .capacity = capacity};
        for (int i = 0; i < count; ++i) nac_smallest_offer(&smallest, all[i] = (float)(test_random(&random) % 20)); /* ties */
        qsort(all, (size_t)count, sizeof *all, ascending);
        ENSURE(smallest.count == capacity && kept[0] == all[capacity - 1]); /* the largest on top */
        qsort(kept, (size_t)capacity, sizeof *kept, ascending);
        ENSURE(memcmp(kept, all, (size_t)capacity * sizeof *kept) == 0);
    }
}

int main(void) {
    RUN(test_softmax_baselines);
    RUN(test_at_the_ends);
    RUN(test_entropy_and_gen);
    RUN(test_grad_norm);
    RUN(test_neighbours);
    RUN(test_neighbours_by_hand);
    RUN(test_smallest);
    return TEST_RESULT();
}
