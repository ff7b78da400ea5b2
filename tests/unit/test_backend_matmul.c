/* MATMUL of the XNNPACK backend against the plain loop: constant and computed matrices, batches, transposition, bias, clamp. */
#ifdef NAC_HAVE_XNNPACK
#include "backend_case.h"

typedef struct product {
    int rank, lead[4], M, K, N; /* lead: the dims in front of the matrices */
    bool flat_b, constant_b, transpose_a, transpose_b, bias;
    float min, max;
} product;

/* N counts the first leading dim, or the rows of rank 2. */
static int make_product(backend_case *c, int batch, const void *parameters) {
    product p = *(const product *)parameters;
    *c = case_make(NAC_OP_MATMUL);
    c->node.u.matmul.transpose_a = p.transpose_a;
    c->node.u.matmul.transpose_b = p.transpose_b;
    c->node.min = p.min;
    c->node.max = p.max;
    if (p.rank > 2)
        p.lead[0] = batch;
    else
        p.M = batch;
    int a[6], b[6], y[6], r = p.rank - 2;
    for (int i = 0; i < r; ++i) a[i] = b[i] = y[i] = p.lead[i];
    a[r] = p.transpose_a ? p.K : p.M, a[r + 1] = p.transpose_a ? p.M : p.K;
    b[r] = p.transpose_b ? p.N : p.K, b[r + 1] = p.transpose_b ? p.K : p.N;
    y[r] = p.M, y[r + 1] = p.N;
    case_input(c, false, p.rank, a, -1, 1);
    case_input(c, p.constant_b, p.flat_b ? 2 : p.rank, p.flat_b ? b + r : b, -1, 1);
    if (p.bias) case_input(c, p.constant_b, 1, &p.N, -1, 1);
    return case_emit(c, p.rank, y);
}

static product random_product(void) {
    product p = {.rank = case_between(2, 5), .M = case_between(1, 20), .K = case_between(1, 40), .N = case_between(1, 40), .flat_b = case_between(0, 1),
                 .transpose_a = case_between(0, 5) == 0, .transpose_b = case_between(0, 1), .bias = case_between(0, 1), .min = -INFINITY, .max = INFINITY};
    for (int i = 0; i < 4; ++i) p.lead[i] = case_between(1, 3);
    if (p.rank == 2) p.flat_b = true;
    p.constant_b = p.flat_b && case_between(0, 1);
    if (case_between(0, 3) == 0) p.min = 0;
    if (case_between(0, 3) == 0) p.max = 1;
    if (case_between(0, 3) == 0) p.M = 1;
    return p;
}

static void test_products(void) {
    for (int i = 0; i < 800; ++i) {
        product p = random_product();
        backend_case c;
        int output = make_product(&c, p.rank > 2 ? p.lead[0] : p.M, &p);
        case_check(&c, output, p.K + 2, 1e-30);
    }
}

static void test_an_image_alone_and_in_a_batch(void) {
    for (int i = 0; i < 200; ++i) {
        product p = random_product();
        if (p.rank == 2) p.transpose_a = false; /* rows aren't contiguous there */
        p.K = case_between(1, 400);
        case_check_batch(make_product, &p, case_between(2, 7), p.flat_b ? 1 : 2);
    }
}

int main(void) {
    RUN(test_products);
    RUN(test_an_image_alone_and_in_a_batch);
    return TEST_RESULT();
}
#else
#include "test.h"
int main(void) { return TEST_RESULT(); }
#endif
