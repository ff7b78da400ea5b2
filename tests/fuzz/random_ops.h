/* random_ops.h - one function a kind of operator, included by random_graph.h: adds the operator behind x and returns its output, or
 * -1 where it does not apply (rank, size, or numbers that would be whole no longer in an exact network). The batch stays axis 0. */
#ifndef NAC_FUZZ_RANDOM_OPS_H
#define NAC_FUZZ_RANDOM_OPS_H

enum { NO_OP = -1 };

/* In an exact network nothing may reach 2^23. */
static inline bool fits(const random_graph *g, double bound) { return !g->exact || bound < 0x1p23; }

static inline bool small(int rank, const int *dims) { return count_of(rank, dims) <= MAX_ELEMENTS / 2; }

/* Numbers of the window attributes; out receives OH, OW. False where the window does not fit. */
typedef struct random_window {
    int kernel[2], strides[2], dilations[2], pads[4], out[2];
} random_window;

static inline bool choose_window(random_graph *g, const random_tensor *x, int largest_dilation, random_window *w) {
    for (int i = 0; i < 2; ++i) {
        w->kernel[i] = 1 + choose(g, 4);
        w->strides[i] = 1 + choose(g, 2);
        w->dilations[i] = 1 + choose(g, largest_dilation);
        w->pads[i] = choose(g, (w->kernel[i] + 1) / 2 + 1) % w->kernel[i];
        w->pads[i + 2] = choose(g, (w->kernel[i] + 1) / 2 + 1) % w->kernel[i];
        const int room = x->dims[2 + i] + w->pads[i] + w->pads[i + 2] - ((w->kernel[i] - 1) * w->dilations[i] + 1);
        if (room < 0) return false;
        w->out[i] = room / w->strides[i] + 1;
    }
    return true;
}

static inline void put_window(random_graph *g, const random_window *w) {
    put_attribute_ints(&g->onnx, "kernel_shape", 2, w->kernel);
    put_attribute_ints(&g->onnx, "strides", 2, w->strides);
    put_attribute_ints(&g->onnx, "pads", 4, w->pads);
}

/* ---- Images: [N,C,H,W] --------------------------------------------------------------------------- */

static inline int op_convolution(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    random_window w;
    if (t.rank != 4 || !choose_window(g, &t, 2, &w)) return NO_OP;
    const int C = t.dims[1], kind = choose(g, 6);
    int groups = 1, Co = 1 + choose(g, 17);
    if (kind > 3) Co = 32; /* a tile of sparse.c */
    if (kind == 1) groups = C, Co = C * (1 + choose(g, 2)); /* depthwise */
    if (kind == 2 && C % 2 == 0) groups = 2, Co = 2 * (1 + choose(g, 4));
    const int ws[4] = {Co, C / groups, w.kernel[0], w.kernel[1]}, ys[4] = {g->N, Co, w.out[0], w.out[1]};
    const double terms = (double)(C / groups * w.kernel[0] * w.kernel[1]), bound = 2 * terms * t.bound + 2;
    if (!small(4, ws) || !small(4, ys) || !fits(g, bound)) return NO_OP;
    int inputs[PARENTS] = {x, -1, -1};
    const float scale = 2.0f / (float)(1 + terms / 8);
    inputs[1] = choose(g, 3) == 0 ? add_quantised_weight(g, 4, ws, scale) : add_weight(g, 4, ws, scale, 0);
    if (flip(g)) inputs[2] = add_weight(g, 1, &Co, 1, 0);
    const size_t node = begin_node(g, "Conv", inputs[2] >= 0 ? 3 : 2, inputs);
    put_window(g, &w);
    put_attribute_ints(&g->onnx, "dilations", 2, w.dilations);
    put_attribute_int(&g->onnx, "group", groups);
    const int y = end_node(g, node, 4, ys, inputs, bound);
    return flip(g) ? add_like(g, "Relu", y, bound) : y; /* behind which the next one expects zeros */
}

static inline int op_transposed_convolution(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    random_window w;
    if (t.rank != 4 || !choose_window(g, &t, 2, &w)) return NO_OP;
    const int C = t.dims[1], groups = C % 2 == 0 && flip(g) ? 2 : 1, each = 1 + choose(g, 8);
    int ys[4] = {g->N, each * groups}, behind[2];
    for (int i = 0; i < 2; ++i) {
        behind[i] = choose(g, w.strides[i]);
        ys[2 + i] = (t.dims[2 + i] - 1) * w.strides[i] + (w.kernel[i] - 1) * w.dilations[i] + 1 + behind[i] - w.pads[i] - w.pads[i + 2];
        if (ys[2 + i] < 1) return NO_OP;
    }
    const int ws[4] = {C, each, w.kernel[0], w.kernel[1]};
    const double terms = (double)(C / groups * w.kernel[0] * w.kernel[1]), bound = 2 * terms * t.bound + 2;
    if (!small(4, ws) || !small(4, ys) || !fits(g, bound)) return NO_OP;
    int inputs[PARENTS] = {x, -1, -1};
    inputs[1] = add_weight(g, 4, ws, 2.0f / (float)(1 + terms / 8), 0);
    if (flip(g)) inputs[2] = add_weight(g, 1, &ys[1], 1, 0);
    const size_t node = begin_node(g, "ConvTranspose", inputs[2] >= 0 ? 3 : 2, inputs);
    put_window(g, &w);
    put_attribute_ints(&g->onnx, "dilations", 2, w.dilations);
    put_attribute_ints(&g->onnx, "output_padding", 2, behind);
    put_attribute_int(&g->onnx, "group", groups);
    return end_node(g, node, 4, ys, inputs, bound);
}

/* gamma (x - mean) / sqrt(var + eps) + beta; exact: var 1, eps 0. */
static inline int op_batch_norm(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const double bound = 2 * (t.bound + 2) + 2;
    if ((t.rank != 4 && t.rank != 2) || !fits(g, bound)) return NO_OP;
    const int C = t.dims[1];
    float variance[MAX_ELEMENTS];
    for (int i = 0; i < C; ++i) variance[i] = g->exact ? 1 : 1.5f + random_weight(g, 1);
    int inputs[5] = {x};
    for (int i = 1; i < 4; ++i) inputs[i] = add_weight(g, 1, &C, 1, 0);
    inputs[4] = add_tensor(g, 1, &C, NULL, 0);
    put_initializer(&g->onnx, inputs[4], 1, 1, &C, variance, (size_t)C * sizeof *variance);
    const size_t node = begin_node(g, "BatchNormalization", 5, inputs);
    put_attribute_float(&g->onnx, "epsilon", g->exact ? 0 : 1e-3f);
    return end_node(g, node, t.rank, t.dims, (const int[PARENTS]){x, -1, -1}, bound);
}

static inline int op_pool(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    random_window w;
    const bool max = g->exact || flip(g);
    if (t.rank != 4 || !choose_window(g, &t, 1, &w)) return NO_OP;
    /* A window that lies in the padding altogether has no maximum and no mean. */
    for (int i = 0; i < 2; ++i)
        if ((w.out[i] - 1) * w.strides[i] - w.pads[i] >= t.dims[2 + i]) return NO_OP;
    const int ys[4] = {t.dims[0], t.dims[1], w.out[0], w.out[1]};
    const size_t node = begin_node(g, max ? "MaxPool" : "AveragePool", 1, &x);
    put_window(g, &w);
    if (!max) put_attribute_int(&g->onnx, "count_include_pad", choose(g, 2));
    return end_node(g, node, 4, ys, (const int[PARENTS]){x, -1, -1}, t.bound);
}

static inline int op_global_pool(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    if (t.rank != 4) return NO_OP;
    return add_node(g, g->exact || flip(g) ? "GlobalMaxPool" : "GlobalAveragePool", 1, &x, 4, (const int[]){t.dims[0], t.dims[1], 1, 1}, t.bound);
}

static inline int op_instance_norm(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    if (t.rank != 4 || g->exact || t.dims[2] * t.dims[3] < 4) return NO_OP;
    const int inputs[PARENTS] = {x, add_weight(g, 1, &t.dims[1], 1, 1), add_weight(g, 1, &t.dims[1], 1, 0)};
    return add_node(g, "InstanceNormalization", 3, inputs, 4, t.dims, 0);
}

static inline int op_pad(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    int pads[8] = {0}, ys[4];
    memcpy(ys, t.dims, sizeof ys);
    for (int i = 1; i < t.rank; ++i) {
        pads[i] = choose(g, 3);
        pads[i + t.rank] = choose(g, 3);
        ys[i] += pads[i] + pads[i + t.rank];
    }
    if (!small(t.rank, ys)) return NO_OP;
    const int inputs[PARENTS] = {x, add_ints(g, 2 * t.rank, pads), add_scalar(g, (float)choose(g, 3) - 1)};
    return add_node(g, "Pad", 3, inputs, t.rank, ys, t.bound + 1);
}

/* x * sigmoid(conv(mean(x))): squeeze and excite. */
static inline int op_gate(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    if (t.rank != 4 || g->exact) return NO_OP;
    const int C = t.dims[1], one[4] = {t.dims[0], C, 1, 1}, ws[4] = {C, C, 1, 1};
    if (!small(4, ws)) return NO_OP;
    int gate = add_node(g, "GlobalAveragePool", 1, &x, 4, one, 0);
    const int weight = add_weight(g, 4, ws, 1, 0);
    gate = add_node(g, "Conv", 2, (const int[]){gate, weight}, 4, one, 0);
    gate = add_like(g, flip(g) ? "HardSigmoid" : "Sigmoid", gate, 1);
    return add_node(g, "Mul", 2, (const int[]){x, gate}, 4, t.dims, 0);
}

/* ---- One number to one number -------------------------------------------------------------------- */

static inline int op_unary(random_graph *g, int x) {
    static const char *const names[] = {"Relu", "Abs", "Neg", "Identity", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Softplus", "Sin", "Cos", "Mish", "Softsign"};
    const int kind = choose(g, g->exact ? 4 : 16);
    return add_like(g, names[kind], x, g->tensors[x].bound);
}

static inline int op_clip(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int low = flip(g) ? add_scalar(g, (float)-choose(g, 3)) : -1, high = flip(g) || low < 0 ? add_scalar(g, (float)(1 + choose(g, 8))) : -1;
    return add_node(g, "Clip", high >= 0 ? 3 : 2, (const int[]){x, low, high}, t.rank, t.dims, t.bound);
}

/* Functions that need positive numbers get sigmoid(x) + 1/2. */
static inline int op_positive(random_graph *g, int x) {
    static const char *const names[] = {"Log", "Sqrt", "Reciprocal", "Exp"};
    const random_tensor t = g->tensors[x];
    if (g->exact) return NO_OP;
    int y = add_like(g, "Sigmoid", x, 1);
    const int half = add_scalar(g, 0.5f);
    y = add_node(g, "Add", 2, (const int[]){y, half}, t.rank, t.dims, 0);
    if (choose(g, 5) > 0) return add_like(g, names[choose(g, 4)], y, 0);
    const int power = add_scalar(g, (float)choose(g, 4) - 1.5f);
    return add_node(g, "Pow", 2, (const int[]){y, power}, t.rank, t.dims, 0);
}

static inline int op_prelu(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    if (t.rank != 4 || !fits(g, 2 * t.bound)) return NO_OP;
    const int slope = add_weight(g, 3, (const int[]){t.dims[1], 1, 1}, 1, 0);
    return add_node(g, "PRelu", 2, (const int[]){x, slope}, 4, t.dims, 2 * t.bound);
}

/* ---- Two numbers to one -------------------------------------------------------------------------- */

static inline int combine(random_graph *g, int x, int y, bool divisor) {
    static const char *const names[] = {"Add", "Sub", "Max", "Min", "Mul", "Div"};
    const random_tensor a = g->tensors[x], b = g->tensors[y];
    const int kind = choose(g, g->exact ? 5 : divisor ? 6 : 5);
    const double bound = kind == 4 ? a.bound * b.bound : a.bound + b.bound;
    int rank = a.rank > b.rank ? a.rank : b.rank, ys[4];
    for (int i = 0; i < rank; ++i) {
        const int p = i - (rank - a.rank), q = i - (rank - b.rank);
        const int da = p < 0 ? 1 : a.dims[p], db = q < 0 ? 1 : b.dims[q];
        if (da != db && da != 1 && db != 1) return NO_OP;
        ys[i] = da > db ? da : db;
    }
    if (!small(rank, ys) || !fits(g, bound) || ys[0] != g->N) return NO_OP;
    const bool swap = kind < 5 && flip(g);
    return add_node(g, names[kind], 2, (const int[]){swap ? y : x, swap ? x : y}, rank, ys, bound);
}

/* With a constant: one number, one a position of the last axis, one a channel, or all. */
static inline int op_with_constant(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    int dims[4] = {1, 1, 1, 1}, rank = t.rank, kind = choose(g, 4);
    if (kind == 0) rank = 0;
    if (kind == 1) rank = 1, dims[0] = t.dims[t.rank - 1];
    if (kind == 2) dims[1] = t.dims[1];
    if (kind == 3) memcpy(dims + 1, t.dims + 1, sizeof *dims * (size_t)(t.rank - 1));
    if (!small(rank, dims)) return NO_OP;
    const int y = add_weight(g, rank, dims, 0.5f, g->exact ? 0 : 1);
    return combine(g, x, y, true);
}

/* With another activation: the same shape or one that broadcasts; or with itself. */
static inline int op_with_other(random_graph *g, int x) {
    int y = x, back = choose(g, 4);
    for (int t = x - 1; t >= 0 && back > 0; --t) {
        if (!g->tensors[t].activation || g->tensors[t].rank != g->tensors[x].rank) continue;
        bool broadcasts = true;
        for (int i = 0; i < g->tensors[x].rank; ++i) {
            const int a = g->tensors[x].dims[i], b = g->tensors[t].dims[i];
            broadcasts = broadcasts && (a == b || a == 1 || b == 1);
        }
        if (broadcasts) y = t, --back;
    }
    return combine(g, x, y, false);
}

/* ---- The same numbers, elsewhere ----------------------------------------------------------------- */

static inline int op_concat(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int axis = 1 + choose(g, t.rank - 1);
    int other = x, skip = choose(g, 3);
    for (int y = x - 1; y >= 0 && skip > 0; --y) {
        const random_tensor o = g->tensors[y];
        if (!o.activation || o.rank != t.rank) continue;
        bool fit = true;
        for (int i = 0; i < t.rank; ++i) fit = fit && (i == axis || o.dims[i] == t.dims[i]);
        if (fit) other = y, --skip;
    }
    int ys[4];
    memcpy(ys, t.dims, sizeof ys);
    ys[axis] += g->tensors[other].dims[axis];
    if (!small(t.rank, ys)) return NO_OP;
    const int inputs[PARENTS] = {x, other, -1};
    const double bound = t.bound > g->tensors[other].bound ? t.bound : g->tensors[other].bound;
    const size_t node = begin_node(g, "Concat", 2, inputs);
    put_attribute_int(&g->onnx, "axis", flip(g) ? axis : axis - t.rank);
    return end_node(g, node, t.rank, ys, inputs, bound);
}

static inline int op_slice(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int axis = 1 + choose(g, t.rank - 1), size = t.dims[axis];
    const int start = choose(g, size), end = start + 1 + choose(g, size - start), step = 1 + choose(g, 2);
    int ys[4];
    memcpy(ys, t.dims, sizeof ys);
    ys[axis] = (end - start - 1) / step + 1;
    const int inputs[5] = {x, add_ints(g, 1, &start), add_ints(g, 1, &end), add_ints(g, 1, &axis), add_ints(g, 1, &step)};
    return add_node(g, "Slice", 5, inputs, t.rank, ys, t.bound);
}

/* In two parts, both of which may be read later. */
static inline int op_split(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int axis = 1 + choose(g, t.rank - 1), size = t.dims[axis];
    if (size < 2) return NO_OP;
    int first[4], second[4];
    memcpy(first, t.dims, sizeof first);
    memcpy(second, t.dims, sizeof second);
    first[axis] = 1 + choose(g, size - 1);
    second[axis] = size - first[axis];
    const int sizes = add_ints(g, 2, (const int[]){first[axis], second[axis]}), parents[PARENTS] = {x, -1, -1};
    const size_t node = begin_node(g, "Split", 2, (const int[]){x, sizes});
    put_attribute_int(&g->onnx, "axis", axis);
    put_name(&g->onnx, 2, add_tensor(g, t.rank, first, parents, t.bound));
    return end_node(g, node, t.rank, second, parents, t.bound);
}

static inline int op_transpose(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    int perm[4] = {0, 1, 2, 3}, ys[4];
    for (int i = t.rank - 1; i > 1; --i) {
        const int j = 1 + choose(g, i), swapped = perm[i];
        perm[i] = perm[j];
        perm[j] = swapped;
    }
    for (int i = 0; i < t.rank; ++i) ys[i] = t.dims[perm[i]];
    const size_t node = begin_node(g, "Transpose", 1, &x);
    put_attribute_ints(&g->onnx, "perm", t.rank, perm);
    return end_node(g, node, t.rank, ys, (const int[PARENTS]){x, -1, -1}, t.bound);
}

/* To rank 2, 3 or 4, by divisors of what there is. */
static inline int op_reshape(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int rank = 2 + choose(g, 3);
    int rest = (int)(count_of(t.rank, t.dims) / (size_t)g->N), ys[4] = {g->N, 1, 1, 1};
    for (int i = 1; i < rank; ++i) {
        int size = i == rank - 1 ? rest : 1 + choose(g, 12);
        while (rest % size != 0) --size;
        ys[i] = size;
        rest /= size;
    }
    const int inputs[2] = {x, add_ints(g, rank, ys)};
    return add_node(g, "Reshape", 2, inputs, rank, ys, t.bound);
}

/* x[:, ..., index, ...]: the axis goes. */
static inline int op_gather(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    if (t.rank < 3) return NO_OP;
    const int axis = 1 + choose(g, t.rank - 1);
    const int64_t index = choose(g, t.dims[axis]);
    const int where = add_tensor(g, 0, NULL, NULL, 0), inputs[PARENTS] = {x, where, -1};
    put_initializer(&g->onnx, where, 7, 0, NULL, &index, sizeof index);
    int ys[4], rank = 0;
    for (int i = 0; i < t.rank; ++i)
        if (i != axis) ys[rank++] = t.dims[i];
    const size_t node = begin_node(g, "Gather", 2, inputs);
    put_attribute_int(&g->onnx, "axis", axis);
    return end_node(g, node, rank, ys, inputs, t.bound);
}

/* x at these positions of an axis, some of them twice and some not at all. */
static inline int op_pick(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int axis = 1 + choose(g, t.rank - 1), count = 1 + choose(g, 12);
    int ys[4], positions[12];
    memcpy(ys, t.dims, sizeof ys);
    ys[axis] = count;
    if (!small(t.rank, ys)) return NO_OP;
    for (int i = 0; i < count; ++i) positions[i] = choose(g, 2 * t.dims[axis]) - t.dims[axis];
    const int inputs[PARENTS] = {x, add_ints(g, count, positions), -1};
    const size_t node = begin_node(g, "Gather", 2, inputs);
    put_attribute_int(&g->onnx, "axis", axis);
    return end_node(g, node, t.rank, ys, inputs, t.bound);
}

/* Each number along an axis from a place of its own, or twice x into such places of x. */
static inline int op_elements(random_graph *g, int x) {
    static int64_t places[MAX_ELEMENTS];
    const random_tensor t = g->tensors[x];
    const int axis = 1 + choose(g, t.rank - 1), where = add_tensor(g, t.rank, t.dims, NULL, 0);
    const size_t count = count_of(t.rank, t.dims);
    if (!fits(g, 2 * t.bound)) return NO_OP;
    for (size_t i = 0; i < count; ++i) places[i] = (int64_t)(random_bits(g) % (uint32_t)t.dims[axis]);
    put_initializer(&g->onnx, where, 7, t.rank, t.dims, places, count * sizeof *places);
    int inputs[PARENTS] = {x, where, -1};
    const bool puts = flip(g);
    if (puts) inputs[2] = add_node(g, "Add", 2, (const int[]){x, x}, t.rank, t.dims, 2 * t.bound);
    const size_t node = begin_node(g, puts ? "ScatterElements" : "GatherElements", puts ? 3 : 2, inputs);
    put_attribute_int(&g->onnx, "axis", axis);
    return end_node(g, node, t.rank, t.dims, inputs, 2 * t.bound);
}

/* x where it is above a number of its row, and a constant elsewhere. What is compared is not tapped: no gradient runs through it. */
static inline int op_choose(random_graph *g, int x) {
    static const char *const names[] = {"Greater", "Less", "GreaterOrEqual", "LessOrEqual"};
    const random_tensor t = g->tensors[x];
    const int row = t.dims[t.rank - 1], threshold = add_weight(g, 1, &row, 0.5f, 0), other = add_weight(g, 1, &row, 1, 0);
    const size_t comparison = begin_node(g, names[choose(g, 4)], 2, (const int[]){x, threshold});
    const int truth = end_node(g, comparison, t.rank, t.dims, NULL, 1);
    const size_t node = begin_node(g, "Where", 3, (const int[]){truth, x, other});
    return end_node(g, node, t.rank, t.dims, (const int[PARENTS]){x, other, -1}, t.bound + 2);
}

static inline int op_triangle(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    if (t.rank < 3) return NO_OP; /* rows of the batch would be images */
    const size_t node = begin_node(g, "Trilu", 1, &x);
    put_attribute_int(&g->onnx, "upper", choose(g, 2));
    return end_node(g, node, t.rank, t.dims, (const int[PARENTS]){x, -1, -1}, t.bound);
}

static inline int op_tile(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    int repeats[4] = {1, 1, 1, 1}, ys[4];
    for (int i = 1; i < t.rank; ++i) repeats[i] = 1 + choose(g, 2);
    for (int i = 0; i < t.rank; ++i) ys[i] = t.dims[i] * repeats[i];
    if (!small(t.rank, ys)) return NO_OP;
    return add_node(g, "Tile", 2, (const int[]){x, add_ints(g, t.rank, repeats)}, t.rank, ys, t.bound);
}

/* ---- Sums ---------------------------------------------------------------------------------------- */

static inline int op_reduce(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const bool mean = !g->exact && flip(g), keep = t.rank < 3 || flip(g);
    int axes[3], count = 0, ys[4] = {t.dims[0]}, rank = 1;
    double terms = 1;
    for (int i = 1; i < t.rank; ++i) {
        const bool reduced = (count == 0 && i == t.rank - 1) || (flip(g) && (keep || t.rank - count > 3));
        if (reduced) axes[count++] = i, terms *= t.dims[i];
        if (!reduced || keep) ys[rank++] = reduced ? 1 : t.dims[i];
    }
    if (!fits(g, terms * t.bound)) return NO_OP;
    const int inputs[PARENTS] = {x, mean ? -1 : add_ints(g, count, axes), -1};
    const size_t node = begin_node(g, mean ? "ReduceMean" : "ReduceSum", mean ? 1 : 2, inputs);
    if (mean) put_attribute_ints(&g->onnx, "axes", count, axes); /* an input only from opset 18 on */
    put_attribute_int(&g->onnx, "keepdims", keep);
    return end_node(g, node, rank, ys, inputs, terms * t.bound);
}

static inline int op_softmax(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    if (g->exact) return NO_OP;
    const size_t node = begin_node(g, choose(g, 3) ? "Softmax" : "LogSoftmax", 1, &x);
    put_attribute_int(&g->onnx, "axis", 1 + choose(g, t.rank - 1));
    return end_node(g, node, t.rank, t.dims, (const int[PARENTS]){x, -1, -1}, 0);
}

static inline int op_layer_norm(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int C = t.dims[t.rank - 1];
    if (g->exact || C < 3) return NO_OP;
    const int inputs[PARENTS] = {x, add_weight(g, 1, &C, 1, 1), add_weight(g, 1, &C, 1, 0)};
    const size_t node = begin_node(g, "LayerNormalization", 3, inputs);
    put_attribute_int(&g->onnx, "axis", -1);
    return end_node(g, node, t.rank, t.dims, inputs, 0);
}

static inline int op_matmul(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int K = t.dims[t.rank - 1], M = 1 + choose(g, 17);
    int ys[4];
    memcpy(ys, t.dims, sizeof ys);
    ys[t.rank - 1] = M;
    if (!small(2, (const int[]){K, M}) || !small(t.rank, ys) || !fits(g, 2 * K * t.bound)) return NO_OP;
    const int weight = add_weight(g, 2, (const int[]){K, M}, 2.0f / (float)(1 + K / 8), 0);
    return add_node(g, "MatMul", 2, (const int[]){x, weight}, t.rank, ys, 2 * K * t.bound);
}

/* softmax(x x^T) x over the last two axes; exact: without the softmax. */
static inline int op_attention(random_graph *g, int x) {
    const random_tensor t = g->tensors[x];
    const int T = t.rank < 3 ? 0 : t.dims[t.rank - 2], C = t.dims[t.rank - 1];
    int perm[4] = {0, 1, 2, 3}, turned[4], square[4];
    memcpy(turned, t.dims, sizeof turned);
    memcpy(square, t.dims, sizeof square);
    const double bound = C * t.bound * t.bound;
    if (t.rank < 3) return NO_OP;
    square[t.rank - 1] = T;
    if (!small(t.rank, square) || !fits(g, T * bound * t.bound)) return NO_OP;
    perm[t.rank - 1] = t.rank - 2, perm[t.rank - 2] = t.rank - 1;
    turned[t.rank - 1] = T, turned[t.rank - 2] = C;
    const size_t node = begin_node(g, "Transpose", 1, &x);
    put_attribute_ints(&g->onnx, "perm", t.rank, perm);
    const int key = end_node(g, node, t.rank, turned, (const int[PARENTS]){x, -1, -1}, t.bound);
    int weights = add_node(g, "MatMul", 2, (const int[]){x, key}, t.rank, square, bound);
    if (!g->exact) weights = add_like(g, "Softmax", weights, 1);
    return add_node(g, "MatMul", 2, (const int[]){weights, x}, t.rank, t.dims, T * bound * t.bound);
}

/* ---- All ----------------------------------------------------------------------------------------- */

/* Those of real networks more often. */
static inline void add_step(random_graph *g, int x) {
    static int (*const ops[])(random_graph *, int) = {
        op_unary,    op_convolution, op_convolution, op_convolution, op_batch_norm, op_batch_norm, op_pool,    op_global_pool, op_instance_norm,
        op_pad,      op_gate,        op_clip,        op_positive,    op_prelu,      op_with_constant, op_with_other, op_with_other, op_concat,
        op_slice,    op_split,       op_transpose,   op_reshape,     op_gather,     op_tile,       op_reduce,  op_softmax,     op_layer_norm,
        op_matmul,   op_matmul,      op_attention,   op_transposed_convolution, op_pick, op_elements, op_choose,  op_triangle,
    };
    (void)ops[choose(g, (int)(sizeof ops / sizeof *ops))](g, x);
}

#endif
