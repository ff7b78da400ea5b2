/* graph_check.h - a random network computed in several ways, which must agree.
 *
 *   1. The reference backend, node by node. Every node must find its inputs as their producers left them: the plan gives no
 *      memory away too early.
 *   2. The XNNPACK backend in step with it: after each node the outputs are compared and the reference's is copied over the
 *      other's. So errors do not add up, and a rounding cannot throw a ReLU or a maximum to its other side.
 *   3. The gradient of every tap against finite differences (gradient_check.h).
 *   4. Exact networks: the XNNPACK backend by itself, and the reference with every tensor tapped, where nothing can be fused and
 *      no memory used again. The forward passes must be the same bits. */
#ifndef NAC_FUZZ_GRAPH_CHECK_H
#define NAC_FUZZ_GRAPH_CHECK_H

#include <math.h>
#include <stdlib.h>

#include "gradient_check.h"
#include "graph/session.h"
#include "random_graph.h"

typedef struct graph_check {
    random_graph graph;
    char message[400]; /* what is wrong; empty: nothing */
    bool ran;          /* both passes were run and compared to the end */
    int nodes;
    int gradients, derived; /* taps, and those whose gradient finite differences could tell */
} graph_check;

static inline bool complain(graph_check *c, const char *what, const char *node, const nac_error *error) {
    snprintf(c->message, sizeof c->message, "%s%s%s%s%s", what, node ? ": " : "", node ? node : "", error ? ": " : "", error ? error->message : "");
    return false;
}

static inline size_t value_count(const nac_session *session, int value) { return nac_elements(&session->graph.values[value].shape); }

static inline double largest(const float *data, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; ++i) largest = fmax(largest, fabs((double)data[i]));
    return largest;
}

static inline bool finite_numbers(const float *data, size_t count) {
    for (size_t i = 0; i < count; ++i)
        if (!isfinite(data[i])) return false;
    return true;
}

/* ---- In step ------------------------------------------------------------------------------------- */

typedef struct in_step {
    nac_session *reference, *other; /* other may be NULL */
    float **left;                   /* [values]: what the producer left there */
} in_step;

/* What nac_lift_inputs may have done to a number is none of the plan's faults. */
static inline bool same_numbers(const float *a, const float *b, size_t count) {
    if (memcmp(a, b, count * sizeof *a) == 0) return true;
    for (size_t i = 0; i < count; ++i)
        if (!(a[i] == b[i] || fabsf(a[i] - b[i]) <= NAC_TINY)) return false;
    return true;
}

static inline bool inputs_untouched(const in_step *s, const nac_node *node) {
    for (int i = 0; i < node->input_count; ++i) {
        const int v = node->inputs[i];
        if (v == NAC_NONE || s->reference->graph.values[v].constant) continue;
        if (!same_numbers(s->reference->graph.values[v].data, s->left[v], value_count(s->reference, v))) return false;
    }
    return true;
}

/* What a LAYER_NORM multiplies its largest input with: 1 / sqrt(variance + epsilon) of the row where it is largest. Numbers that lie
 * close together are pulled apart, and what the mean was rounded by with them. */
static inline double magnification(const nac_node *node, const float *x, size_t count, size_t C) {
    double largest = 0;
    for (size_t r = 0; r < count; r += C) {
        double mean = 0, variance = 0;
        for (size_t c = r; c < r + C; ++c) mean += (double)x[c] / (double)C;
        for (size_t c = r; c < r + C; ++c) variance += ((double)x[c] - mean) * ((double)x[c] - mean) / (double)C;
        largest = fmax(largest, 1 / sqrt(variance + (double)node->u.layer_norm.epsilon));
    }
    return largest;
}

/* What rounding can do to a node's output: a few units in the last place of the largest number, or of the largest sum of products
 * of inputs. A wrong element is off by a good part of it. */
static inline double tolerance_of(const in_step *s, const nac_node *node, const float *output) {
    const nac_graph *graph = &s->reference->graph;
    const double elements = (double)nac_elements(&graph->values[node->output].shape);
    double sums = 1, terms = (double)nac_node_macs(graph, node) / elements;
    for (int i = 0; i < node->input_count && i < 2; ++i) {
        const int v = node->inputs[i];
        if (v == NAC_NONE || graph->values[v].type != NAC_F32) continue;
        const float *data = s->left[v];
        sums *= largest(data, value_count(s->reference, v));
        if (node->op == NAC_OP_REDUCE || node->op == NAC_OP_AVERAGE_POOL || node->op == NAC_OP_AVERAGE_POOL_GRAD || node->op == NAC_OP_MAX_POOL_GRAD)
            terms = fmax(terms, (double)value_count(s->reference, v) / elements);
    }
    if (node->op == NAC_OP_LAYER_NORM || node->op == NAC_OP_LAYER_NORM_GRAD) {
        const nac_shape *x = &graph->values[node->inputs[0]].shape;
        const double factor = magnification(node, s->left[node->inputs[0]], nac_elements(x), (size_t)x->dims[x->rank - 1]);
        sums *= node->op == NAC_OP_LAYER_NORM ? factor : factor * factor;
    }
    return 4e-6 * (fmax(1, terms) * sums + largest(output, (size_t)elements)) + 1e-30;
}

/* Whoever computed the node, for messages. */
static inline const char *kernel_name(const nac_session *session, int node) {
#ifdef NAC_HAVE_XNNPACK
    if (session->xnnpack) return nac_xnnpack_kernel_name(session->xnnpack, node);
#endif
    (void)session, (void)node;
    return "reference";
}

static inline bool outputs_agree(graph_check *c, const in_step *s, const nac_node *node) {
    const float *a = s->reference->graph.values[node->output].data, *b = s->other->graph.values[node->output].data;
    const size_t count = value_count(s->reference, node->output);
    const double tolerance = tolerance_of(s, node, a);
    for (size_t i = 0; i < count; ++i) {
        if (a[i] == b[i] || fabs((double)a[i] - (double)b[i]) <= tolerance) continue;
        char text[160];
        snprintf(text, sizeof text, "node '%s' (op %d, kernel %s), element %zu of %zu: %.9g, not %.9g (+- %.3g)", node->name, (int)node->op,
                 kernel_name(s->other, (int)(node - s->reference->graph.nodes)), i, count, (double)b[i], (double)a[i], tolerance);
        return complain(c, "the backends differ", text, NULL);
    }
    return true;
}

/* False: stop, because something is wrong (a message says what) or a number is no longer finite (no message). */
static inline bool step(graph_check *c, in_step *s, int index) {
    nac_error error;
    const nac_node *node = &s->reference->graph.nodes[index];
    const size_t bytes = value_count(s->reference, node->output) * sizeof(float);
    if (!inputs_untouched(s, node)) return complain(c, "an input was overwritten before it was read", node->name, NULL);
    if (nac_session_run_node(s->reference, index, &error) != NAC_OK) return complain(c, "a node fails", node->name, &error);
    float *output = s->reference->graph.values[node->output].data;
    s->left[node->output] = malloc(bytes);
    if (!s->left[node->output]) return false;
    memcpy(s->left[node->output], output, bytes);
    if (!finite_numbers(output, bytes / sizeof(float))) return false;
    if (!s->other) return true;
    if (nac_session_run_node(s->other, index, &error) != NAC_OK) return complain(c, "a node fails", node->name, &error);
    if (!outputs_agree(c, s, node)) return false;
    memcpy(s->other->graph.values[node->output].data, output, bytes);
    return true;
}

static inline bool kept(graph_check *c, const in_step *s, int value, const char *what) {
    const nac_graph *graph = &s->reference->graph;
    if (value == NAC_NONE || graph->values[value].constant || !s->left[value]) return true;
    if (same_numbers(graph->values[value].data, s->left[value], value_count(s->reference, value))) return true;
    return complain(c, "a result was overwritten", what, NULL);
}

static inline bool run_in_step(graph_check *c, nac_session *reference, nac_session *other, const float *image) {
    in_step s = {reference, other, calloc((size_t)reference->graph.value_count, sizeof(float *))};
    if (!s.left) return false;
    int dims[4];
    const size_t bytes = value_count(reference, reference->graph.input) * sizeof(float);
    memcpy(nac_session_input(reference, dims), image, bytes);
    if (other) memcpy(nac_session_input(other, dims), image, bytes);
    for (int v = 0; v < reference->graph.value_count; ++v)
        if (reference->graph.values[v].constant) s.left[v] = reference->graph.values[v].data;
    if ((s.left[reference->graph.input] = malloc(bytes))) memcpy(s.left[reference->graph.input], image, bytes);
    bool good = s.left[reference->graph.input] != NULL;
    for (int n = 0; good && n < reference->graph.node_count; ++n) good = step(c, &s, n);
    for (int i = 0; good && i < reference->tap_count; ++i)
        good = kept(c, &s, reference->taps[i].z, "z") && kept(c, &s, reference->taps[i].g, "g") &&
               (!reference->keep_maps || kept(c, &s, reference->maps[i], "a map"));
    good = good && kept(c, &s, reference->graph.logits, "the logits");
    for (int v = 0; v < reference->graph.value_count; ++v)
        if (!reference->graph.values[v].constant) free(s.left[v]);
    free(s.left);
    return good;
}

/* ---- By themselves ------------------------------------------------------------------------------- */

static inline bool run_alone(graph_check *c, nac_session *session, const float *image) {
    nac_error error;
    int dims[4];
    memcpy(nac_session_input(session, dims), image, value_count(session, session->graph.input) * sizeof(float));
    if (nac_session_forward(session, &error) != NAC_OK || nac_session_backward(session, &error) != NAC_OK)
        return complain(c, "a run fails where node by node it did not", NULL, &error);
    return true;
}

/* ---- Gradients ----------------------------------------------------------------------------------- */

static inline bool gradients_right(graph_check *c, nac_session *session, const float *image) {
    /* Whole numbers meet the corners of rectifiers all the time, and on both sides of one slopes can be equal by chance. */
    for (int tap = 0; tap < session->tap_count && !c->graph.exact; ++tap) {
        double slopes[2];
        if (!run_alone(c, session, image)) return false;
        const gradient_verdict verdict = check_gradient(&c->graph, session, image, tap, slopes);
        ++c->gradients;
        c->derived += verdict != GRADIENT_UNKNOWN;
        if (verdict != GRADIENT_WRONG) continue;
        char text[80];
        snprintf(text, sizeof text, "%s: the slope is %.4g, the gradient says %.4g", session->tap_names[tap], slopes[0], slopes[1]);
        return complain(c, "a gradient is wrong", text, NULL);
    }
    return true;
}

/* ---- Exact networks ------------------------------------------------------------------------------ */

/* Forward the same bits. Backward begins with a softmax, which is not exact: rounding, measured at the largest gradient of all. */
static inline bool same_results(graph_check *c, const nac_session *a, const nac_session *b, const char *what) {
    const nac_value *la = &a->graph.values[a->graph.logits], *lb = &b->graph.values[b->graph.logits];
    if (memcmp(la->data, lb->data, nac_elements(&la->shape) * sizeof(float)) != 0) return complain(c, what, "logits", NULL);
    double scale = 0;
    for (int i = 0; i < b->tap_count; ++i) scale = fmax(scale, largest(nac_session_tap_g(b, i), value_count(b, b->taps[i].g)));
    for (int i = 0; i < a->tap_count; ++i)
        for (int j = 0; j < b->tap_count; ++j) {
            if (strcmp(a->tap_names[i], b->tap_names[j]) != 0 || a->taps[i].pool != b->taps[j].pool) continue;
            const size_t count = value_count(a, a->taps[i].z);
            const float *ga = nac_session_tap_g(a, i), *gb = nac_session_tap_g(b, j);
            for (size_t k = 0; k < count; ++k) {
                /* + 0: a zero has no sign here */
                if (nac_session_tap_z(a, i)[k] != nac_session_tap_z(b, j)[k]) return complain(c, what, a->tap_names[i], NULL);
                if (!(fabs((double)ga[k] - (double)gb[k]) <= 1e-4 * scale + 1e-6)) return complain(c, what, "a gradient", NULL);
            }
        }
    return true;
}

/* ---- All ----------------------------------------------------------------------------------------- */

static inline nac_session *open_session(graph_check *c, const nac_model *model, const nac_tap *taps, int tap_count, nac_backend backend) {
    nac_error error;
    nac_session *session = NULL;
    const nac_session_options options = {.batch = c->graph.N, .taps = taps, .tap_count = (size_t)tap_count, .backend = backend, .keep_maps = c->graph.tap_count > 1};
    if (nac_session_create(model, &options, &session, &error) != NAC_OK) complain(c, "a valid network is refused", NULL, &error);
    return session;
}

static inline void check_model(graph_check *c, const nac_model *model) {
    random_graph *g = &c->graph;
    static float image[MAX_ELEMENTS];
    for (int i = 0; i < g->N * 3 * g->side_h * g->side_w; ++i) image[i] = random_pixel(g);
    nac_session *reference = open_session(c, model, g->taps, g->tap_count, NAC_BACKEND_REFERENCE), *fast = NULL, *all = NULL;
#ifdef NAC_HAVE_XNNPACK
    if (reference) fast = open_session(c, model, g->taps, g->tap_count, NAC_BACKEND_XNNPACK);
#endif
    if (c->message[0] == 0) {
        c->nodes = nac_session_node_count(reference);
        c->ran = run_in_step(c, reference, fast, image) && gradients_right(c, reference, image);
    }
    if (c->ran && g->exact) {
        all = open_session(c, model, g->all, g->all_count, NAC_BACKEND_REFERENCE);
        c->ran = all && run_alone(c, reference, image) && run_alone(c, all, image) && same_results(c, reference, all, "taps change the numbers") &&
                 (!fast || (run_alone(c, fast, image) && same_results(c, fast, reference, "XNNPACK changes the numbers")));
    }
    nac_session_destroy(reference);
    nac_session_destroy(fast);
    nac_session_destroy(all);
}

/* False where the bytes make no network; otherwise c says how it went. */
static inline bool graph_check_run(graph_check *c, const uint8_t *choices, size_t size) {
    c->message[0] = 0;
    c->ran = false;
    c->gradients = c->derived = 0;
    if (!random_graph_make(&c->graph, choices, size)) return false;
    nac_error error;
    nac_model *model = NULL;
    if (nac_model_open(c->graph.onnx.bytes, c->graph.onnx.size, &model, &error) != NAC_OK) complain(c, "a valid file is refused", NULL, &error);
    else check_model(c, model);
    nac_model_close(model);
    return true;
}

#endif
