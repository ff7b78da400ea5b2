/* session_info.c - what a session is, as JSON for `nac info` and for timings. */
#include <string.h>

#include "base/json.h"
#include "graph/session.h"
#include "ops/ops.h"

static const char *const pool_names[] = {
    [NAC_POOL_SUM] = "sum", [NAC_POOL_NHWC] = "nhwc", [NAC_POOL_MEAN] = "mean", [NAC_POOL_CLS] = "cls", [NAC_POOL_NONE] = "none"};

static void add_dims(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const nac_shape *shape) {
    yyjson_mut_val *array = yyjson_mut_arr(doc);
    for (int i = 0; i < shape->rank; ++i) yyjson_mut_arr_add_int(doc, array, shape->dims[i]);
    yyjson_mut_obj_add_val(doc, object, key, array);
}

/* Writes and frees the document; failed: as its allocator left it. */
static nac_status write_document(yyjson_mut_doc *doc, const bool *failed, char **json, nac_error *error) {
    const yyjson_alc allocator = nac_json_allocator();
    char *text = doc && !*failed ? yyjson_mut_write_opts(doc, YYJSON_WRITE_NOFLAG, &allocator, NULL, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    if (!text) return nac_out_of_memory(error, "a description of the model");
    *json = text;
    return NAC_OK;
}

nac_status nac_session_write_candidates(const nac_graph *graph, char **json, nac_error *error) {
    nac_graph_tap *taps;
    int count;
    NAC_TRY(nac_graph_tap_candidates(graph, &taps, &count, error));
    bool failed;
    const yyjson_alc allocator = nac_json_watched_allocator(&failed);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    yyjson_mut_val *array = doc ? yyjson_mut_arr(doc) : NULL;
    if (doc) yyjson_mut_doc_set_root(doc, array);
    for (int i = 0; doc && i < count; ++i) {
        const nac_value *value = &graph->values[taps[i].value];
        const nac_shape shape = nac_logical_shape(value);
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, array);
        yyjson_mut_obj_add_strcpy(doc, item, "name", value->name);
        yyjson_mut_obj_add_str(doc, item, "pool", pool_names[taps[i].pool]);
        add_dims(doc, item, "shape", &shape);
    }
    nac_free(taps);
    return write_document(doc, &failed, json, error);
}

static uint64_t sum_macs(const nac_graph *graph, int first, int last) {
    uint64_t macs = 0;
    for (int n = first; n < last; ++n) macs += nac_node_macs(graph, &graph->nodes[n]);
    return macs;
}

static void add_taps(yyjson_mut_doc *doc, yyjson_mut_val *root, const nac_session *session) {
    yyjson_mut_val *taps = yyjson_mut_obj_add_arr(doc, root, "taps");
    for (int i = 0; i < session->tap_count; ++i) {
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, taps);
        yyjson_mut_obj_add_strcpy(doc, item, "name", session->tap_names[i]);
        yyjson_mut_obj_add_str(doc, item, "pool", pool_names[session->taps[i].pool]);
        yyjson_mut_obj_add_int(doc, item, "neurons", nac_session_tap_neurons(session, i));
    }
}

static void add_nodes(yyjson_mut_doc *doc, yyjson_mut_val *root, const nac_graph *graph) {
    yyjson_mut_val *nodes = yyjson_mut_obj_add_arr(doc, root, "nodes");
    for (int n = 0; n < graph->node_count; ++n) {
        const nac_node *node = &graph->nodes[n];
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, nodes);
        yyjson_mut_obj_add_strcpy(doc, item, "name", node->name);
        yyjson_mut_obj_add_str(doc, item, "op", nac_ops[node->op].name);
        add_dims(doc, item, "shape", &graph->values[node->output].shape);
        yyjson_mut_obj_add_uint(doc, item, "macs", nac_node_macs(graph, node));
    }
}

nac_status nac_session_write_info(nac_session *session, nac_error *error) {
    const nac_graph *graph = &session->graph;
    bool failed;
    const yyjson_alc allocator = nac_json_watched_allocator(&failed);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    if (!doc) return nac_out_of_memory(error, "a description of the model");
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    add_dims(doc, root, "input", &graph->values[graph->input].shape);
    yyjson_mut_obj_add_int(doc, root, "classes", nac_session_classes(session));
    yyjson_mut_obj_add_str(doc, root, "logits", graph->logs ? "logarithms of probabilities" : "logits");
    yyjson_mut_obj_add_uint(doc, root, "macsForward", sum_macs(graph, 0, session->forward_count));
    yyjson_mut_obj_add_uint(doc, root, "macsBackward", sum_macs(graph, session->forward_count, graph->node_count));
    yyjson_mut_obj_add_uint(doc, root, "arenaBytes", session->arena_bytes);
    yyjson_mut_obj_add_uint(doc, root, "weightBytes", session->weight_bytes);
    add_taps(doc, root, session);
    yyjson_mut_obj_add_val(doc, root, "candidates", yyjson_mut_raw(doc, session->candidates));
    add_nodes(doc, root, graph);
    return write_document(doc, &failed, &session->info, error);
}
