/* REDUCE, SOFTMAX and its gradient in the XNNPACK backend against the plain loops. */
#ifdef NAC_HAVE_XNNPACK
#include "backend_case.h"

/* Sums are taken in float32 blocks of 8 terms: the error doesn't grow with the length. 8 roundings in a block, one at the end. */
enum { BLOCK_TERMS = 9 };

static void test_reduce(void) {
    for (int i = 0; i < 600; ++i) {
        backend_case c = case_make(NAC_OP_REDUCE);
        int rank = case_between(1, 5), x[6], y[6];
        for (int k = 0; k < rank; ++k) {
            x[k] = case_between(0, 5) ? case_between(1, 9) : 1;
            c.node.u.reduce.axes[k] = case_between(0, 1);
            y[k] = c.node.u.reduce.axes[k] ? 1 : x[k];
        }
        int large = case_between(0, 2 * rank - 1);
        if (large < rank) x[large] = case_between(30, 150), y[large] = c.node.u.reduce.axes[large] ? 1 : x[large];
        c.node.u.reduce.scale = case_between(0, 1) ? 1 : 0.125f;
        if (case_between(0, 3) == 0) c.node.min = 0;
        case_input(&c, false, rank, x, -1, 1);
        case_check(&c, case_emit(&c, rank, y), BLOCK_TERMS, 1e-30);
    }
}

/* The taps of a large early layer, all of one sign: what a float32 sum in order would lose 1e-4 of. */
static void test_long_sums(void) {
    for (int axis = 1; axis <= 3; axis += 2) {
        backend_case c = case_make(NAC_OP_REDUCE);
        int x[4] = {2, 112, 112, 67}, y[4] = {2, 1, 1, 67};
        if (axis == 3) x[1] = 67, x[2] = 1, x[3] = 12544, y[1] = 67, y[3] = 1;
        c.node.u.reduce.axes[axis] = c.node.u.reduce.axes[2] = true;
        c.node.u.reduce.scale = 1;
        case_input(&c, false, 4, x, 0, 1);
        case_check(&c, case_emit(&c, 4, y), BLOCK_TERMS, 0);
    }
}

static int make_reduce(backend_case *c, int N, const void *parameters) {
    const int *p = parameters, x[4] = {N, p[0], p[1], p[2]}, y[4] = {N, 1, 1, p[2]};
    *c = case_make(NAC_OP_REDUCE);
    c->node.u.reduce.axes[1] = c->node.u.reduce.axes[2] = true;
    c->node.u.reduce.scale = 1;
    case_input(c, false, 4, x, -1, 1);
    return case_emit(c, 4, y);
}

static int make_softmax(backend_case *c, int N, const void *parameters) {
    const int *p = parameters, x[4] = {N, p[0], p[1], p[2]};
    *c = case_make(p[3] ? NAC_OP_SOFTMAX_GRAD : NAC_OP_SOFTMAX);
    c->node.u.softmax.axis = p[4];
    case_input(c, false, 4, x, p[3] ? 0 : -10, p[3] ? 1 : 10);
    if (p[3]) case_input(c, false, 4, x, -1, 1);
    return case_emit(c, 4, x);
}

static void test_softmax(void) {
    for (int i = 0; i < 300; ++i) {
        const int p[5] = {case_between(1, 5), case_between(1, 5), case_between(1, 100), 0, case_between(1, 3)};
        backend_case c;
        int output = make_softmax(&c, case_between(1, 3), p);
        /* exp within 2 ulp, a sum of at most 100 positive terms, one division: 105 * 2^-24 of a number <= 1. */
        case_check(&c, output, 0, 105 * ldexp(1, -24));
    }
}

/* y * (dy - sum(y * dy)) with y, |dy| <= 1: the sum has at most 100 terms. */
static void test_softmax_gradient(void) {
    for (int i = 0; i < 300; ++i) {
        const int p[5] = {case_between(1, 5), case_between(1, 5), case_between(1, 100), 1, case_between(1, 3)};
        backend_case c;
        int output = make_softmax(&c, case_between(1, 3), p);
        case_check(&c, output, 0, (BLOCK_TERMS + 3) * 100 * ldexp(1, -24));
    }
}

static void test_an_image_alone_and_in_a_batch(void) {
    for (int i = 0; i < 60; ++i) {
        const int p[5] = {case_between(1, 9), case_between(1, 9), case_between(1, 100), i % 2, 3};
        case_check_batch(make_reduce, p, case_between(2, 5), 1);
        case_check_batch(make_softmax, p, case_between(2, 5), 2);
    }
}

int main(void) {
    RUN(test_reduce);
    RUN(test_long_sums);
    RUN(test_softmax);
    RUN(test_softmax_gradient);
    RUN(test_an_image_alone_and_in_a_batch);
    return TEST_RESULT();
}
#else
#include "test.h"
int main(void) { return TEST_RESULT(); }
#endif
