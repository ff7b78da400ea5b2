/* Winograd's convolutions by themselves, also where the backend would choose XNNPACK's: against plain loops. */
#include "backend/convolution.h"
#include "test.h"
#include "winograd_error.h"

static uint64_t seed = 20240711;

static int between(int low, int high) { return low + (int)(test_random(&seed) % (uint32_t)(high - low + 1)); }

static float *random_floats(size_t count) {
    float *data = malloc(count * sizeof *data);
    ENSURE(data != NULL);
    for (size_t i = 0; i < count; ++i) data[i] = test_uniform(&seed);
    return data;
}

/* Sums of `from` with w, in doubles: forward into [N,OH,OW,Co], backward into [N,H,W,Ci]. */
static double *sum_plainly(const nac_convolution *p, bool backward, const float *from) {
    const nac_window *v = &p->window;
    const int count = backward ? p->N * p->H * p->W * p->Ci : p->N * p->OH * p->OW * p->Co;
    double *to = calloc((size_t)count, sizeof *to);
    ENSURE(to != NULL);
    for (int n = 0; n < p->N; ++n)
        for (int oy = 0; oy < p->OH; ++oy)
            for (int ox = 0; ox < p->OW; ++ox)
                for (int k = 0; k < 9; ++k) {
                    const int y = oy * v->stride_h + k / 3 - v->pad_top, x = ox * v->stride_w + k % 3 - v->pad_left;
                    if (y < 0 || y >= p->H || x < 0 || x >= p->W) continue;
                    for (int o = 0; o < p->Co; ++o)
                        for (int i = 0; i < p->Ci; ++i) {
                            const int large = ((n * p->H + y) * p->W + x) * p->Ci + i, small = ((n * p->OH + oy) * p->OW + ox) * p->Co + o;
                            const double w = p->w[(o * 9 + k) * p->Ci + i];
                            if (backward) to[large] += w * from[small];
                            else to[small] += w * from[large];
                        }
                }
    return to;
}

/* Runs over an output full of NaN, with NaN behind it. */
static float *run(const nac_convolution *p, bool backward, const float *from, const float *bias, float low, float high, size_t count) {
    float *weights = malloc(nac_winograd.weights(p) * sizeof *weights), *scratch = malloc(nac_winograd.scratch(p, backward) * sizeof *scratch);
    float *to = malloc((count + 4) * sizeof *to);
    ENSURE(weights && scratch && to);
    for (size_t i = 0; i < nac_winograd.scratch(p, backward); ++i) scratch[i] = NAN;
    for (size_t i = 0; i < count + 4; ++i) to[i] = NAN;
    nac_winograd.arrange(p, weights);
    nac_winograd.run(p, backward, weights, from, bias, low, high, scratch, to);
    for (size_t i = count; i < count + 4; ++i) ENSURE(isnan(to[i]));
    free(weights);
    free(scratch);
    return to;
}

static size_t input_count(const nac_convolution *p) { return (size_t)(p->N * p->H * p->W * p->Ci); }
static size_t output_count(const nac_convolution *p) { return (size_t)(p->N * p->OH * p->OW * p->Co); }

static nac_convolution random_convolution(int stride) {
    nac_convolution p = {.window = {3, 3, stride, stride, 1, 1, between(0, 2), between(0, 2), between(0, 2), between(0, 2)}, .N = between(1, 3),
                         .H = between(3, 19), .W = between(3, 19), .Ci = 4 * between(1, 6), .Co = 4 * between(1, 6), .groups = 1};
    p.OH = (p.H + p.window.pad_top + p.window.pad_bottom - 3) / stride + 1;
    p.OW = (p.W + p.window.pad_left + p.window.pad_right - 3) / stride + 1;
    return p;
}

static void check(const nac_convolution *p, bool backward) {
    const size_t count = backward ? input_count(p) : output_count(p);
    const float low = backward ? -INFINITY : -1, high = backward ? INFINITY : 2;
    float *from = random_floats(backward ? output_count(p) : input_count(p)), *bias = backward ? NULL : random_floats((size_t)p->Co);
    double *expected = sum_plainly(p, backward, from);
    float *to = run(p, backward, from, bias, low, high, count);
    for (size_t i = 0; i < count; ++i) {
        const double sum = expected[i] + (bias ? (double)bias[i % (size_t)p->Co] : 0);
        ENSURE_NEAR(to[i], fmin(fmax(sum, low), high), winograd_error(p, backward));
    }
    free(from);
    free(bias);
    free(expected);
    free(to);
}

static void test_against_plain_loops(void) {
    for (int i = 0; i < 600; ++i) {
        nac_convolution p = random_convolution(1 + i / 2 % 2);
        float *w = random_floats((size_t)(p.Co * 9 * p.Ci));
        p.w = w;
        check(&p, i % 2);
        free(w);
    }
}

/* Root mean square of the error, relative, of convolutions after a ReLU. Measured: 3.1e-7 and 3.6e-7 at stride 1, where XNNPACK's sums of 9 times as
 * many products have 5.8e-7, and 3.8e-7 and 3.5e-7 at stride 2. */
static void test_error(void) {
    for (int i = 0; i < 4; ++i) {
        const int stride = 1 + i / 2;
        const bool backward = i % 2;
        nac_convolution p = {.window = {3, 3, stride, stride, 1, 1, 1, 1, 1, 1}, .N = 1, .H = 14 * stride, .W = 14 * stride, .Ci = 128, .OH = 14,
                             .OW = 14, .Co = 128, .groups = 1};
        float *w = random_floats((size_t)(p.Co * 9 * p.Ci)), *from = random_floats(backward ? output_count(&p) : input_count(&p));
        for (size_t k = 0; !backward && k < input_count(&p); ++k) from[k] = fmaxf(from[k], 0);
        p.w = w;
        const size_t count = backward ? input_count(&p) : output_count(&p);
        double *expected = sum_plainly(&p, backward, from), error = 0, power = 0;
        float *to = run(&p, backward, from, NULL, -INFINITY, INFINITY, count);
        for (size_t k = 0; k < count; ++k) error += pow(to[k] - expected[k], 2), power += pow(expected[k], 2);
        ENSURE_NEAR(sqrt(error / power), 0, 6e-7);
        free(w);
        free(from);
        free(expected);
        free(to);
    }
}

int main(void) {
    RUN(test_against_plain_loops);
    RUN(test_error);
    return TEST_RESULT();
}
