/* Element-wise operators of the XNNPACK backend against the plain loops and against libm. */
#ifdef NAC_HAVE_XNNPACK
#include "backend/exponential.h"
#include "backend_case.h"

static void random_dims(int rank, int *dims) {
    for (int i = 0; i < rank; ++i) dims[i] = case_between(0, 3) ? case_between(1, 7) : 1;
    if (case_between(0, 3) == 0) dims[rank - 1] = case_between(8, 70);
}

static void random_clamp(nac_node *node) {
    if (case_between(0, 2) == 0) node->min = case_between(0, 1) ? 0 : -0.5f;
    if (case_between(0, 2) == 0) node->max = 0.75f;
}

/* One operation, rounded once: exactly the plain loop's. */
static void test_binary(void) {
    for (int i = 0; i < 600; ++i) {
        backend_case c = case_make(NAC_OP_BINARY);
        c.node.u.binary.kind = (nac_binary)case_between(0, NAC_BINARY_COUNT - 1);
        random_clamp(&c.node);
        int rank = case_between(1, 6), out[6], a[6], b[6];
        random_dims(rank, out);
        for (int k = 0; k < rank; ++k) {
            int which = case_between(0, 5);
            a[k] = which == 0 ? 1 : out[k];
            b[k] = which == 1 ? 1 : out[k];
        }
        case_input(&c, false, rank, a, -2, 2);
        case_input(&c, case_between(0, 1), rank, b, 0.5f, 2);
        case_check(&c, case_emit(&c, rank, out), 0, 0);
    }
}

static void test_expand(void) {
    for (int i = 0; i < 300; ++i) {
        backend_case c = case_make(NAC_OP_EXPAND);
        c.node.u.expand.scale = test_uniform(&case_seed);
        random_clamp(&c.node);
        int rank = case_between(1, 6), out[6], x[6];
        random_dims(rank, out);
        for (int k = 0; k < rank; ++k) x[k] = case_between(0, 1) ? 1 : out[k];
        case_input(&c, false, rank, x, -2, 2);
        case_check(&c, case_emit(&c, rank, out), 1, 0);
    }
}

static void test_affine(void) {
    for (int i = 0; i < 200; ++i) {
        backend_case c = case_make(NAC_OP_AFFINE);
        random_clamp(&c.node);
        int rank = case_between(2, 4), dims[6];
        random_dims(rank, dims);
        case_input(&c, false, rank, dims, -2, 2);
        case_input(&c, true, 1, &dims[rank - 1], -2, 2);
        case_input(&c, true, 1, &dims[rank - 1], -2, 2);
        case_check(&c, case_emit(&c, rank, dims), 3, 1e-30);
    }
}

static void test_clamp_gradient(void) {
    for (int i = 0; i < 200; ++i) {
        backend_case c = case_make(NAC_OP_CLAMP_GRAD);
        int rank = case_between(1, 4), dims[6];
        random_dims(rank, dims);
        float *y = case_input(&c, false, rank, dims, -1, 7);
        nac_shape shape = nac_shape_make(rank, dims);
        c.node.min = 0;
        c.node.max = case_between(0, 1) ? 6 : INFINITY;
        for (size_t k = 0; k < nac_elements(&shape); ++k) y[k] = y[k] < 0 ? 0 : y[k] > c.node.max ? c.node.max : y[k]; /* its clamp's own bounds */
        case_input(&c, false, rank, dims, -1, 1);
        case_check(&c, case_emit(&c, rank, dims), 0, 0);
    }
}

/* How far a kernel may be from the plain loop, which is libm rounded once: `relative` to f, or to f' * dy, and `absolute`. The
 * polynomials of XNNPACK's sigmoid, elu and tanh and of exponential.h are a few ulp (2^-24 = 6e-8) off. */
static void check_unary(nac_unary kind, bool gradient, float a, float b, float low, float high, double relative, double absolute) {
    for (int i = 0; i < 20; ++i) {
        backend_case c = case_make(gradient ? NAC_OP_UNARY_GRAD : NAC_OP_UNARY);
        c.node.u.unary.kind = kind;
        c.node.u.unary.a = a;
        c.node.u.unary.b = b;
        if (i % 4 == 3) c.node.max = 0.3f;
        const int dims[1] = {case_between(1, 700)};
        float *x = case_input(&c, false, 1, dims, low, high);
        if (low < 0 && high > 0) x[0] = 0, x[dims[0] / 2] = a, x[dims[0] / 3] = b;
        if (gradient) case_input(&c, false, 1, dims, -1, 1);
        int output = case_emit(&c, 1, dims);
        float *expected = case_expected(&c, output, false);
        case_run(&c, output);
        for (int k = 0; k < dims[0]; ++k) {
            float found = ((float *)c.graph.values[output].data)[k];
            double tolerance = absolute + relative * fabs((double)expected[k]);
            if (!(fabs((double)found - (double)expected[k]) <= tolerance)) printf("kind %d, gradient %d, x = %.9g\n", (int)kind, gradient, (double)x[k]);
            ENSURE_NEAR(found, expected[k], tolerance);
        }
        free(expected);
        case_free(&c);
    }
}

static void test_unary(void) {
    check_unary(NAC_UNARY_CLAMP, false, 0, 6, -8, 8, 0, 0);
    check_unary(NAC_UNARY_LEAKY_RELU, false, 0.01f, 0, -8, 8, 0, 0);
    check_unary(NAC_UNARY_LEAKY_RELU, false, -0.3f, 0, -8, 8, 0, 0);
    check_unary(NAC_UNARY_ELU, false, 1, 0, -20, 8, 4e-7, 0);
    check_unary(NAC_UNARY_SIGMOID, false, 0, 0, -20, 20, 4e-7, 0);
    check_unary(NAC_UNARY_SIGMOID, false, 0, 0, -200, 200, 4e-7, 1e-37);
    check_unary(NAC_UNARY_HARD_SIGMOID, false, 0.2f, 0.5f, -8, 8, 0, 0);
    check_unary(NAC_UNARY_HARD_SWISH, false, 0, 0, -8, 8, 3e-7, 2e-7); /* cancels near -3 */
    check_unary(NAC_UNARY_TANH, false, 0, 0, -12, 12, 4e-7, 0);
    check_unary(NAC_UNARY_TANH, false, 0, 0, -1e-3f, 1e-3f, 4e-7, 0);
    check_unary(NAC_UNARY_ERF, false, 0, 0, -6, 6, 4e-7, 0);
    check_unary(NAC_UNARY_ERF, false, 0, 0, -1e-3f, 1e-3f, 4e-7, 0);
    check_unary(NAC_UNARY_EXP, false, 0, 0, -80, 80, 4e-7, 0);
    check_unary(NAC_UNARY_LOG, false, 0, 0, 1e-3f, 100, 4e-7, 0);
    check_unary(NAC_UNARY_SQRT, false, 0, 0, 0, 100, 0, 0);
    check_unary(NAC_UNARY_ABS, false, 0, 0, -8, 8, 0, 0);
    check_unary(NAC_UNARY_NEG, false, 0, 0, -8, 8, 0, 0);
    check_unary(NAC_UNARY_RECIPROCAL, false, 0, 0, 0.1f, 8, 0, 0);
    check_unary(NAC_UNARY_POW, false, 2, 0, -8, 8, 2e-7, 0);
    check_unary(NAC_UNARY_POW, false, 0.5f, 0, 0, 8, 4e-7, 0);
    check_unary(NAC_UNARY_SOFTPLUS, false, 0, 0, -20, 20, 4e-7, 0);
    check_unary(NAC_UNARY_SWISH, false, 0, 0, -20, 20, 5e-7, 0);
    check_unary(NAC_UNARY_GELU, false, 0.5f, 0, -8, 8, 6e-7, 8 * 2.5e-7); /* 1 + erf cancels: 4 ulp of 1, times x / 2 */
    check_unary(NAC_UNARY_GELU_TANH, false, 0.5f, 0, -4, 4, 3e-6, 0);      /* the rounding of an argument of -11 is 1e-6 of its exponential */
}

static void test_unary_gradients(void) {
    check_unary(NAC_UNARY_CLAMP, true, 0, 6, -8, 8, 0, 0);
    check_unary(NAC_UNARY_LEAKY_RELU, true, 0.01f, 0, -8, 8, 0, 0);
    check_unary(NAC_UNARY_ELU, true, 1, 0, -20, 8, 6e-7, 0);
    check_unary(NAC_UNARY_SIGMOID, true, 0, 0, -20, 20, 1e-6, 0);
    check_unary(NAC_UNARY_HARD_SIGMOID, true, 0.2f, 0.5f, -8, 8, 0, 0);
    check_unary(NAC_UNARY_HARD_SWISH, true, 0, 0, -8, 8, 3e-7, 1e-7);
    check_unary(NAC_UNARY_TANH, true, 0, 0, -4, 4, 1e-6, 1e-9);
    check_unary(NAC_UNARY_ERF, true, 0, 0, -4, 4, 2e-6, 0); /* the rounding of x^2 <= 16 is 1e-6 of the exponential */
    check_unary(NAC_UNARY_EXP, true, 0, 0, -80, 80, 4e-7, 0);
    check_unary(NAC_UNARY_LOG, true, 0, 0, 1e-3f, 100, 2e-7, 0);
    check_unary(NAC_UNARY_SQRT, true, 0, 0, 0.01f, 100, 4e-7, 0);
    check_unary(NAC_UNARY_ABS, true, 0, 0, -8, 8, 0, 0);
    check_unary(NAC_UNARY_NEG, true, 0, 0, -8, 8, 0, 0);
    check_unary(NAC_UNARY_RECIPROCAL, true, 0, 0, 0.1f, 8, 4e-7, 0);
    check_unary(NAC_UNARY_POW, true, 2, 0, -8, 8, 2e-7, 0);
    check_unary(NAC_UNARY_SOFTPLUS, true, 0, 0, -20, 20, 6e-7, 0);
    check_unary(NAC_UNARY_SWISH, true, 0, 0, -20, 20, 1e-6, 1e-6); /* both terms are below 1.1, and cancel at -1.28 */
    check_unary(NAC_UNARY_GELU, true, 0.5f, 0, -8, 8, 1e-6, 1e-6);
    check_unary(NAC_UNARY_GELU_TANH, true, 0.5f, 0, -8, 8, 1e-6, 1e-6);
}

static float nac_expf(float x) { return nac_exp4(nac_splat4(x))[0]; }
static float nac_erff(float x) { return nac_erf4(nac_splat4(x))[0]; }

static void test_exponential(void) {
    for (float x = -87.2f; x < 88.7f; x += 0.001f) ENSURE_NEAR(nac_expf(x), exp((double)x), 2.5e-7 * exp((double)x));
    for (float x = -7; x < 7; x += 0.0001f) ENSURE_NEAR(nac_erff(x), erf((double)x), 4e-7 * fabs(erf((double)x)));
    ENSURE(nac_expf(0) == 1);
    ENSURE(nac_expf(1000) == INFINITY && nac_expf(INFINITY) == INFINITY);
    ENSURE(nac_expf(-1000) < 2e-38f && nac_expf(-INFINITY) < 2e-38f);
    ENSURE(isnan(nac_expf(NAN)) && isnan(nac_erff(NAN)));
    ENSURE(nac_erff(INFINITY) == 1 && nac_erff(-INFINITY) == -1);
}

/* The rows of a batch are the same whatever comes before them in a vector. */
typedef struct element_wise {
    nac_op op;
    nac_unary kind;
} element_wise;

static int make_element_wise(backend_case *c, int N, const void *parameters) {
    const element_wise *p = parameters;
    *c = case_make(p->op);
    c->node.u.unary.kind = p->kind;
    c->node.u.unary.a = 0.25f;
    c->node.u.unary.b = 0.5f;
    const int dims[3] = {N, 3, 5};
    case_input(c, false, 3, dims, 0.1f, 2);
    if (p->op == NAC_OP_UNARY_GRAD) case_input(c, false, 3, dims, -1, 1);
    return case_emit(c, 3, dims);
}

static void test_an_image_alone_and_in_a_batch(void) {
    for (int kind = 0; kind < NAC_UNARY_COUNT; ++kind)
        for (int gradient = 0; gradient < 2; ++gradient) {
            element_wise p = {gradient ? NAC_OP_UNARY_GRAD : NAC_OP_UNARY, (nac_unary)kind};
            for (int N = 2; N < 6; ++N) case_check_batch(make_element_wise, &p, N, 2);
        }
}

/* Where the plan lets an operator write over an input, the result is the same bits. */
static void check_in_place(backend_case *c, int rank, const int *dims, int slot) {
    int output = case_emit(c, rank, dims);
    size_t count = nac_elements(&c->graph.values[output].shape);
    case_run(c, output);
    float *apart = case_copy(c->graph.values[output].data, count);
    c->graph.values[output].data = c->graph.values[c->inputs[slot]].data;
    nac_xnnpack *backend;
    ENSURE_OK(nac_xnnpack_create(&c->graph, &backend, &case_error), &case_error);
    ENSURE_OK(nac_xnnpack_run(backend, 0, &case_error), &case_error);
    nac_xnnpack_destroy(backend);
    ENSURE(memcmp(c->graph.values[output].data, apart, count * sizeof(float)) == 0);
    free(apart);
    case_free(c);
}

static void test_in_place(void) {
    for (int i = 0; i < 300; ++i) {
        const int dims[2] = {case_between(1, 5), case_between(1, 70)}, row[2] = {1, dims[1]}, column[2] = {dims[0], 1};
        for (int slot = 0; slot < 2; ++slot) {
            backend_case c = case_make(NAC_OP_BINARY);
            c.node.u.binary.kind = (nac_binary)case_between(0, NAC_BINARY_COUNT - 1);
            c.node.min = -0.5f;
            const int *others[3] = {dims, row, column}, *other = others[case_between(0, 2)];
            case_input(&c, false, 2, slot == 0 ? dims : other, -2, 2);
            case_input(&c, false, 2, slot == 1 ? dims : other, 0.5f, 2);
            check_in_place(&c, 2, dims, slot);
        }
        backend_case c = case_make(NAC_OP_CLAMP_GRAD);
        c.node.min = 0;
        case_input(&c, false, 2, dims, -1, 1);
        case_input(&c, false, 2, dims, -1, 1);
        check_in_place(&c, 2, dims, 1);
        for (int gradient = 0; gradient < 2; ++gradient) {
            c = case_make(gradient ? NAC_OP_UNARY_GRAD : NAC_OP_UNARY);
            c.node.u.unary.kind = (nac_unary)(i % NAC_UNARY_COUNT);
            c.node.u.unary.a = c.node.u.unary.kind == NAC_UNARY_CLAMP ? 0.2f : 0.5f;
            c.node.u.unary.b = 1;
            case_input(&c, false, 2, dims, 0.1f, 2);
            if (gradient) case_input(&c, false, 2, dims, -1, 1);
            check_in_place(&c, 2, dims, gradient);
        }
    }
}

int main(void) {
    RUN(test_in_place);
    RUN(test_binary);
    RUN(test_expand);
    RUN(test_affine);
    RUN(test_clamp_gradient);
    RUN(test_unary);
    RUN(test_unary_gradients);
    RUN(test_exponential);
    RUN(test_an_image_alone_and_in_a_batch);
    return TEST_RESULT();
}
#else
#include "test.h"
/* Where the plan lets an operator write over an input, the result is the same bits. */
static void check_in_place(backend_case *c, int rank, const int *dims, int slot) {
    int output = case_emit(c, rank, dims);
    size_t count = nac_elements(&c->graph.values[output].shape);
    case_run(c, output);
    float *apart = case_copy(c->graph.values[output].data, count);
    c->graph.values[output].data = c->graph.values[c->inputs[slot]].data;
    nac_xnnpack *backend;
    ENSURE_OK(nac_xnnpack_create(&c->graph, &backend, &case_error), &case_error);
    ENSURE_OK(nac_xnnpack_run(backend, 0, &case_error), &case_error);
    nac_xnnpack_destroy(backend);
    ENSURE(memcmp(c->graph.values[output].data, apart, count * sizeof(float)) == 0);
    free(apart);
    case_free(c);
}

static void test_in_place(void) {
    for (int i = 0; i < 300; ++i) {
        const int dims[2] = {case_between(1, 5), case_between(1, 70)}, row[2] = {1, dims[1]}, column[2] = {dims[0], 1};
        for (int slot = 0; slot < 2; ++slot) {
            backend_case c = case_make(NAC_OP_BINARY);
            c.node.u.binary.kind = (nac_binary)case_between(0, NAC_BINARY_COUNT - 1);
            c.node.min = -0.5f;
            const int *others[3] = {dims, row, column}, *other = others[case_between(0, 2)];
            case_input(&c, false, 2, slot == 0 ? dims : other, -2, 2);
            case_input(&c, false, 2, slot == 1 ? dims : other, 0.5f, 2);
            check_in_place(&c, 2, dims, slot);
        }
        backend_case c = case_make(NAC_OP_CLAMP_GRAD);
        c.node.min = 0;
        case_input(&c, false, 2, dims, -1, 1);
        case_input(&c, false, 2, dims, -1, 1);
        check_in_place(&c, 2, dims, 1);
        for (int gradient = 0; gradient < 2; ++gradient) {
            c = case_make(gradient ? NAC_OP_UNARY_GRAD : NAC_OP_UNARY);
            c.node.u.unary.kind = (nac_unary)(i % NAC_UNARY_COUNT);
            c.node.u.unary.a = c.node.u.unary.kind == NAC_UNARY_CLAMP ? 0.2f : 0.5f;
            c.node.u.unary.b = 1;
            case_input(&c, false, 2, dims, 0.1f, 2);
            if (gradient) case_input(&c, false, 2, dims, -1, 1);
            check_in_place(&c, 2, dims, gradient);
        }
    }
}

int main(void) {
    RUN(test_in_place); return TEST_RESULT(); }
#endif
