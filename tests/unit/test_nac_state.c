/* States and bins: the exact values that float32 gives, and edges against NumPy. */
#include "golden.h"
#include "nac.h"
#include "nac/bins.h"

static const float alphas[] = {0.001f, 1.0f, 100.0f, 3000.0f};

/* x itself, through z = x, g = 1, alpha = 1. */
static float state_of_x(float x) { return nac_state(x, 1.0f, 1.0f); }

static void test_dead_units_are_one_half(void) {
    for (size_t a = 0; a < sizeof alphas / sizeof alphas[0]; ++a) {
        ENSURE(nac_state(0.0f, 3.5f, alphas[a]) == 0.5f);
        ENSURE(nac_state(0.0f, -3.5f, alphas[a]) == 0.5f);
        ENSURE(nac_state(-0.0f, 3.5f, alphas[a]) == 0.5f);
        ENSURE(nac_state(2.0f, 0.0f, alphas[a]) == 0.5f);
        ENSURE(nac_state(1e-30f, 1e-30f, alphas[a]) == 0.5f); /* z * g underflows before alpha could lift it */
    }
    ENSURE(nac_state(1e-30f, 1e-30f, 1e30f) == 0.5f);
}

/* The three regimes of float32. Around 0: exp(-x) is a multiple of 2^-24 below 1, of 2^-23 above, and half of the first step on
 * either side is lost in 1 + exp(-x). So 0.5 ends at 1.5 * 2^-24 = 8.94e-8 and at -1.5 * 2^-23 = -1.788e-7. */
static void test_exact_regimes(void) {
    const float half[] = {-1.787e-7f, -1e-7f, -5e-8f, -1e-8f, -1e-20f, 1e-45f, 1e-8f, 5e-8f, 8.93e-8f};
    for (size_t i = 0; i < sizeof half / sizeof half[0]; ++i) ENSURE(state_of_x(half[i]) == 0.5f);
    ENSURE(state_of_x(-1.80e-7f) < 0.5f);
    ENSURE(state_of_x(9.0e-8f) > 0.5f);
    const float one[] = {16.64f, 17, 88, 89, 1e10f, INFINITY};
    for (size_t i = 0; i < sizeof one / sizeof one[0]; ++i) ENSURE(state_of_x(one[i]) == 1.0f);
    ENSURE(state_of_x(16.6f) < 1.0f);
    const float zero[] = {-88.74f, -89, -104, -1e10f, -INFINITY};
    for (size_t i = 0; i < sizeof zero / sizeof zero[0]; ++i) ENSURE(state_of_x(zero[i]) == 0.0f);
    ENSURE(state_of_x(-88.7f) > 0.0f);
    ENSURE(nac_state(3e38f, 3e38f, 1) == 1.0f);
    ENSURE(nac_state(3e38f, -3e38f, 1) == 0.0f);
    ENSURE(isnan(nac_state(NAN, 1, 1)));
    ENSURE(isnan(nac_state(0, INFINITY, 1)));
}

/* z * g is rounded before alpha: 3e20 * 3e20 overflows although alpha would bring it back. */
static void test_order_of_products(void) { ENSURE(nac_state(3e20f, 3e20f, 1e-30f) == 1.0f); }

static void test_edges_against_numpy(void) {
    golden g = golden_open("profile/parity.safetensors");
    const int Ms[] = {4, 50, 500, 1000};
    for (size_t m = 0; m < 4; ++m) {
        int M = Ms[m];
        char name[32];
        snprintf(name, sizeof name, "edges.%d", M);
        size_t count;
        const void *tensor = golden_tensor(&g, name, &count);
        ENSURE(count == (size_t)M);
        double *expected = malloc(count * sizeof(double)), *edges = malloc(count * sizeof(double));
        memcpy(expected, tensor, count * sizeof(double));
        ENSURE(nac_bin_edges(M, edges, NULL) == NAC_OK);
        /* Two libms' logarithms may differ by one unit in the last place; the quotient and 1 - a keep that below 4e-16. */
        for (int i = 0; i < M; ++i) ENSURE_NEAR(edges[i], expected[i], 4e-16);
        ENSURE(edges[0] == 0.0);
        ENSURE(edges[M / 2 - 1] == 0.5);
        ENSURE(edges[M - 2] == 1.01);
        ENSURE(edges[M - 1] == 1.2);
        for (int i = 1; i < M; ++i) ENSURE(edges[i - 1] < edges[i]);
        free(expected);
        free(edges);
    }
    size_t count;
    double expected[50], edges[50];
    const void *tensor = golden_tensor(&g, "linear.50", &count);
    memcpy(expected, tensor, sizeof expected);
    ENSURE(nac_bin_edges_linear(50, edges, NULL) == NAC_OK);
    ENSURE(memcmp(edges, expected, sizeof edges) == 0); /* no logarithm: to the bit */
    golden_close(&g);
}

/* Facts of the specification, computed apart: bins are narrow around 0.5 and wide at the ends. */
static void test_bin_widths(void) {
    double edges[50];
    ENSURE(nac_bin_edges(50, edges, NULL) == NAC_OK);
    ENSURE_NEAR(edges[1], 0.1191, 1e-4);
    ENSURE_NEAR(edges[25] - edges[24], 0.00596, 1e-5);
}

static void test_edges_refuse(void) {
    double edges[8];
    nac_error error;
    const int bad[] = {-2, 0, 2, 3, 5, NAC_MAX_BINS + 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) ENSURE(nac_bin_edges(bad[i], edges, &error) == NAC_INVALID_ARGUMENT);
    ENSURE(strstr(error.message, "10002"));
    ENSURE(nac_bin_edges_linear(1, edges, NULL) == NAC_INVALID_ARGUMENT);
    ENSURE(nac_bin_edges_linear(2, edges, NULL) == NAC_OK);
    ENSURE(edges[0] == 0 && edges[1] == 1);
    double *most = malloc(NAC_MAX_BINS * sizeof *most);
    ENSURE(nac_bin_edges(NAC_MAX_BINS, most, NULL) == NAC_OK);
    for (int i = 1; i < NAC_MAX_BINS; ++i) ENSURE(most[i - 1] < most[i]);
    free(most);
}

static int bin_by_definition(float s, const double *edges, int M) {
    for (int i = 0; i + 1 < M; ++i)
        if (edges[i] <= (double)s && (double)s < edges[i + 1]) return i;
    return -1;
}

static void test_bins(void) {
    const int Ms[] = {4, 6, 50, 500, 1000};
    uint64_t random = 7;
    for (size_t m = 0; m < sizeof Ms / sizeof Ms[0]; ++m) {
        int M = Ms[m];
        double edges[1000];
        ENSURE(nac_bin_edges(M, edges, NULL) == NAC_OK);
        ENSURE(nac_bin(0.5f, edges, M) == M / 2 - 1);
        ENSURE(nac_bin(nextafterf(0.5f, 1), edges, M) == M / 2 - 1);
        ENSURE(nac_bin(nextafterf(0.5f, 0), edges, M) == M / 2 - 2);
        ENSURE(nac_bin(nac_state(0, 1, 50), edges, M) == M / 2 - 1); /* a dead unit */
        ENSURE(nac_bin(0.0f, edges, M) == 0);
        ENSURE(nac_bin(1e-45f, edges, M) == 0);
        ENSURE(nac_bin(nextafterf(1, 0), edges, M) == M - 3);
        ENSURE(nac_bin(1.0f, edges, M) == M - 3); /* [.., 1.01); the last bin, [1.01, 1.2), cannot be hit */
        ENSURE(nac_bin(NAN, edges, M) == -1);
        ENSURE(nac_bin(-1e-45f, edges, M) == -1);
        ENSURE(nac_bin(1.2f, edges, M) == -1); /* the float 1.2 is above the double 1.2 */
        ENSURE(nac_bin(INFINITY, edges, M) == -1);
        for (int i = 0; i < M; ++i) { /* both sides of every edge */
            float s = (float)edges[i];
            ENSURE(nac_bin(s, edges, M) == bin_by_definition(s, edges, M));
            ENSURE(nac_bin(nextafterf(s, 2), edges, M) == bin_by_definition(nextafterf(s, 2), edges, M));
            ENSURE(nac_bin(nextafterf(s, -1), edges, M) == bin_by_definition(nextafterf(s, -1), edges, M));
        }
        for (int i = 0; i < 2000; ++i) {
            float s = 0.6f + 0.7f * test_uniform(&random);
            ENSURE(nac_bin(s, edges, M) == bin_by_definition(s, edges, M));
        }
    }
}

/* The table of the loops is nac_bin, whatever the edges: also crowded, far apart, or with a range that overflows. */
static void test_bin_map(void) {
    static nac_bin_map map;
    static double edges[NAC_MAX_BINS];
    const double tiny = 4.9e-324;
    uint64_t random = 17;
    for (int kind = 0; kind < 10; ++kind) {
        int M = kind == 0 ? 4 : kind == 1 ? 50 : kind == 2 ? 1000 : kind == 3 ? NAC_MAX_BINS : 100;
        if (kind < 4)
            ENSURE(nac_bin_edges(M, edges, NULL) == NAC_OK);
        else if (kind == 4)
            ENSURE(nac_bin_edges_linear(M, edges, NULL) == NAC_OK);
        else
            for (int i = 0; i < M; ++i) {
                if (kind == 5) edges[i] = 0.5 + 1e-9 * i;                                /* all within one hundred floats */
                if (kind == 6) edges[i] = i * tiny;                                      /* scale would be infinite */
                if (kind == 7) edges[i] = i == 0 ? -1.7e308 : i == M - 1 ? 1.7e308 : 0.01 * i; /* the range is */
                if (kind == 8) edges[i] = i == M - 1 ? 1.0 : 1.0 - pow(0.8, i);          /* crowded at the end */
                if (kind == 9) edges[i] = i == 0 ? 0.0 : edges[i - 1] + 1e-6 + 0.01 * (1 + (double)test_uniform(&random));
            }
        nac_bin_map_init(&map, edges, M);
        for (int i = 0; i < M; ++i) {
            float s = (float)edges[i];
            const float near[] = {s, nextafterf(s, 2), nextafterf(s, -2)};
            for (int j = 0; j < 3; ++j) ENSURE(nac_bin_map_find(&map, near[j]) == nac_bin(near[j], edges, M));
        }
        for (int i = 0; i < 20000; ++i) {
            float s = i % 2 ? 0.6f + 0.7f * test_uniform(&random) : 0.5f + 1e-6f * test_uniform(&random);
            ENSURE(nac_bin_map_find(&map, s) == nac_bin(s, edges, M));
        }
        const float special[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1.0f, 1e-45f, 3e38f};
        for (int i = 0; i < 8; ++i) ENSURE(nac_bin_map_find(&map, special[i]) == nac_bin(special[i], edges, M));
    }
}

static void test_states_against_numpy(void) {
    golden g = golden_open("profile/parity.safetensors");
    const float alpha[] = {100.0f, 10.0f, 1.0f, 0.001f};
    for (int l = 0; l < 4; ++l) {
        char name[3][32];
        const uint8_t *tensors[3];
        size_t count;
        snprintf(name[0], 32, "%d.z", l);
        snprintf(name[1], 32, "%d.g", l);
        snprintf(name[2], 32, "%d.states", l);
        for (int t = 0; t < 3; ++t) tensors[t] = golden_tensor(&g, name[t], &count);
        for (size_t i = 0; i < count; ++i) {
            float z, gradient, expected;
            memcpy(&z, tensors[0] + 4 * i, 4);
            memcpy(&gradient, tensors[1] + 4 * i, 4);
            memcpy(&expected, tensors[2] + 4 * i, 4);
            float s = nac_state(z, gradient, alpha[l]);
            /* exp is right to one unit in the last place, and 1 / (1 + e) keeps that relative error: 2^-23 of s, twice. */
            ENSURE_NEAR(s, expected, 2.4e-7 * (double)expected);
            if (expected == 0.5f || expected == 0.0f || expected == 1.0f) ENSURE(s == expected);
        }
    }
    golden_close(&g);
}

int main(void) {
    RUN(test_dead_units_are_one_half);
    RUN(test_exact_regimes);
    RUN(test_order_of_products);
    RUN(test_edges_against_numpy);
    RUN(test_bin_widths);
    RUN(test_edges_refuse);
    RUN(test_bins);
    RUN(test_bin_map);
    RUN(test_states_against_numpy);
    return TEST_RESULT();
}
