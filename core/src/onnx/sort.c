/* sort.c - from names to ids, and from the file's order of nodes to one that can be run. O(n log n) whatever the names are:
 * they are sorted, not hashed, so no choice of names makes it slow. */
#include <stdlib.h>
#include <string.h>

#include "onnx/reader.h"

/* ---- Names ------------------------------------------------------------------------------------- */

typedef struct mention {
    const char *name;
    int index;
} mention;

static int compare_mentions(const void *a, const void *b) { return strcmp(((const mention *)a)->name, ((const mention *)b)->name); }

int nac_model_find_tensor(const nac_model *model, const char *name) {
    int low = 0, high = model->tensor_count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const int order = strcmp(name, model->tensor_names[middle]);
        if (order == 0) return middle;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NAC_ONNX_ABSENT;
}

static void replace(const int *mentions, int count, const int *ids) {
    int *numbers = (int *)mentions; /* the arena's, const only for the model's readers */
    for (int i = 0; i < count; ++i)
        if (numbers[i] != NAC_ONNX_ABSENT) numbers[i] = ids[numbers[i]];
}

nac_status nac_sort_names(nac_reader *reader) {
    nac_model *model = reader->model;
    const int count = reader->name_count;
    mention *mentions = nac_alloc_array((size_t)count, sizeof *mentions);
    int *ids = nac_alloc_array((size_t)count, sizeof *ids);
    model->tensor_names = nac_arena_take(reader->arena, (size_t)count * sizeof *model->tensor_names);
    model->initializers = nac_arena_take(reader->arena, (size_t)count * sizeof *model->initializers);
    nac_status status = NAC_OK;
    if (!mentions || !ids || !model->tensor_names || !model->initializers) {
        status = nac_out_of_memory(reader->error, "the model's names");
    } else {
        for (int i = 0; i < count; ++i) mentions[i] = (mention){reader->names[i], i};
        qsort(mentions, (size_t)count, sizeof *mentions, compare_mentions);
        for (int i = 0; i < count; ++i) {
            if (i == 0 || strcmp(mentions[i - 1].name, mentions[i].name) != 0) model->tensor_names[model->tensor_count++] = mentions[i].name;
            ids[mentions[i].index] = model->tensor_count - 1;
        }
        for (int n = 0; n < model->node_count; ++n) {
            replace(model->nodes[n].inputs, model->nodes[n].input_count, ids);
            replace(model->nodes[n].outputs, model->nodes[n].output_count, ids);
        }
        for (int i = 0; i < model->input_count; ++i) model->inputs[i].tensor = ids[model->inputs[i].tensor];
        for (int i = 0; i < model->output_count; ++i) model->outputs[i].tensor = ids[model->outputs[i].tensor];
        for (int i = 0; i < reader->tensor_count && status == NAC_OK; ++i) {
            const int id = ids[reader->tensor_mentions[i]];
            if (model->initializers[id])
                status = nac_fail(reader->error, NAC_MALFORMED, "tensor '%s' has two initializers", model->tensor_names[id]);
            model->initializers[id] = reader->tensors[i];
        }
    }
    nac_free(mentions);
    nac_free(ids);
    return status;
}

/* ---- Nodes ------------------------------------------------------------------------------------- */

/* Who makes a tensor: a node's index, or one of these. */
enum { NOBODY = -1, THE_FILE = -2 };

/* Whether only one of two nodes can run: what they make may have one name. */
static bool are_alternatives(const nac_onnx_node *a, const nac_onnx_node *b) {
    for (const nac_onnx_branch *x = a->branch; x; x = x->outer)
        for (const nac_onnx_branch *y = b->branch; y; y = y->outer)
            if (x->condition == y->condition && x->wanted != y->wanted) return true;
    return false;
}

static nac_status find_producers(nac_reader *reader, int *producers) {
    nac_model *model = reader->model;
    for (int t = 0; t < model->tensor_count; ++t) producers[t] = model->initializers[t] ? THE_FILE : NOBODY;
    /* Old exporters list every initializer as an input, too. */
    int kept = 0;
    for (int i = 0; i < model->input_count; ++i) {
        const int id = model->inputs[i].tensor;
        if (model->initializers[id]) continue;
        if (producers[id] != NOBODY)
            return nac_fail(reader->error, NAC_MALFORMED, "the model has two inputs named '%s'", model->tensor_names[id]);
        producers[id] = THE_FILE;
        model->inputs[kept++] = model->inputs[i];
    }
    model->input_count = kept;
    for (int n = 0; n < model->node_count; ++n)
        for (int i = 0; i < model->nodes[n].output_count; ++i) {
            const int id = model->nodes[n].outputs[i];
            if (id == NAC_ONNX_ABSENT) continue;
            if (producers[id] != NOBODY && (producers[id] == THE_FILE || !are_alternatives(&model->nodes[producers[id]], &model->nodes[n])))
                return nac_fail(reader->error, NAC_MALFORMED, "tensor '%s' is produced twice (again by node '%s')", model->tensor_names[id],
                                model->nodes[n].name);
            producers[id] = n;
        }
    return NAC_OK;
}

/* A node on the path that is being followed, and the next of its inputs to look at. */
typedef struct step {
    int node, input;
} step;

enum { UNSEEN, OPEN, DONE };

/* The tensors that a node waits for: its inputs, then the conditions of the branches that it stands in. False behind the last one. */
static bool awaited(const nac_onnx_node *node, int i, int *id) {
    if (i < node->input_count) {
        *id = node->inputs[i];
        return true;
    }
    const nac_onnx_branch *branch = node->branch;
    for (i -= node->input_count; branch && i > 0; --i) branch = branch->outer;
    if (branch) *id = *branch->condition;
    return branch != NULL;
}

/* Everything that `start` depends on, then `start` itself, to order[*count..]. A file in order stays as it is. */
static nac_status follow(nac_reader *reader, int start, const int *producers, unsigned char *states, step *path, int *order, int *count) {
    const nac_model *model = reader->model;
    int depth = 0;
    path[depth++] = (step){start, 0};
    states[start] = OPEN;
    while (depth > 0) {
        step *top = &path[depth - 1];
        const nac_onnx_node *node = &model->nodes[top->node];
        int id;
        if (!awaited(node, top->input, &id)) {
            states[top->node] = DONE;
            order[(*count)++] = top->node;
            --depth;
            continue;
        }
        ++top->input;
        if (id == NAC_ONNX_ABSENT || producers[id] == THE_FILE) continue;
        if (producers[id] == NOBODY)
            return nac_fail(reader->error, NAC_MALFORMED, "node '%s' (%s) reads tensor '%s', which nothing produces", node->name,
                            node->op_type, model->tensor_names[id]);
        const int next = producers[id];
        if (states[next] == OPEN)
            return nac_fail(reader->error, NAC_MALFORMED, "tensor '%s' depends on itself (read by node '%s')", model->tensor_names[id],
                            node->name);
        if (states[next] == DONE) continue;
        states[next] = OPEN;
        path[depth++] = (step){next, 0};
    }
    return NAC_OK;
}

nac_status nac_sort_nodes(nac_reader *reader) {
    nac_model *model = reader->model;
    const size_t nodes = (size_t)model->node_count;
    int *producers = nac_alloc_array((size_t)model->tensor_count, sizeof *producers);
    unsigned char *states = nac_alloc_array(nodes, sizeof *states);
    step *path = nac_alloc_array(nodes, sizeof *path);
    int *order = nac_alloc_array(nodes, sizeof *order);
    nac_onnx_node *sorted = nac_arena_take(reader->arena, nodes * sizeof *sorted);
    nac_status status = NAC_OK;
    if (!producers || !states || !path || !order || !sorted) status = nac_out_of_memory(reader->error, "the model's nodes");
    if (status == NAC_OK) status = find_producers(reader, producers);
    int count = 0;
    for (int n = 0; n < model->node_count && status == NAC_OK; ++n)
        if (states[n] == UNSEEN) status = follow(reader, n, producers, states, path, order, &count);
    for (int i = 0; i < model->output_count && status == NAC_OK; ++i)
        if (producers[model->outputs[i].tensor] == NOBODY)
            status = nac_fail(reader->error, NAC_MALFORMED, "nothing produces the model's output '%s'",
                              model->tensor_names[model->outputs[i].tensor]);
    if (status == NAC_OK) {
        for (int i = 0; i < count; ++i) sorted[i] = model->nodes[order[i]];
        model->nodes = sorted;
    }
    nac_free(producers);
    nac_free(states);
    nac_free(path);
    nac_free(order);
    return status;
}
