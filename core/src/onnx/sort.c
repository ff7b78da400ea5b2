/* sort.c - from names to ids, and from the file's order of nodes to one that can be run. O(n log n) whatever the names are:
 * they are sorted, not hashed, so no choice of names makes it slow. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/reader.h"

/* ---- Names ------------------------------------------------------------------------------------- */

typedef struct mention {
    const char *name;
    int scope; /* the number of the scope that makes the tensor here, 0 outside of all; INT_MAX where it is read */
    int index;
} mention;

/* By name; of one name first where it is made, scope by scope. */
static int compare_mentions(const void *a, const void *b) {
    const mention *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : x->scope < y->scope ? -1 : x->scope > y->scope;
}

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

bool nac_model_name_is_unique(const nac_model *model, int tensor) {
    const char *const *names = model->tensor_names;
    return !model->repeated[tensor] && (tensor == 0 || strcmp(names[tensor - 1], names[tensor]) != 0) &&
           (tensor + 1 == model->tensor_count || strcmp(names[tensor + 1], names[tensor]) != 0);
}

static void replace(const int *mentions, int count, const int *ids) {
    int *numbers = (int *)mentions; /* the arena's, const only for the model's readers */
    for (int i = 0; i < count; ++i)
        if (numbers[i] != NAC_ONNX_ABSENT) numbers[i] = ids[numbers[i]];
}

/* The tensor that a scope makes, among ids [first, end) of one name whose scopes ascend; -1: none. */
static int made_by(const int *scopes, int first, int end, int scope) {
    while (first < end) {
        const int middle = first + (end - first) / 2;
        if (scopes[middle] == scope) return middle;
        if (scopes[middle] < scope) first = middle + 1;
        else end = middle;
    }
    return -1;
}

static bool is_repeated(const nac_onnx_scope *scope) {
    while (scope && scope->condition) scope = scope->outer;
    return scope != NULL;
}

/* Gives ids to `count` mentions of one name, in the order of compare_mentions: one for each scope that makes it. Who reads it sees the innermost
 * that he stands in; what nobody makes for him gets an id, too, and is complained of later. `scopes` is [ids]. */
static void number_name(nac_reader *reader, const mention *mentions, int count, int *ids, int *scopes) {
    nac_model *model = reader->model;
    const int first = model->tensor_count;
    int orphan = -1, made = 0;
    for (; made < count && mentions[made].scope != INT_MAX; ++made) {
        if (made == 0 || mentions[made].scope != mentions[made - 1].scope) {
            scopes[model->tensor_count] = mentions[made].scope;
            model->repeated[model->tensor_count] = is_repeated(reader->names[mentions[made].index].scope);
            model->tensor_names[model->tensor_count++] = mentions[made].name;
        }
        ids[mentions[made].index] = model->tensor_count - 1;
    }
    const int end = model->tensor_count;
    for (int i = made; i < count; ++i) {
        const nac_onnx_scope *scope = reader->names[mentions[i].index].scope;
        int id = made_by(scopes, first, end, scope ? scope->number : 0);
        for (; id < 0 && scope; scope = scope->outer) id = made_by(scopes, first, end, scope->outer ? scope->outer->number : 0);
        if (id < 0 && orphan < 0) {
            orphan = model->tensor_count;
            model->tensor_names[model->tensor_count++] = mentions[i].name;
        }
        ids[mentions[i].index] = id < 0 ? orphan : id;
    }
}

nac_status nac_sort_names(nac_reader *reader) {
    nac_model *model = reader->model;
    const int count = reader->name_count;
    mention *mentions = nac_alloc_array((size_t)count, sizeof *mentions);
    int *ids = nac_alloc_array((size_t)count, sizeof *ids), *scopes = nac_alloc_array((size_t)count, sizeof *scopes);
    model->tensor_names = nac_arena_take(reader->arena, (size_t)count * sizeof *model->tensor_names);
    model->initializers = nac_arena_take(reader->arena, (size_t)count * sizeof *model->initializers);
    model->repeated = nac_arena_take(reader->arena, (size_t)count * sizeof *model->repeated);
    nac_status status = NAC_OK;
    if (!mentions || !ids || !scopes || !model->tensor_names || !model->initializers || !model->repeated) {
        status = nac_out_of_memory(reader->error, "the model's names");
    } else {
        for (int i = 0; i < count; ++i) {
            const nac_mention *m = &reader->names[i];
            mentions[i] = (mention){m->name, !m->makes ? INT_MAX : m->scope ? m->scope->number : 0, i};
        }
        qsort(mentions, (size_t)count, sizeof *mentions, compare_mentions);
        for (int first = 0, next; first < count; first = next) {
            for (next = first + 1; next < count && strcmp(mentions[first].name, mentions[next].name) == 0; ++next) {}
            number_name(reader, &mentions[first], next - first, ids, scopes);
        }
        for (int n = 0; n < model->node_count; ++n) {
            replace(model->nodes[n].inputs, model->nodes[n].input_count, ids);
            replace(model->nodes[n].outputs, model->nodes[n].output_count, ids);
            if (model->nodes[n].body) replace(model->nodes[n].body->inputs, model->nodes[n].body->input_count, ids);
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
    nac_free(scopes);
    return status;
}

/* ---- Nodes ------------------------------------------------------------------------------------- */

/* Who makes a tensor: a node's index, or one of these. */
enum { NOBODY = -1, THE_FILE = -2 };

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
        for (int i = 0; model->nodes[n].body && i < model->nodes[n].body->input_count; ++i) {
            const int id = model->nodes[n].body->inputs[i];
            if (producers[id] != NOBODY)
                return nac_fail(reader->error, NAC_MALFORMED, "tensor '%s' is given to node '%s' twice", model->tensor_names[id],
                                model->nodes[n].name);
            producers[id] = THE_FILE;
        }
    for (int n = 0; n < model->node_count; ++n)
        for (int i = 0; i < model->nodes[n].output_count; ++i) {
            const int id = model->nodes[n].outputs[i];
            if (id == NAC_ONNX_ABSENT) continue;
            if (producers[id] != NOBODY)
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

/* The tensors that a node waits for: its inputs, then the conditions of the branches that it stands in. NAC_ONNX_ABSENT of a body, which has none.
 * False behind the last one. */
static bool awaited(const nac_onnx_node *node, int i, int *id) {
    if (i < node->input_count) {
        *id = node->inputs[i];
        return true;
    }
    const nac_onnx_scope *scope = node->scope;
    for (i -= node->input_count; scope && i > 0; --i) scope = scope->outer;
    if (scope) *id = scope->condition ? *scope->condition : NAC_ONNX_ABSENT;
    return scope != NULL;
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
