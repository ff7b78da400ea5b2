#include "graph/session.h"

#include <math.h>
#include <string.h>

#include "graph/quantised.h"
#include "ops/ops.h"

/* ---- Taps ---------------------------------------------------------------------------------------- */

static nac_status alloc_taps(nac_session *session, size_t count, nac_error *error) {
    session->taps = nac_alloc_array(count, sizeof *session->taps);
    session->tap_names = nac_alloc_array(count, sizeof *session->tap_names);
    session->maps = nac_alloc_array(count, sizeof *session->maps);
    if (!session->taps || !session->tap_names || !session->maps) return nac_out_of_memory(error, "the taps");
    session->tap_count = (int)count;
    return NAC_OK;
}

static nac_status name_tap(nac_session *session, int tap, const char *name, nac_error *error) {
    session->tap_names[tap] = nac_strndup(name, strlen(name));
    return session->tap_names[tap] ? NAC_OK : nac_out_of_memory(error, "a tap's name");
}

static nac_status find_tap(const nac_model *model, const nac_graph *graph, const int *bindings, const nac_tap *tap, int *value,
                           nac_error *error) {
    const int tensor = nac_model_find_tensor(model, tap->tensor);
    if (tensor == NAC_ONNX_ABSENT)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "the model has no tensor '%s' to tap (`nac info` lists candidates)", tap->tensor);
    if (!nac_model_name_is_unique(model, tensor))
        return nac_fail(error, NAC_INVALID_ARGUMENT, "there are several tensors '%s', in branches or in the rounds of a loop: tap a result of theirs",
                        tap->tensor);
    *value = bindings[tensor];
    if (*value == NAC_NONE)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "tensor '%s' is not on the way to the logits and cannot be tapped", tap->tensor);
    if (*value < 0 || graph->values[*value].constant)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "tensor '%s' does not depend on the image and cannot be tapped", tap->tensor);
    return NAC_OK;
}

static nac_status resolve_taps(nac_session *session, const nac_model *model, const int *bindings, const nac_session_options *options,
                               nac_error *error) {
    nac_graph *graph = &session->graph;
    if (options->tap_count == 0) {
        nac_graph_tap found[NAC_AUTO_TAPS];
        int count;
        NAC_TRY(nac_graph_auto_taps(graph, found, &count, error));
        if (count == 0) return nac_fail(error, NAC_UNSUPPORTED, "no tap could be chosen automatically: name one with --layers");
        NAC_TRY(alloc_taps(session, (size_t)count, error));
        memcpy(session->taps, found, (size_t)count * sizeof *found);
        for (int i = 0; i < count; ++i) NAC_TRY(name_tap(session, i, graph->values[found[i].value].name, error));
        return NAC_OK;
    }
    if (options->tap_count > NAC_MAX_TAPS)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "%zu taps are more than %d", options->tap_count, NAC_MAX_TAPS);
    NAC_TRY(alloc_taps(session, options->tap_count, error));
    for (int i = 0; i < session->tap_count; ++i) {
        const nac_tap *tap = &options->taps[i];
        session->taps[i] = (nac_graph_tap){.pool = tap->pool, .z = NAC_NONE, .g = NAC_NONE};
        NAC_TRY(find_tap(model, graph, bindings, tap, &session->taps[i].value, error));
        NAC_TRY(name_tap(session, i, tap->tensor, error));
    }
    return NAC_OK;
}

/* A tap's whole activation in the order that a heat map is read: [N,H,W,C]. */
static nac_status add_map(nac_graph *graph, const nac_graph_tap *tap, int *map, nac_error *error) {
    const nac_value v = graph->values[tap->value];
    if (v.layout == NAC_CHANNELS_LAST || v.shape.rank != 4 || tap->pool == NAC_POOL_NHWC) return nac_graph_batch_first(graph, tap->value, map, error);
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, "map");
    memcpy(node.u.transpose.perm, (const int[]){0, 2, 3, 1}, 4 * sizeof(int));
    const int *d = v.shape.dims;
    const nac_shape shape = nac_shape_make(4, (const int[]){d[0], d[2], d[3], d[1]});
    return nac_graph_emit(graph, node, &tap->value, 1, NULL, &shape, NAC_CHANNELS_LAST, map, error);
}

/* ---- Life ---------------------------------------------------------------------------------------- */

/* The values that must outlast the run: every tap's pooled sums and, where asked for, its map. */
static nac_status keep_results(const nac_session *session, int **keep, int *count, nac_error *error) {
    int *kept = nac_alloc_array((size_t)session->tap_count * 3, sizeof *kept);
    if (!kept) return nac_out_of_memory(error, "the plan");
    int n = 0;
    for (int i = 0; i < session->tap_count; ++i) {
        kept[n++] = session->taps[i].z;
        kept[n++] = session->taps[i].g;
        if (session->keep_maps) kept[n++] = session->maps[i];
    }
    *keep = kept;
    *count = n;
    return NAC_OK;
}

static nac_status fuse_around_taps(nac_session *session, nac_error *error) {
    int *keep = nac_alloc_array((size_t)session->tap_count, sizeof *keep);
    if (!keep) return nac_out_of_memory(error, "the taps");
    for (int i = 0; i < session->tap_count; ++i) keep[i] = session->taps[i].value;
    const nac_status status = nac_graph_fuse(&session->graph, keep, session->tap_count, error);
    nac_free(keep);
    return status;
}

/* Counts the forward nodes that survive the last sweep: all stand in front of the root of the gradients. */
static int count_forward(const nac_graph *graph) {
    int n = 0;
    while (n < graph->node_count && graph->nodes[n].op != NAC_OP_LOGITS_GRAD) ++n;
    return n;
}

/* One NaN or infinity makes every later number a lie, so it is looked for in what a score is made of. */
static bool all_finite(const nac_value *value) {
    bool tiny;
    return nac_all_finite(value->data, nac_elements(&value->shape), &tiny);
}

/* Plain loops read floats. */
static nac_status dequantise_all(nac_graph *graph, nac_error *error) {
    for (int v = 0; v < graph->value_count; ++v) NAC_TRY(nac_graph_dequantise(graph, v, error));
    return NAC_OK;
}

static nac_status plan_and_pack(nac_session *session, nac_error *error) {
    nac_graph *graph = &session->graph;
    int *keep, keep_count;
    NAC_TRY(keep_results(session, &keep, &keep_count, error));
    nac_status status = nac_graph_sweep(graph, keep, keep_count, error);
    if (status == NAC_OK) status = nac_plan_make(graph, keep, keep_count, &session->arena, &session->arena_bytes, error);
    nac_free(keep);
    NAC_TRY(status);
    session->forward_count = count_forward(graph);
    NAC_TRY(nac_graph_find_liftable(graph, &session->liftable, error));
    if (session->backend == NAC_BACKEND_REFERENCE) NAC_TRY(dequantise_all(graph, error));
    NAC_TRY(nac_graph_clean_weights(graph, session->forward_count, session->liftable, error));
    for (int v = 0; v < graph->value_count; ++v)
        if (graph->values[v].constant && graph->values[v].data)
            session->weight_bytes += nac_elements(&graph->values[v].shape) * nac_type_size(graph->values[v].type);
    /* Info first: the backend frees the weights that it packs. */
    NAC_TRY(nac_session_write_info(session, error));
    if (session->backend == NAC_BACKEND_REFERENCE) return NAC_OK;
#ifdef NAC_HAVE_XNNPACK
    return nac_xnnpack_create(graph, &session->xnnpack, error);
#else
    return nac_fail(error, NAC_UNSUPPORTED, "this build has no XNNPACK backend");
#endif
}

static nac_status lower(const nac_model *model, const nac_session_options *options, nac_graph *graph, int *bindings, nac_error *error) {
    bool *tapped = nac_alloc_array((size_t)model->tensor_count, sizeof *tapped);
    if (!tapped) return nac_out_of_memory(error, "the taps");
    for (size_t i = 0; i < options->tap_count; ++i) {
        const int tensor = nac_model_find_tensor(model, options->taps[i].tensor);
        if (tensor != NAC_ONNX_ABSENT) tapped[tensor] = true;
    }
    const nac_status status = nac_lower_model(model, options->batch, options->height, options->width, tapped, graph, bindings, error);
    nac_free(tapped);
    return status;
}

static nac_status build(nac_session *session, const nac_model *model, const nac_session_options *options, int *bindings, nac_error *error) {
    nac_graph *graph = &session->graph;
    NAC_TRY(lower(model, options, graph, bindings, error));
    NAC_TRY(nac_session_write_candidates(graph, &session->candidates, error));
    NAC_TRY(resolve_taps(session, model, bindings, options, error));
    NAC_TRY(fuse_around_taps(session, error));
    for (int i = 0; i < session->tap_count && options->keep_maps; ++i)
        NAC_TRY(add_map(graph, &session->taps[i], &session->maps[i], error));
    NAC_TRY(nac_graph_pool_taps(graph, session->taps, session->tap_count, error));
    session->classifier = nac_graph_find_classifier(graph, session->taps, session->tap_count);
    NAC_TRY(nac_graph_append_gradients(graph, session->taps, session->tap_count, error));
    if (options->model_read) options->model_read(options->context);
    return plan_and_pack(session, error);
}

/* Names, biases and lists come to lie in a gap of this size, in front of the weights instead of between them: where packed weights were, holes
 * join, and the next ones fit in (ResNet-18: 94.8 instead of 111.6 MB of WebAssembly's memory). The fence keeps the gap apart from them. */
enum { SMALL_THINGS = 128 * 1024 };

nac_status nac_session_create(const nac_model *model, const nac_session_options *options, nac_session **session, nac_error *error) {
    if (options->batch < 1) return nac_fail(error, NAC_INVALID_ARGUMENT, "batch is %d; at least 1 is needed", options->batch);
    if (options->height < 0 || options->width < 0)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "input size is %d x %d", options->width, options->height);
    void *gap = nac_alloc(SMALL_THINGS), *fence = nac_alloc(SMALL_THINGS);
    nac_session *created = nac_alloc_array(1, sizeof *created);
    int *bindings = nac_alloc_array((size_t)model->tensor_count, sizeof *bindings);
    nac_status status = NAC_OK;
    nac_free(gap);
    if (gap && fence && created && bindings) {
        created->backend = options->backend;
        created->keep_maps = options->keep_maps;
        created->graph.input = created->graph.logits = NAC_NONE;
        for (int i = 0; i < model->tensor_count; ++i) bindings[i] = NAC_NONE;
        status = build(created, model, options, bindings, error);
    } else {
        status = nac_out_of_memory(error, "a session");
    }
    nac_free(fence);
    nac_free(bindings);
    if (status != NAC_OK) nac_session_destroy(created);
    else *session = created;
    return status;
}

void nac_session_destroy(nac_session *session) {
    if (!session) return;
#ifdef NAC_HAVE_XNNPACK
    nac_xnnpack_destroy(session->xnnpack);
#endif
    for (int i = 0; i < session->tap_count; ++i) nac_free(session->tap_names[i]);
    nac_free(session->tap_names);
    nac_free(session->taps);
    nac_free(session->maps);
    nac_free(session->candidates);
    nac_free(session->info);
    nac_free(session->liftable);
    nac_free(session->arena);
    nac_graph_free(&session->graph);
    nac_free(session);
}

/* ---- Runs ---------------------------------------------------------------------------------------- */

nac_status nac_session_run_node(nac_session *session, int node, nac_error *error) {
    if (node < 0 || node >= session->graph.node_count)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "node %d of %d", node, session->graph.node_count);
    const nac_node *n = &session->graph.nodes[node];
    nac_lift_inputs(&session->graph, n, session->liftable);
#ifdef NAC_HAVE_XNNPACK
    if (session->xnnpack) return nac_xnnpack_run(session->xnnpack, node, error);
#endif
    nac_ops[n->op].run(&session->graph, n);
    return NAC_OK;
}

static nac_status check_finite(const nac_session *session, int value, const char *what, const char *name, nac_error *error) {
    if (all_finite(&session->graph.values[value])) return NAC_OK;
    return nac_fail(error, NAC_NOT_FINITE, "%s of '%s' holds NaN or infinity", what, name);
}

nac_status nac_session_forward(nac_session *session, nac_error *error) {
    for (int n = 0; n < session->forward_count; ++n) NAC_TRY(nac_session_run_node(session, n, error));
    /* Taps stand deepest first; the earliest one that is not finite is the nearest to the cause. */
    for (int i = session->tap_count - 1; i >= 0; --i)
        NAC_TRY(check_finite(session, session->taps[i].z, "the activation", session->tap_names[i], error));
    return check_finite(session, session->graph.logits, "the output", "logits", error);
}

nac_status nac_session_backward(nac_session *session, nac_error *error) {
    for (int n = session->forward_count; n < session->graph.node_count; ++n) NAC_TRY(nac_session_run_node(session, n, error));
    for (int i = 0; i < session->tap_count; ++i)
        NAC_TRY(check_finite(session, session->taps[i].g, "the gradient", session->tap_names[i], error));
    return NAC_OK;
}

/* ---- Results ------------------------------------------------------------------------------------- */

static const nac_shape *shape_of(const nac_session *session, int value) { return &session->graph.values[value].shape; }

float *nac_session_input(nac_session *session, int dims[4]) {
    const nac_value *input = &session->graph.values[session->graph.input];
    memcpy(dims, input->shape.dims, 4 * sizeof *dims);
    return input->data;
}

int nac_session_node_count(const nac_session *session) { return session->graph.node_count; }
int nac_session_forward_count(const nac_session *session) { return session->forward_count; }
int nac_session_batch(const nac_session *session) { return shape_of(session, session->graph.logits)->dims[0]; }
int nac_session_classes(const nac_session *session) { return shape_of(session, session->graph.logits)->dims[1]; }
const float *nac_session_logits(const nac_session *session) { return session->graph.values[session->graph.logits].data; }
int nac_session_tap_count(const nac_session *session) { return session->tap_count; }
int nac_session_classifier_tap(const nac_session *session) { return session->classifier.tap; }
const char *nac_session_tap_name(const nac_session *session, int tap) { return session->tap_names[tap]; }
nac_pool nac_session_tap_pool(const nac_session *session, int tap) { return session->taps[tap].pool; }
int nac_session_tap_neurons(const nac_session *session, int tap) { return shape_of(session, session->taps[tap].z)->dims[1]; }
const float *nac_session_tap_z(const nac_session *session, int tap) { return session->graph.values[session->taps[tap].z].data; }
const float *nac_session_tap_g(const nac_session *session, int tap) { return session->graph.values[session->taps[tap].g].data; }
const char *nac_session_info(const nac_session *session) { return session->info; }

nac_status nac_session_classifier(const nac_session *session, float *weight, float *bias, nac_error *error) {
    const nac_classifier c = session->classifier;
    if (c.tap == NAC_NONE) return nac_fail(error, NAC_INVALID_ARGUMENT, "no tap is the classifier's input");
    if (session->backend != NAC_BACKEND_REFERENCE) return nac_fail(error, NAC_UNSUPPORTED, "only the reference backend keeps weights");
    const int K = nac_session_classes(session), C = nac_session_tap_neurons(session, c.tap);
    const float *w = session->graph.values[c.weight].data, *b = c.bias == NAC_NONE ? NULL : session->graph.values[c.bias].data;
    for (int k = 0; k < K; ++k) {
        for (int i = 0; i < C; ++i) weight[(size_t)k * (size_t)C + (size_t)i] = c.inputs_first ? w[(size_t)i * (size_t)K + (size_t)k] : w[(size_t)k * (size_t)C + (size_t)i];
        bias[k] = b ? b[k] : 0;
    }
    return NAC_OK;
}

const float *nac_session_tap_map(const nac_session *session, int tap, int dims[4]) {
    if (!session->keep_maps) return NULL;
    const nac_value *map = &session->graph.values[session->maps[tap]];
    const int rank = map->shape.rank;
    dims[0] = map->shape.dims[0];
    dims[1] = rank > 2 ? map->shape.dims[1] : 1;
    dims[2] = rank > 3 ? map->shape.dims[2] : 1;
    dims[3] = map->shape.dims[rank - 1];
    return map->data;
}
