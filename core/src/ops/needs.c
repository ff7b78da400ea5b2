#include "ops/needs.h"

#include <stdio.h>

#include "graph/graph.h"
#include "ops/onnx_list.h"

static bool is_choice(const nac_onnx_node *node) { return nac_is_op(node, "ArgMax") || nac_is_op(node, "Hardmax") || nac_is_op(node, "TopK"); }

/* Probabilities' softmax, or the choice, may hide behind operators that only give its result another shape. */
static void find_logits(nac_needs *needs) {
    const nac_model *model = needs->model;
    needs->logits = model->outputs[0].tensor;
    for (int tensor = needs->logits;;) {
        const int producer = needs->producers[tensor];
        if (producer == NAC_NONE || model->nodes[producer].input_count == 0) return;
        const nac_onnx_node *node = &model->nodes[producer];
        if (node->inputs[0] == NAC_ONNX_ABSENT) return;
        tensor = node->inputs[0];
        if (nac_is_softmax(node) || is_choice(node)) {
            needs->end = node;
            needs->logits = tensor;
        }
        if (nac_is_softmax(node)) return;
        if (!is_choice(node) && !nac_is_op(node, "Identity") && !nac_is_op(node, "Dropout") && !nac_is_op(node, "Flatten") && !nac_is_op(node, "Reshape") &&
            !nac_is_op(node, "Squeeze") && !nac_is_op(node, "Cast"))
            return;
    }
}

int nac_body_number(const nac_onnx_scope *scope) {
    while (scope && scope->condition) scope = scope->outer;
    return scope ? scope->number : 0;
}

/* Of the outermost body. */
static int outermost_body(const nac_onnx_scope *scope) {
    int number = 0;
    for (; scope; scope = scope->outer)
        if (!scope->condition) number = scope->number;
    return number;
}

/* Called from the last node to the first. */
static void mark_read(nac_needs *needs, int tensor, int node, int use) {
    if (tensor == NAC_ONNX_ABSENT) return;
    needs->needed[tensor] = true;
    ++needs->reads[tensor];
    if (needs->last_readers[tensor] == NAC_NONE) needs->last_readers[tensor] = node;
    if (needs->last_uses[tensor] < use) needs->last_uses[tensor] = use;
}

/* Marks what the logits depend on. Nodes are in a runnable order, those of a body in front of the node that it belongs to, so one walk back sees
 * everything. `loops` is [scopes + 1]: that node, for a body whose node was met. */
static void mark_needed(nac_needs *needs, int *loops) {
    const nac_model *model = needs->model;
    needs->needed[needs->logits] = true;
    for (int n = model->node_count - 1; n >= 0; --n) {
        const nac_onnx_node *node = &model->nodes[n];
        const int body = nac_body_number(node->scope), outermost = outermost_body(node->scope);
        needs->next_nodes[n] = needs->first_nodes[body];
        needs->first_nodes[body] = n;
        if (node->body) loops[node->body->number] = n;
        bool needed = false;
        for (int i = 0; i < node->output_count; ++i) needed = needed || (node->outputs[i] != NAC_ONNX_ABSENT && needs->needed[node->outputs[i]]);
        if (!needed) continue;
        for (int i = 0; i < node->input_count; ++i) mark_read(needs, node->inputs[i], n, outermost ? loops[outermost] : n);
    }
}

bool nac_needs_node(const nac_needs *needs, const nac_onnx_node *node) {
    for (int i = 0; i < node->output_count; ++i)
        if (node->outputs[i] != NAC_ONNX_ABSENT && needs->needed[node->outputs[i]]) return true;
    return false;
}

/* Names the node `first`, and what else the logits would need. */
static nac_status refuse(const nac_needs *needs, int first, nac_error *error) {
    const nac_model *model = needs->model;
    char others[160] = "";
    const char *listed[8];
    int count = 0;
    size_t used = 0;
    for (int n = first + 1; n < model->node_count && count < (int)NAC_COUNT(listed); ++n) {
        const char *op_type = model->nodes[n].op_type;
        bool known = nac_onnx_op_find(op_type) || !nac_needs_node(needs, &model->nodes[n]) || nac_is_op(&model->nodes[first], op_type);
        for (int i = 0; i < count; ++i) known = known || strcmp(listed[i], op_type) == 0;
        if (known) continue;
        const int written = snprintf(others + used, sizeof others - used, "%s%.24s", count ? ", " : "; nor are ", op_type);
        if (written < 0 || (size_t)written >= sizeof others - used) break;
        used += (size_t)written;
        listed[count++] = op_type;
    }
    return nac_fail(error, NAC_UNSUPPORTED, "node '%.80s': operator %.40s is not supported%s", model->nodes[first].name,
                    model->nodes[first].op_type, others);
}

static nac_status check_operators(const nac_needs *needs, nac_error *error) {
    const nac_model *model = needs->model;
    for (int n = 0; n < model->node_count; ++n)
        if (nac_needs_node(needs, &model->nodes[n]) && !nac_onnx_op_find(model->nodes[n].op_type)) return refuse(needs, n, error);
    return NAC_OK;
}

/* ---- Life ------------------------------------------------------------------------------------------ */

nac_status nac_needs_find(const nac_model *model, nac_needs *needs, nac_error *error) {
    *needs = (nac_needs){.model = model};
    if (model->output_count < 1) return nac_fail(error, NAC_UNSUPPORTED, "the model has no output");
    const size_t tensors = (size_t)model->tensor_count, nodes = (size_t)model->node_count, bodies = (size_t)model->scope_count + 1;
    needs->producers = nac_alloc_array(tensors, sizeof *needs->producers);
    needs->needed = nac_alloc_array(tensors, sizeof *needs->needed);
    needs->last_readers = nac_alloc_array(tensors, sizeof *needs->last_readers);
    needs->reads = nac_alloc_array(tensors, sizeof *needs->reads);
    needs->last_uses = nac_alloc_array(tensors, sizeof *needs->last_uses);
    needs->next_nodes = nac_alloc_array(nodes, sizeof *needs->next_nodes);
    needs->first_nodes = nac_alloc_array(bodies, sizeof *needs->first_nodes);
    int *loops = nac_alloc_array(bodies, sizeof *loops);
    if (!needs->producers || !needs->needed || !needs->last_readers || !needs->reads || !needs->last_uses || !needs->next_nodes ||
        !needs->first_nodes || !loops) {
        nac_free(loops);
        return nac_out_of_memory(error, "the model's tensors");
    }
    for (size_t t = 0; t < tensors; ++t) needs->producers[t] = needs->last_readers[t] = needs->last_uses[t] = NAC_NONE;
    for (size_t b = 0; b < bodies; ++b) needs->first_nodes[b] = NAC_NONE;
    for (size_t n = 0; n < nodes; ++n)
        for (int i = 0; i < model->nodes[n].output_count; ++i)
            if (model->nodes[n].outputs[i] != NAC_ONNX_ABSENT) needs->producers[model->nodes[n].outputs[i]] = (int)n;
    find_logits(needs);
    mark_needed(needs, loops);
    nac_free(loops);
    return check_operators(needs, error);
}

void nac_needs_free(nac_needs *needs) {
    nac_free(needs->producers);
    nac_free(needs->needed);
    nac_free(needs->last_readers);
    nac_free(needs->reads);
    nac_free(needs->last_uses);
    nac_free(needs->next_nodes);
    nac_free(needs->first_nodes);
}

nac_status nac_model_check(const nac_model *model, nac_error *error) {
    nac_needs needs;
    const nac_status status = nac_needs_find(model, &needs, error);
    nac_needs_free(&needs);
    return status;
}
