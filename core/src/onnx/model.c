/* model.c - nac_model_open: from a stranger's bytes to a model of which every operator is known. */
#include <stdio.h>
#include <string.h>

#include "onnx/reader.h"
#include "ops/ops.h"

/* True if no node before `n` has the same operator: for messages only, so its cost does not matter. */
static bool first_of_its_kind(const nac_model *model, int n) {
    for (int i = 0; i < n; ++i)
        if (strcmp(model->nodes[i].op_type, model->nodes[n].op_type) == 0) return false;
    return true;
}

/* Names the first node that cannot be lowered, and what else the model would need. */
static nac_status refuse(const nac_model *model, int first, nac_error *error) {
    char others[160] = "";
    size_t used = 0;
    int listed = 0;
    for (int n = first + 1; n < model->node_count && listed < 8; ++n) {
        const nac_onnx_node *node = &model->nodes[n];
        if (nac_onnx_op_find(node->op_type) || strcmp(node->op_type, model->nodes[first].op_type) == 0) continue;
        if (!first_of_its_kind(model, n)) continue;
        const int written = snprintf(others + used, sizeof others - used, "%s%.24s", listed ? ", " : "; nor are ", node->op_type);
        if (written < 0 || (size_t)written >= sizeof others - used) break;
        used += (size_t)written;
        ++listed;
    }
    return nac_fail(error, NAC_UNSUPPORTED, "node '%.80s': operator %.40s is not supported%s", model->nodes[first].name,
                    model->nodes[first].op_type, others);
}

static nac_status check_operators(const nac_model *model, nac_error *error) {
    for (int n = 0; n < model->node_count; ++n)
        if (!nac_onnx_op_find(model->nodes[n].op_type)) return refuse(model, n, error);
    return NAC_OK;
}

static nac_status read_all(nac_reader *reader) {
    NAC_TRY(nac_read_model(reader));
    NAC_TRY(nac_sort_names(reader));
    NAC_TRY(nac_sort_nodes(reader));
    NAC_TRY(check_operators(reader->model, reader->error));
    return nac_write_model_info(reader);
}

nac_status nac_model_open(const void *bytes, size_t size, nac_model **model, nac_error *error) {
    if (!bytes || size == 0) return nac_fail(error, NAC_MALFORMED, "the model is empty (0 bytes)");
    nac_model *opened = nac_alloc_array(1, sizeof *opened);
    nac_arena *arena = nac_alloc_array(1, sizeof *arena);
    if (!opened || !arena) {
        nac_free(opened);
        nac_free(arena);
        return nac_out_of_memory(error, "the model");
    }
    opened->memory = arena;
    nac_reader reader = {.bytes = bytes, .size = size, .arena = arena, .model = opened, .error = error};
    const nac_status status = read_all(&reader);
    if (status != NAC_OK) {
        nac_model_close(opened);
        return status;
    }
    *model = opened;
    return NAC_OK;
}

void nac_model_close(nac_model *model) {
    if (!model) return;
    nac_arena_free(model->memory);
    nac_free(model->memory);
    nac_free(model->info);
    nac_free(model);
}

const char *nac_model_info(const nac_model *model) { return model->info; }
