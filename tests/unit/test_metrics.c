/* AUROC, FPR95 in both conventions, average precision: by hand, against scikit-learn, against the definitions. */
#include "golden.h"
#include "nac.h"

static nac_metrics compute(const float *id, size_t ids, const float *ood, size_t oods) {
    nac_metrics m;
    nac_error error;
    ENSURE_OK(nac_metrics_compute(id, ids, ood, oods, &m, &error), &error);
    return m;
}

/* 20 ID scores 1..20; 20 OOD scores -18..-1, 5.5 and 12.5.
 * OOD positive: the threshold must catch 19 of 20 OOD, so it lies at 5.5, and flags ID 1..5: 5/20.
 * ID positive: the threshold must accept 19 of 20 ID, so it lies at 2, and accepts OOD 5.5 and 12.5: 2/20. */
static void test_fpr95_by_hand(void) {
    float id[20], ood[20];
    for (int i = 0; i < 20; ++i) id[i] = (float)(i + 1);
    for (int i = 0; i < 18; ++i) ood[i] = (float)(i - 18);
    ood[18] = 5.5f;
    ood[19] = 12.5f;
    nac_metrics m = compute(id, 20, ood, 20);
    ENSURE(m.fpr95 == 5.0 / 20);
    ENSURE(m.fpr95_id_positive == 2.0 / 20);
    ENSURE(m.auroc == (18 * 20 + 15 + 8) / 400.0);
}

/* 20 in 20 are needed where 19 of 20 would be below 95 %: 10 OOD images leave no slack. */
static void test_fpr95_of_few(void) {
    const float id[4] = {1, 2, 3, 4}, ood[10] = {-9, -8, -7, -6, -5, -4, -3, -2, -1, 3.5f};
    nac_metrics m = compute(id, 4, ood, 10);
    ENSURE(m.fpr95 == 0.75);
    ENSURE(m.fpr95_id_positive == 0.1);
}

static void test_ties_by_hand(void) {
    /* All tied: half of every pair, and one threshold that accepts everything. */
    const float same[3] = {0.5f, 0.5f, 0.5f};
    nac_metrics m = compute(same, 3, same, 1);
    ENSURE(m.auroc == 0.5 && m.fpr95 == 1 && m.fpr95_id_positive == 1 && m.aupr_in == 0.75 && m.aupr_out == 0.25);
    /* id 1 2 2, ood 2 0: 1 beats 0 and loses to 2; each 2 beats 0 and ties with 2. */
    const float id[3] = {1, 2, 2}, ood[2] = {2, 0};
    m = compute(id, 3, ood, 2);
    ENSURE_NEAR(m.auroc, (1 + 1.5 + 1.5) / 6, 1e-15);
    /* ID positive, from the top: {2: 2 id, 1 ood} precision 2/3 recall 2/3; {1: 1 id} 3/4, recall 1. */
    ENSURE_NEAR(m.aupr_in, 2.0 / 3 * 2 / 3 + 1.0 / 3 * 3 / 4, 1e-15);
    /* OOD positive, from the bottom: {0} precision 1 recall 1/2; {1: id}; {2: 1 ood, 2 id} precision 2/5, recall 1. */
    ENSURE_NEAR(m.aupr_out, 0.5 + 0.5 * 2 / 5, 1e-15);
    ENSURE(m.fpr95 == 1 && m.fpr95_id_positive == 0.5);
    /* -0 and 0 are one score. */
    ENSURE(compute((float[]){0.0f}, 1, (float[]){-0.0f}, 1).auroc == 0.5);
}

static void test_ends(void) {
    nac_metrics best = compute((float[]){3, INFINITY}, 2, (float[]){-INFINITY, 2}, 2);
    ENSURE(best.auroc == 1 && best.fpr95 == 0 && best.fpr95_id_positive == 0 && best.aupr_in == 1 && best.aupr_out == 1);
    nac_metrics worst = compute((float[]){1}, 1, (float[]){2}, 1);
    ENSURE(worst.auroc == 0 && worst.fpr95 == 1 && worst.fpr95_id_positive == 1 && worst.aupr_in == 0.5 && worst.aupr_out == 0.5);
}

static void test_against_scikit_learn(void) {
    golden g = golden_open("profile/parity.safetensors");
    for (int c = 0; c < 5; ++c) {
        char name[32];
        size_t ids, oods, five;
        float id[200], ood[400];
        double expected[5];
        snprintf(name, sizeof name, "metrics.%d.id", c);
        const void *data = golden_tensor(&g, name, &ids);
        memcpy(id, data, ids * sizeof *id);
        snprintf(name, sizeof name, "metrics.%d.ood", c);
        data = golden_tensor(&g, name, &oods);
        memcpy(ood, data, oods * sizeof *ood);
        snprintf(name, sizeof name, "metrics.%d.values", c);
        data = golden_tensor(&g, name, &five);
        memcpy(expected, data, sizeof expected);
        nac_metrics m = compute(id, ids, ood, oods);
        /* Quotients of the same integers, summed in another order. */
        ENSURE_NEAR(m.auroc, expected[0], 1e-13);
        ENSURE(m.fpr95 == expected[1]);
        ENSURE(m.fpr95_id_positive == expected[2]);
        ENSURE_NEAR(m.aupr_in, expected[3], 1e-13);
        ENSURE_NEAR(m.aupr_out, expected[4], 1e-13);
    }
    golden_close(&g);
}

/* O(n^2) definitions on random scores of few levels, and the order of the images must not matter. */
static void test_definitions(void) {
    uint64_t random = 11;
    for (int round = 0; round < 200; ++round) {
        float id[40], ood[40];
        size_t ids = 1 + test_random(&random) % 40, oods = 1 + test_random(&random) % 40, levels = 1 + test_random(&random) % 30;
        for (size_t i = 0; i < ids; ++i) id[i] = (float)(test_random(&random) % levels);
        for (size_t i = 0; i < oods; ++i) ood[i] = (float)(test_random(&random) % levels) - 1;
        nac_metrics m = compute(id, ids, ood, oods);
        double wins = 0;
        for (size_t i = 0; i < ids; ++i)
            for (size_t o = 0; o < oods; ++o) wins += id[i] > ood[o] ? 1 : id[i] == ood[o] ? 0.5 : 0;
        ENSURE_NEAR(m.auroc, wins / (double)(ids * oods), 1e-14);
        double fpr = 1, fpr_in = 1;
        for (float t = 31; t >= -1; --t) { /* from loose to strict for OOD, from strict to loose for ID: the last, the first that fits */
            size_t caught = 0, flagged = 0, kept = 0, passed = 0;
            for (size_t o = 0; o < oods; ++o) caught += ood[o] <= t, passed += ood[o] >= t;
            for (size_t i = 0; i < ids; ++i) flagged += id[i] <= t, kept += id[i] >= t;
            if (20 * caught >= 19 * oods) fpr = (double)flagged / (double)ids;
            if (20 * kept >= 19 * ids) {
                double share = (double)passed / (double)oods;
                if (share < fpr_in) fpr_in = share;
            }
        }
        ENSURE(m.fpr95 == fpr);
        ENSURE(m.fpr95_id_positive == fpr_in);
        float swap = id[0];
        id[0] = id[ids - 1];
        id[ids - 1] = swap;
        nac_metrics again = compute(id, ids, ood, oods);
        ENSURE(memcmp(&m, &again, sizeof m) == 0);
        nac_metrics mirrored;
        float minus_id[40], minus_ood[40];
        for (size_t i = 0; i < ids; ++i) minus_id[i] = -id[i];
        for (size_t o = 0; o < oods; ++o) minus_ood[o] = -ood[o];
        mirrored = compute(minus_ood, oods, minus_id, ids); /* the roles changed: conventions must swap */
        ENSURE_NEAR(mirrored.auroc, m.auroc, 1e-14);
        ENSURE(mirrored.fpr95 == m.fpr95_id_positive && mirrored.fpr95_id_positive == m.fpr95);
        ENSURE(mirrored.aupr_in == m.aupr_out && mirrored.aupr_out == m.aupr_in);
    }
}

static void test_refusals(void) {
    nac_metrics m = {.auroc = 7}, high = {.auroc = 7};
    nac_error error;
    const float fine[2] = {1, 2}, nan[2] = {1, NAN};
    ENSURE(nac_metrics_compute(fine, 0, fine, 2, &m, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_metrics_compute(fine, 2, fine, 0, &m, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_metrics_compute(NULL, 2, fine, 2, &m, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_metrics_compute(nan, 2, fine, 2, &m, &error) == NAC_NOT_FINITE);
    ENSURE(nac_metrics_compute(fine, 2, nan, 2, &m, &error) == NAC_NOT_FINITE);
    ENSURE(strstr(error.message, "score 1 of the OOD set"));
    ENSURE(nac_metrics_bootstrap(fine, 2, fine, 2, 0, 1, &m, &high, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_metrics_bootstrap(fine, 2, nan, 2, 10, 1, &m, &high, &error) == NAC_NOT_FINITE);
    ENSURE(m.auroc == 7 && high.auroc == 7); /* written only on NAC_OK */
}

static void test_bootstrap(void) {
    enum { N = 300 };
    float id[N], ood[N];
    uint64_t random = 5;
    for (int i = 0; i < N; ++i) {
        id[i] = test_uniform(&random) + test_uniform(&random) + 0.8f;
        ood[i] = test_uniform(&random) + test_uniform(&random);
    }
    nac_error error;
    nac_metrics m = compute(id, N, ood, N), low, high, low2, high2;
    ENSURE_OK(nac_metrics_bootstrap(id, N, ood, N, 1000, 42, &low, &high, &error), &error);
    ENSURE_OK(nac_metrics_bootstrap(id, N, ood, N, 1000, 42, &low2, &high2, &error), &error);
    ENSURE(memcmp(&low, &low2, sizeof low) == 0 && memcmp(&high, &high2, sizeof high) == 0);
    ENSURE_OK(nac_metrics_bootstrap(id, N, ood, N, 1000, 43, &low2, &high2, &error), &error);
    ENSURE(memcmp(&low, &low2, sizeof low) != 0);
    double a[5], b[5], c[5];
    memcpy(a, &low, sizeof a);
    memcpy(b, &m, sizeof b);
    memcpy(c, &high, sizeof c);
    for (int f = 0; f < 5; ++f) ENSURE(a[f] < b[f] && b[f] < c[f]);
    /* Hanley and McNeil's standard error of an AUROC around 0.83 with 300 + 300 scores is 0.017: +-1.96 of it, within a third. */
    const double n = N;
    double Q1 = m.auroc / (2 - m.auroc), Q2 = 2 * m.auroc * m.auroc / (1 + m.auroc), A2 = m.auroc * m.auroc;
    double se = sqrt((m.auroc * (1 - m.auroc) + (n - 1) * (Q1 - A2 + Q2 - A2)) / (n * n));
    ENSURE_NEAR(high.auroc - low.auroc, 2 * 1.96 * se, 2 * 1.96 * se / 3);
}

/* One round: low and high are that round. One image a set: nothing can move. */
static void test_bootstrap_ends(void) {
    nac_metrics low, high;
    nac_error error;
    ENSURE_OK(nac_metrics_bootstrap((float[]){1, 2, 3}, 3, (float[]){0, 2, 4}, 3, 1, 9, &low, &high, &error), &error);
    ENSURE(memcmp(&low, &high, sizeof low) == 0);
    ENSURE_OK(nac_metrics_bootstrap((float[]){1}, 1, (float[]){0}, 1, 50, 9, &low, &high, &error), &error);
    ENSURE(low.auroc == 1 && high.auroc == 1 && low.fpr95 == 0 && high.fpr95 == 0);
}

int main(void) {
    RUN(test_fpr95_by_hand);
    RUN(test_fpr95_of_few);
    RUN(test_ties_by_hand);
    RUN(test_ends);
    RUN(test_against_scikit_learn);
    RUN(test_definitions);
    RUN(test_refusals);
    RUN(test_bootstrap);
    RUN(test_bootstrap_ends);
    return TEST_RESULT();
}
