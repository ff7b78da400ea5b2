/* model.c - nac_model_open: from a stranger's bytes to a model whose graph is sound. Its operators are looked at by ops/lower_model.c. */
#include "onnx/reader.h"

static nac_status read_all(nac_reader *reader) {
    NAC_TRY(nac_read_model(reader));
    NAC_TRY(nac_sort_files(reader));
    NAC_TRY(nac_sort_names(reader));
    NAC_TRY(nac_sort_nodes(reader));
    return nac_write_model_info(reader);
}

nac_status nac_model_open(const void *bytes, size_t size, nac_model **model, nac_error *error) {
    if (!bytes || size == 0) return nac_fail(error, NAC_MALFORMED, "the model is empty (0 bytes)");
    if (size > NAC_MAX_MODEL_BYTES) return nac_fail(error, NAC_LIMIT_EXCEEDED, "the file has %zu bytes; a model may have %d", size, NAC_MAX_MODEL_BYTES);
    nac_model *opened = nac_alloc_array(1, sizeof *opened);
    nac_arena *arena = nac_alloc_array(1, sizeof *arena);
    if (!opened || !arena) {
        nac_free(opened);
        nac_free(arena);
        return nac_out_of_memory(error, "the model");
    }
    opened->memory = arena;
    opened->bytes = size;
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
