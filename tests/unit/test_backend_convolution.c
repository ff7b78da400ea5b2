/* CONV and CONV_GRAD of the XNNPACK backend against the plain loops: every kernel that they are divided between. */
#ifdef NAC_HAVE_XNNPACK
#include "backend_case.h"
#include "winograd_error.h"

typedef struct convolution {
    int N, H, W, groups, in, out; /* channels a group */
    nac_window window;
    bool bias, gradient;
    float min, max;
    bool rectified; /* the input is a ReLU's or its gradient's, */
    int zeros;      /* of four numbers, so many are zero */
} convolution;

static int out_size(int in, int kernel, int stride, int dilation, int before, int after) {
    return (in + before + after - (kernel - 1) * dilation - 1) / stride + 1;
}

static int rows_of(const convolution *p) {
    const nac_window *v = &p->window;
    return out_size(p->H, v->kernel_h, v->stride_h, v->dilation_h, v->pad_top, v->pad_bottom);
}

static int columns_of(const convolution *p) {
    const nac_window *v = &p->window;
    return out_size(p->W, v->kernel_w, v->stride_w, v->dilation_w, v->pad_left, v->pad_right);
}

static int make_convolution(backend_case *c, int N, const void *parameters) {
    const convolution *p = parameters;
    const nac_window *v = &p->window;
    *c = case_make(p->gradient ? NAC_OP_CONV_GRAD : NAC_OP_CONV);
    c->node.u.conv.window = *v;
    c->node.u.conv.groups = p->groups;
    c->node.min = p->min;
    c->node.max = p->max;
    int Ci = p->groups * p->in, Co = p->groups * p->out;
    const int x[4] = {N, p->H, p->W, Ci}, w[4] = {Co, v->kernel_h, v->kernel_w, p->in};
    const int y[4] = {N, rows_of(p), columns_of(p), Co};
    if (p->rectified) case_rectified_input(c, p->gradient, 4, p->gradient ? y : x, p->zeros);
    else case_input(c, false, 4, p->gradient ? y : x, -1, 1);
    case_input(c, true, 4, w, -1, 1);
    if (p->bias) case_input(c, true, 1, &Co, -1, 1);
    return case_emit(c, 4, p->gradient ? x : y);
}

static double terms_of(const convolution *p) {
    return p->window.kernel_h * p->window.kernel_w * (p->gradient ? p->out : p->in) + 2;
}

static void check(const convolution *p) {
    backend_case c;
    int output = make_convolution(&c, p->N, p);
    ENSURE(p->window.kernel_h > 0);
    const nac_convolution sizes = {.window = p->window, .N = p->N, .H = p->H, .W = p->W, .Ci = p->groups * p->in, .OH = rows_of(p), .OW = columns_of(p),
                                   .Co = p->groups * p->out, .groups = p->groups, .zeros = p->rectified};
    if (nac_winograd.takes(&sizes) && !nac_direct.takes(&sizes) && !nac_sparse.takes(&sizes)) case_check(&c, output, 0, winograd_error(&sizes, p->gradient));
    else case_check(&c, output, terms_of(p), 1e-30);
}

/* Sizes, pads and strides of any kind that leave at least one output; pads may exceed the window. */
static convolution random_convolution(bool gradient, int kernel_max) {
    for (;;) {
        convolution p = {.N = case_between(1, 3), .H = case_between(1, 17), .W = case_between(1, 17), .groups = 1, .in = case_between(1, 20),
                         .out = case_between(1, 20), .gradient = gradient, .bias = !gradient && case_between(0, 1), .min = -INFINITY, .max = INFINITY};
        p.window = (nac_window){case_between(1, kernel_max), case_between(1, kernel_max), case_between(1, 3), case_between(1, 3),
                                case_between(1, 3) == 3 ? 2 : 1, case_between(1, 3) == 3 ? 3 : 1,
                                case_between(0, 3), case_between(0, 3), case_between(0, 3), case_between(0, 3)};
        if (case_between(0, 2) == 0) p.window.stride_w = p.window.stride_h = 1;
        if (case_between(0, 2) == 0) p.window.pad_top = p.window.pad_left = p.window.pad_bottom = p.window.pad_right = 0;
        if (!gradient && case_between(0, 2) == 0) p.min = 0;
        if (!gradient && case_between(0, 2) == 0) p.max = 0.5f;
        const nac_window *v = &p.window;
        if (p.H + v->pad_top + v->pad_bottom >= (v->kernel_h - 1) * v->dilation_h + 1 &&
            p.W + v->pad_left + v->pad_right >= (v->kernel_w - 1) * v->dilation_w + 1)
            return p;
    }
}

static void check_many(bool gradient) {
    for (int i = 0; i < 12; ++i) { /* Winograd's of stride 2; small ones are tested without the backend */
        convolution p = random_convolution(gradient, 3);
        p.N = case_between(1, 2), p.H = case_between(15, 22), p.W = case_between(15, 22);
        p.window = (nac_window){3, 3, 2, 2, 1, 1, case_between(0, 2), case_between(0, 2), case_between(0, 2), case_between(0, 2)};
        p.in = 4 * case_between(16, 18), p.out = 4 * case_between(16, 18);
        check(&p);
    }
    for (int i = 0; i < 300; ++i) { /* Winograd's of stride 1 */
        convolution p = random_convolution(gradient, 3);
        p.window = (nac_window){3, 3, 1, 1, 1, 1, case_between(0, 2), case_between(0, 2), case_between(0, 3), case_between(0, 3)};
        p.H += 2, p.W += 2;
        p.in = 4 * case_between(1, 7), p.out = 4 * case_between(1, 7);
        check(&p);
    }
    for (int i = 0; i < 60; ++i) { /* few pixels; strides, dilations and pads of any kind */
        convolution p = random_convolution(gradient, 3);
        p.window.kernel_h = p.window.kernel_w = 3;
        p.in = 4 * case_between(43, 48), p.out = 4 * case_between(43, 48);
        p.H = case_between(1, 12), p.W = case_between(1, 9);
        const nac_window *v = &p.window;
        const bool fits = p.H + v->pad_top + v->pad_bottom > 2 * v->dilation_h && p.W + v->pad_left + v->pad_right > 2 * v->dilation_w;
        if (fits && rows_of(&p) * columns_of(&p) <= 25) check(&p);
    }
    for (int i = 0; i < 30; ++i) { /* so many weights that the output channels are divided between operators */
        convolution p = random_convolution(gradient, 3);
        p.in = case_between(400, 600), p.out = case_between(15, 40);
        if (gradient) p.in = case_between(15, 40), p.out = case_between(400, 600);
        p.H = case_between(3, 8), p.W = case_between(3, 8);
        p.window = (nac_window){3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
        if (i % 3 == 0) {
            p.window = (nac_window){1, 1, 1 + i % 2, 1 + i % 2, 1, 1, 0, 0, 0, 0};
            *(gradient ? &p.in : &p.out) = case_between(140, 300);
        }
        check(&p);
    }
    for (int i = 0; i < 400; ++i) { /* dense */
        convolution p = random_convolution(gradient, 5);
        check(&p);
    }
    for (int i = 0; i < 200; ++i) { /* 1x1 */
        convolution p = random_convolution(gradient, 1);
        check(&p);
    }
    for (int i = 0; i < 20; ++i) { /* 1x1 of few pixels and many channels */
        convolution p = random_convolution(gradient, 1);
        p.window = (nac_window){1, 1, case_between(1, 2), case_between(1, 2), 1, 1, 0, 0, 0, 0};
        p.in = 4 * case_between(128, 140), p.out = 4 * case_between(128, 140);
        p.H = case_between(3 * p.window.stride_h + 1, 8 * p.window.stride_h);
        p.W = case_between(5 * p.window.stride_w + 1, 8 * p.window.stride_w);
        check(&p);
    }
    for (int i = 0; i < 60; ++i) { /* behind a ReLU; channels that fill tiles and blocks, and that do not */
        convolution p = random_convolution(gradient, 3);
        if (i % 2) p.window = (nac_window){1, 1, case_between(1, 3), case_between(1, 2), 1, 1, 0, 0, 0, 0};
        p.in = case_between(1, 9) * 32 - 4 * case_between(0, 1), p.out = case_between(1, 9) * 32 - 4 * case_between(0, 1);
        p.H = case_between(7, 12), p.W = case_between(7, 12);
        p.rectified = true, p.zeros = case_between(0, 4);
        check(&p);
    }
    for (int i = 0; i < 3; ++i) { /* more rows than are listed at a time: 32 of 64 pixels and channels */
        convolution p = random_convolution(gradient, 1);
        p.N = 2, p.H = 69, p.W = 64;
        p.window = (nac_window){3, 3, 2, 1, 1, 1, 1, 1, 1, 1};
        if (i > 0) p.window = (nac_window){1, 1, i, 1, 1, 1, 0, 0, 0, 0};
        p.in = gradient ? 32 : 64, p.out = gradient ? 64 : 32;
        p.rectified = true, p.zeros = 2;
        check(&p);
    }
    for (int i = 0; i < 100; ++i) { /* large windows, as a first layer and patch embeddings have them */
        convolution p = random_convolution(gradient, 9);
        p.in = 3;
        p.window.stride_h = p.window.stride_w = case_between(1, 8);
        check(&p);
    }
    for (int i = 0; i < 200; ++i) { /* grouped */
        convolution p = random_convolution(gradient, 3);
        p.groups = case_between(2, 5);
        check(&p);
    }
    for (int i = 0; i < 400; ++i) { /* depthwise; multiplier 1 to 3 */
        convolution p = random_convolution(gradient, 5);
        p.groups = case_between(1, 40);
        p.in = 1;
        p.out = case_between(0, 3) ? 1 : case_between(2, 3);
        check(&p);
    }
    for (int i = 0; i < 200; ++i) { /* depthwise windows that are made four at a time, and some of more taps than are summed at once */
        convolution p = random_convolution(gradient, 7);
        p.groups = case_between(1, 40);
        p.in = p.out = 1;
        p.H = case_between(9, 20), p.W = case_between(9, 20);
        p.window.kernel_w = p.window.kernel_h = case_between(1, 4) * 2 + 1;
        p.window.stride_w = case_between(1, 2);
        p.window.dilation_h = p.window.dilation_w = 1;
        check(&p);
    }
}

static void test_convolutions(void) { check_many(false); }
static void test_convolution_gradients(void) { check_many(true); }

/* The rows and columns behind the last window got nothing, so their gradient is exactly 0. */
static void test_rows_behind_the_last_window(void) {
    for (int kernel = 1; kernel <= 3; ++kernel)
        for (int depthwise = 0; depthwise < 2; ++depthwise) {
            convolution p = {.N = 1, .H = kernel + 4, .W = kernel + 4, .groups = depthwise ? 8 : 1, .in = depthwise ? 1 : 8, .out = depthwise ? 1 : 8,
                             .window = {kernel, kernel, 3, 3, 1, 1, 0, 0, 0, 0}, .gradient = true, .min = -INFINITY, .max = INFINITY};
            backend_case c;
            int output = make_convolution(&c, 1, &p);
            case_run(&c, output);
            const float *dx = c.graph.values[output].data;
            for (int k = 0; k < p.W * 8; ++k) ENSURE(dx[(p.H - 1) * p.W * 8 + k] == 0);
            case_free(&c);
        }
}

static void test_an_image_alone_and_in_a_batch(void) {
    for (int gradient = 0; gradient < 2; ++gradient)
        for (int i = 0; i < 60; ++i) {
            convolution p = random_convolution(gradient, 3);
            if (i % 3 == 1) p.window.kernel_h = p.window.kernel_w = 1;
            if (i % 3 == 2) p.groups = 13, p.in = p.out = 1;
            if (i % 20 == 0) {
                p.window = (nac_window){3, 3, 2, 2, 1, 1, 0, 1, 1, 0}, p.in = p.out = 64, p.groups = 1;
                p.H = case_between(16, 20), p.W = case_between(16, 20);
            }
            if (i % 5 == 4) p.window = (nac_window){3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, p.in = p.out = 8, p.groups = 1;
            if (i % 10 == 8) {
                p.window = (nac_window){1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, p.in = p.out = 512, p.groups = 1;
                p.H = p.W = 7;
                p.rectified = i % 20 == 8, p.zeros = 2;
            } else if (i % 4 == 3) p.H = p.W = 1, p.window.kernel_h = p.window.kernel_w = 1; /* one row a batch: other micro-kernels */
            case_check_batch(make_convolution, &p, case_between(2, 7), 1);
        }
}

/* Weights of bytes instead of floats, whose scales and zero points are as different as a file may have them. */
static int make_quantised(backend_case *c, const convolution *p) {
    const int output = make_convolution(c, p->N, p);
    nac_value *weights = &c->graph.values[c->inputs[1]];
    nac_free(weights->data);
    weights->type = NAC_Q8;
    ENSURE_OK(nac_graph_alloc_data(&c->graph, NULL, NAC_Q8, &weights->shape, &weights->data, &case_error), &case_error);
    const nac_quantised w = nac_quantised_of(weights);
    for (int o = 0; o < weights->shape.dims[0]; ++o) w.scales[o] = ldexpf(test_uniform(&case_seed) + 1.5f, -8), w.zeros[o] = (int16_t)case_between(-256, 255);
    for (size_t i = 0, count = nac_elements(&weights->shape); i < count; ++i) w.q[i] = (int8_t)case_between(-128, 127);
    return output;
}

/* Bytes give what the floats do that they stand for, bit for bit, whether a kernel keeps them or not. */
static void check_quantised(const convolution *p, bool keeps) {
    const uint64_t seed = case_seed;
    backend_case floats, bytes;
    const int output = make_quantised(&floats, p);
    ENSURE_OK(nac_graph_dequantise(&floats.graph, floats.inputs[1], &case_error), &case_error);
    case_run(&floats, output);
    case_seed = seed;
    ENSURE(make_quantised(&bytes, p) == output);
    case_run(&bytes, output);
    const nac_value *weights = &bytes.graph.values[bytes.inputs[1]], *y = &bytes.graph.values[output];
    ENSURE(strcmp(bytes.kernel, floats.kernel) == 0);
    ENSURE((weights->type == NAC_Q8) == keeps);
    ENSURE(memcmp(y->data, floats.graph.values[output].data, nac_elements(&y->shape) * sizeof(float)) == 0);
    case_free(&floats);
    case_free(&bytes);
}

static void test_quantised_weights(void) {
    for (int gradient = 0; gradient < 2; ++gradient)
        for (int i = 0; i < 60; ++i) {
            convolution p = random_convolution(gradient, 3);
            if (i % 2) p.window = (nac_window){1, 1, case_between(1, 3), case_between(1, 2), 1, 1, 0, 0, 0, 0};
            p.in = case_between(1, 9) * 32 - 4 * case_between(0, 1), p.out = case_between(1, 9) * 32 - 4 * case_between(0, 1);
            p.H = case_between(7, 12), p.W = case_between(7, 12);
            p.rectified = true, p.zeros = case_between(0, 4);
            const nac_convolution sizes = {.window = p.window, .N = p.N, .H = p.H, .W = p.W, .Ci = p.in, .OH = rows_of(&p), .OW = columns_of(&p),
                                           .Co = p.out, .groups = 1, .zeros = true};
            check_quantised(&p, nac_sparse.takes(&sizes));
        }
    for (int gradient = 0; gradient < 2; ++gradient)
        for (int i = 0; i < 60; ++i) { /* XNNPACK's, Winograd's, grouped and depthwise ones */
            convolution p = random_convolution(gradient, 3);
            if (i % 3 == 1) p.window = (nac_window){3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, p.in = p.out = 8;
            if (i % 3 == 2) p.groups = case_between(2, 12), p.in = 1, p.out = case_between(1, 2);
            check_quantised(&p, false);
        }
}

/* The same bytes for a convolution that keeps them, its gradient, which does not, and another convolution that finds what the first has made. */
static void test_shared_bytes(void) {
    const convolution p = {.N = 1, .H = 9, .W = 9, .groups = 1, .in = 32, .out = 64, .window = {3, 3, 2, 2, 1, 1, 1, 1, 1, 1}, .min = -INFINITY,
                           .max = INFINITY, .rectified = true, .zeros = 2};
    backend_case c;
    int outputs[3] = {make_quantised(&c, &p)};
    nac_graph *graph = &c.graph;
    const int x = c.inputs[0], w = c.inputs[1];
    nac_node gradient = nac_node_make(NAC_OP_CONV_GRAD, "gradient"), again = nac_node_make(NAC_OP_CONV, "again");
    gradient.u = again.u = c.node.u;
    again.min = 0;
    ENSURE_OK(nac_graph_emit(graph, gradient, (const int[]){outputs[0], w}, 2, NULL, &graph->values[x].shape, NAC_ROW_MAJOR, &outputs[1], &case_error), &case_error);
    ENSURE_OK(nac_graph_emit(graph, again, (const int[]){x, w}, 2, NULL, &graph->values[outputs[0]].shape, NAC_ROW_MAJOR, &outputs[2], &case_error), &case_error);
    for (int i = 1; i < 3; ++i) graph->values[outputs[i]].data = case_data(&c, nac_elements(&graph->values[outputs[i]].shape));
    nac_xnnpack *backend;
    ENSURE_OK(nac_xnnpack_create(graph, &backend, &case_error), &case_error);
    ENSURE(graph->values[w].data == NULL);
    const int first = graph->values[outputs[0]].producer;
    for (int i = 0; i < 3; ++i) ENSURE_OK(nac_xnnpack_run(backend, first + i, &case_error), &case_error);
    ENSURE(strcmp(nac_xnnpack_kernel_name(backend, first), "products without zeros") == 0);
    ENSURE(strcmp(nac_xnnpack_kernel_name(backend, first + 1), "products without zeros, turned") != 0);
    ENSURE(strcmp(nac_xnnpack_kernel_name(backend, first + 2), "products without zeros") == 0);
    const float *y = graph->values[outputs[0]].data, *dx = graph->values[outputs[1]].data, *z = graph->values[outputs[2]].data;
    const size_t count = nac_elements(&graph->values[outputs[0]].shape);
    bool positive = false;
    for (size_t i = 0; i < count; ++i) {
        ENSURE(z[i] == fmaxf(y[i], 0));
        positive = positive || y[i] > 0;
    }
    ENSURE(positive && isfinite(dx[0]) && dx[0] != 0);
    nac_xnnpack_destroy(backend);
    case_free(&c);
}

/* A window that two convolutions have in common is transformed for each of them where their strides differ. */
static void test_shared_window(void) {
    convolution p = {.N = 1, .H = 28, .W = 28, .groups = 1, .in = 64, .out = 64, .window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, .min = -INFINITY, .max = INFINITY};
    backend_case c;
    int outputs[2] = {make_convolution(&c, 1, &p)};
    c.node = nac_node_make(NAC_OP_CONV, "strided");
    c.node.u.conv.window = (nac_window){3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
    c.node.u.conv.groups = 1;
    outputs[1] = case_emit(&c, 4, (int[]){1, 14, 14, 64});
    float *expected[2];
    for (int i = 0; i < 2; ++i) expected[i] = case_expected(&c, outputs[i], false);
    nac_xnnpack *backend;
    ENSURE_OK(nac_xnnpack_create(&c.graph, &backend, &case_error), &case_error);
    for (int i = 0; i < 2; ++i) {
        ENSURE(strcmp(nac_xnnpack_kernel_name(backend, i), "Winograd") == 0);
        ENSURE_OK(nac_xnnpack_run(backend, i, &case_error), &case_error);
        const float *y = c.graph.values[outputs[i]].data;
        const size_t count = nac_elements(&c.graph.values[outputs[i]].shape);
        for (size_t k = 0; k < count; ++k) ENSURE_NEAR(y[k], expected[i][k], 1e-3); /* of about 10 */
        free(expected[i]);
    }
    nac_xnnpack_destroy(backend);
    case_free(&c);
}

/* The shapes whose speed matters are on fast kernels. */
static void ensure_kernel(convolution p, const char *kernel) {
    backend_case c;
    int output = make_convolution(&c, p.N, &p);
    case_run(&c, output);
    if (strcmp(c.kernel, kernel)) printf("is '%s'\n", c.kernel);
    ENSURE(strcmp(c.kernel, kernel) == 0);
    case_free(&c);
}

static void test_kernels(void) {
    convolution p = {.N = 1, .H = 14, .W = 14, .groups = 1, .in = 16, .out = 16, .window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1}, .min = -INFINITY, .max = INFINITY};
    ensure_kernel(p, "Winograd");
    p.gradient = true;
    ensure_kernel(p, "Winograd, turned");
    p.in = p.out = 64;
    p.window.stride_h = p.window.stride_w = 2;
    p.H = p.W = 28;
    ensure_kernel(p, "Winograd, turned");
    p.gradient = false;
    ensure_kernel(p, "Winograd");
    p.H = p.W = 5;
    p.in = p.out = 256;
    ensure_kernel(p, "products");
    p.window.stride_h = p.window.stride_w = 1;
    ensure_kernel(p, "products");
    p.gradient = true;
    ensure_kernel(p, "products, turned");
    p.gradient = false;
    p.window.stride_h = p.window.stride_w = 2;
    p.in = p.out = 64;
    p.H = p.W = 10; /* one more tile than a panel has */
    ensure_kernel(p, "xnn convolution");
    p.window.stride_h = p.window.stride_w = 1;
    p.gradient = true;
    p.in = 15;
    ensure_kernel(p, "xnn deconvolution");
    p.gradient = false;
    ensure_kernel(p, "xnn convolution");
    p.gradient = true;
    p.window.stride_h = p.window.stride_w = 2;
    ensure_kernel(p, "xnn deconvolution");
    p.window = (nac_window){1, 1, 2, 2, 1, 1, 0, 0, 0, 0};
    ensure_kernel(p, "xnn convolution, exchanged and spread");
    p.window.stride_h = p.window.stride_w = 1;
    ensure_kernel(p, "xnn convolution, exchanged");
    p.H = p.W = 7, p.in = 256, p.out = 1024;
    ensure_kernel(p, "products, turned");
    p.gradient = false;
    ensure_kernel(p, "products");
    p.rectified = true;
    ensure_kernel(p, "products without zeros");
    p.gradient = true;
    ensure_kernel(p, "products without zeros, turned");
    p.in = 24; /* of a tile of 32 */
    ensure_kernel(p, "xnn convolution, exchanged");
    p.in = 256, p.H = 3, p.W = 5; /* fewer than 16 pixels */
    ensure_kernel(p, "products, turned");
    p.H = p.W = 8, p.in = p.out = 32;
    p.window = (nac_window){3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
    ensure_kernel(p, "products without zeros, turned");
    p.window.stride_h = p.window.stride_w = 1;
    ensure_kernel(p, "products without zeros, turned");
    p.H = 9;
    ensure_kernel(p, "Winograd, turned");
    p.window.dilation_h = 2, p.window.pad_top = p.window.pad_bottom = 2;
    ensure_kernel(p, "products without zeros, turned");
    p.rectified = false;
    p.H = p.W = 14;
    p.groups = 16, p.in = p.out = 1;
    p.window = (nac_window){3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
    ensure_kernel(p, "loop over depthwise windows, turned");
    p.window.stride_h = p.window.stride_w = 2;
    ensure_kernel(p, "loop over depthwise gradients");
    p.gradient = false;
    ensure_kernel(p, "loop over depthwise windows");
}

/* Appends a node that reads `inputs`, all of one shape. */
static int append(nac_graph *graph, nac_node node, const int *inputs, int count) {
    int output;
    ENSURE_OK(nac_graph_emit(graph, node, inputs, count, NULL, &graph->values[inputs[0]].shape, NAC_ROW_MAJOR, &output, &case_error), &case_error);
    return output;
}

static nac_node binary(nac_binary kind) {
    nac_node node = nac_node_make(NAC_OP_BINARY, "binary");
    node.u.binary.kind = kind;
    return node;
}

/* What comes out of a ReLU is expected to be half zeros, also behind a gate and where it is only moved; not what is summed or averaged. */
static void test_where_zeros_are_expected(void) {
    nac_graph graph = {0};
    const nac_shape shape = nac_shape_make(4, (const int[]){1, 4, 4, 8});
    int x;
    ENSURE_OK(nac_graph_add_value(&graph, NULL, NAC_F32, &shape, NAC_ROW_MAJOR, &x, &case_error), &case_error);
    nac_node relu = nac_node_make(NAC_OP_UNARY, "relu"), tanh = relu;
    relu.u.unary.kind = NAC_UNARY_CLAMP, relu.u.unary.b = INFINITY;
    tanh.u.unary.kind = NAC_UNARY_TANH;
    const int y = append(&graph, relu, &x, 1), smooth = append(&graph, tanh, &x, 1);
    nac_node sum = binary(NAC_BINARY_ADD), rectified = sum;
    rectified.min = 0; /* a ReLU that fusion has made part of it */
    const int pair[2] = {y, smooth}, masked[2] = {y, x};
    ENSURE(!nac_sparse_expects_zeros(&graph, x));
    ENSURE(nac_sparse_expects_zeros(&graph, y));
    ENSURE(!nac_sparse_expects_zeros(&graph, smooth));
    ENSURE(!nac_sparse_expects_zeros(&graph, append(&graph, sum, pair, 2)));
    ENSURE(nac_sparse_expects_zeros(&graph, append(&graph, rectified, pair, 2)));
    ENSURE(nac_sparse_expects_zeros(&graph, append(&graph, binary(NAC_BINARY_MUL), pair, 2)));
    ENSURE(nac_sparse_expects_zeros(&graph, append(&graph, nac_node_make(NAC_OP_CLAMP_GRAD, "mask"), masked, 2)));
    int moved = y;
    for (int i = 0; i < 7; ++i) moved = append(&graph, nac_node_make(NAC_OP_RESHAPE, "reshape"), &moved, 1);
    ENSURE(nac_sparse_expects_zeros(&graph, moved));
    relu.u.unary.a = -1;
    ENSURE(!nac_sparse_expects_zeros(&graph, append(&graph, relu, &x, 1)));
    nac_graph_free(&graph);
}

int main(void) {
    RUN(test_kernels);
    RUN(test_where_zeros_are_expected);
    RUN(test_convolutions);
    RUN(test_convolution_gradients);
    RUN(test_rows_behind_the_last_window);
    RUN(test_quantised_weights);
    RUN(test_shared_bytes);
    RUN(test_shared_window);
    RUN(test_an_image_alone_and_in_a_batch);
    return TEST_RESULT();
}
#else
#include "test.h"
int main(void) { return TEST_RESULT(); }
#endif
