/* Pooling and its gradients in the XNNPACK backend against the plain loops. */
#ifdef NAC_HAVE_XNNPACK
#include "backend_case.h"

typedef struct pool {
    nac_op op;
    int H, W, C;
    nac_window window;
    bool count_include_pad, ceil;
    float min, max;
} pool;

static int out_size(int in, int kernel, int stride, int dilation, int before, int after, bool ceil) {
    int room = in + before + after - (kernel - 1) * dilation - 1, out = room / stride + 1;
    if (ceil && room % stride && out * stride < in + before) ++out; /* PyTorch: the last window starts inside */
    return out;
}

static int make_pool(backend_case *c, int N, const void *parameters) {
    const pool *p = parameters;
    const nac_window *v = &p->window;
    *c = case_make(p->op);
    c->node.u.pool.window = *v;
    c->node.u.pool.count_include_pad = p->count_include_pad;
    c->node.min = p->min;
    c->node.max = p->max;
    const int x[4] = {N, p->H, p->W, p->C};
    const int y[4] = {N, out_size(p->H, v->kernel_h, v->stride_h, v->dilation_h, v->pad_top, v->pad_bottom, p->ceil),
                      out_size(p->W, v->kernel_w, v->stride_w, v->dilation_w, v->pad_left, v->pad_right, p->ceil), p->C};
    bool forward = p->op == NAC_OP_MAX_POOL || p->op == NAC_OP_AVERAGE_POOL;
    if (p->op != NAC_OP_MAX_POOL_GRAD) {
        case_input(c, false, 4, forward ? x : y, -1, 1);
        return case_emit(c, 4, forward ? y : x);
    }
    /* y must be x's maxima, with ties: few different numbers. */
    float *data = case_input(c, false, 4, x, -1, 1);
    for (int i = 0; i < N * p->H * p->W * p->C; ++i) data[i] = floorf(data[i] * 4);
    float *maxima = case_input(c, false, 4, y, -1, 1);
    case_input(c, false, 4, y, -1, 1);
    int output = case_emit(c, 4, x);
    nac_graph forward_graph = c->graph;
    nac_node node = c->graph.nodes[0];
    node.op = NAC_OP_MAX_POOL;
    node.output = c->inputs[1];
    nac_ops[NAC_OP_MAX_POOL].run(&forward_graph, &node);
    ENSURE(!isnan(maxima[0]));
    return output;
}

static pool random_pool(nac_op op) {
    for (;;) {
        pool p = {.op = op, .H = case_between(1, 15), .W = case_between(1, 15), .C = case_between(1, 3) == 1 ? case_between(60, 140) : case_between(1, 30),
                  .min = -INFINITY, .max = INFINITY, .count_include_pad = case_between(0, 1), .ceil = case_between(0, 1)};
        nac_window *v = &p.window;
        *v = (nac_window){case_between(1, 5), case_between(1, 5), case_between(1, 3), case_between(1, 3), 1, 1, 0, 0, 0, 0};
        bool maximum = op == NAC_OP_MAX_POOL || op == NAC_OP_MAX_POOL_GRAD;
        if (maximum && case_between(0, 3) == 0) v->dilation_h = case_between(1, 3), v->dilation_w = case_between(1, 3);
        if (case_between(0, 2)) { /* less than the window, as ONNX demands */
            v->pad_top = case_between(0, v->kernel_h - 1), v->pad_bottom = case_between(0, v->kernel_h - 1);
            v->pad_left = case_between(0, v->kernel_w - 1), v->pad_right = case_between(0, v->kernel_w - 1);
        }
        if (op == NAC_OP_MAX_POOL && case_between(0, 3) == 0) p.min = 0, p.max = 0.9f;
        if (p.H + v->pad_top + v->pad_bottom >= (v->kernel_h - 1) * v->dilation_h + 1 &&
            p.W + v->pad_left + v->pad_right >= (v->kernel_w - 1) * v->dilation_w + 1)
            return p;
    }
}

static void check_many(nac_op op) {
    for (int i = 0; i < 500; ++i) {
        pool p = random_pool(op);
        backend_case c;
        int N = case_between(1, 3), output = make_pool(&c, N, &p);
        const nac_window *v = &p.window;
        /* Maxima are exact, and so are sums of a dy that no window shares. */
        double terms = op == NAC_OP_MAX_POOL ? 0 : v->kernel_h * v->kernel_w + 3;
        if (op == NAC_OP_MAX_POOL_GRAD) { /* the plain loop for absolute values would choose other winners */
            case_check(&c, output, 0, terms * ldexp(1, -24) * terms);
            continue;
        }
        case_check(&c, output, terms, op == NAC_OP_MAX_POOL ? 0 : 1e-30);
    }
    for (int i = 0; i < 60; ++i) {
        pool p = random_pool(op);
        case_check_batch(make_pool, &p, case_between(2, 5), 3);
    }
}

static void test_max_pool(void) { check_many(NAC_OP_MAX_POOL); }
static void test_max_pool_gradient(void) { check_many(NAC_OP_MAX_POOL_GRAD); }
static void test_average_pool(void) { check_many(NAC_OP_AVERAGE_POOL); }
static void test_average_pool_gradient(void) { check_many(NAC_OP_AVERAGE_POOL_GRAD); }

int main(void) {
    RUN(test_max_pool);
    RUN(test_max_pool_gradient);
    RUN(test_average_pool);
    RUN(test_average_pool_gradient);
    return TEST_RESULT();
}
#else
#include "test.h"
int main(void) { return TEST_RESULT(); }
#endif
