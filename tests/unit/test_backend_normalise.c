/* LAYER_NORM and its gradient in the XNNPACK backend against the plain loops. */
#ifdef NAC_HAVE_XNNPACK
#include "backend_case.h"

typedef struct shape {
    int tokens, C;
    bool gradient;
} shape;

static int make_norm(backend_case *c, int N, const void *parameters) {
    const shape *p = parameters;
    const int dims[3] = {N, p->tokens, p->C};
    *c = case_make(p->gradient ? NAC_OP_LAYER_NORM_GRAD : NAC_OP_LAYER_NORM);
    c->node.u.layer_norm.epsilon = 1e-5f;
    case_input(c, false, 3, dims, -1, 3);
    if (p->gradient) case_input(c, false, 3, dims, -1, 1);
    case_input(c, true, 1, &p->C, -1, 1);
    if (!p->gradient) case_input(c, true, 1, &p->C, -1, 1);
    return case_emit(c, 3, dims);
}

static shape random_shape(bool gradient) {
    return (shape){case_between(1, 5), case_between(0, 2) ? case_between(8, 70) : case_between(100, 800), gradient};
}

/* Sums are float32 blocks of 8 terms of at most 3 (and their squares, 9), so the mean, and what is centred by it, is within 9 * 2^-24 * 3 of the
 * truth, and the deviation (above 0.5 for 8 or more numbers in [-1, 3)) within as much relatively. What is normalised is
 * at most sqrt(C) < 29. */
static void test_norm(void) {
    for (int i = 0; i < 300; ++i) {
        const shape p = random_shape(false);
        backend_case c;
        int output = make_norm(&c, case_between(1, 3), &p);
        if (i % 3 == 0) c.graph.nodes[0].max = 0.25f;
        case_check(&c, output, 0, 1e-5);
    }
}

/* Three such terms of sums over |dy * scale| <= 1, divided by the deviation. */
static void test_gradient(void) {
    for (int i = 0; i < 300; ++i) {
        const shape p = random_shape(true);
        backend_case c;
        int output = make_norm(&c, case_between(1, 3), &p);
        case_check(&c, output, 0, 1e-5);
    }
}

static void test_an_image_alone_and_in_a_batch(void) {
    for (int i = 0; i < 60; ++i) {
        const shape p = random_shape(i % 2 != 0);
        case_check_batch(make_norm, &p, case_between(2, 5), p.gradient ? 2 : 1);
    }
}

int main(void) {
    RUN(test_norm);
    RUN(test_gradient);
    RUN(test_an_image_alone_and_in_a_batch);
    return TEST_RESULT();
}
#else
#include "test.h"
int main(void) { return TEST_RESULT(); }
#endif
