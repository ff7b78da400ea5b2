/* info.c - what `nac info` says of a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "onnx/reader.h"
#include "ops/ops.h"

static void add_io(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *key, const nac_model *model, const nac_onnx_io *list, int count) {
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, root, key);
    for (int i = 0; i < count; ++i) {
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, array);
        yyjson_mut_obj_add_str(doc, entry, "name", model->tensor_names[list[i].tensor]);
        if (list[i].rank < 0 || list[i].rank > NAC_MAX_RANK) {
            yyjson_mut_obj_add_null(doc, entry, "dims");
            continue;
        }
        yyjson_mut_val *dims = yyjson_mut_obj_add_arr(doc, entry, "dims"); /* null: free */
        for (int d = 0; d < list[i].rank; ++d) {
            if (list[i].dims[d] < 0) yyjson_mut_arr_add_null(doc, dims);
            else yyjson_mut_arr_add_sint(doc, dims, list[i].dims[d]);
        }
    }
}

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* {"Conv": 20, "Relu": 19}, in alphabetical order. */
static bool add_operators(yyjson_mut_doc *doc, yyjson_mut_val *root, const nac_model *model) {
    const char **names = nac_alloc_array((size_t)model->node_count, sizeof *names);
    if (!names) return false;
    for (int n = 0; n < model->node_count; ++n) names[n] = model->nodes[n].op_type;
    qsort(names, (size_t)model->node_count, sizeof *names, compare_names);
    yyjson_mut_val *counts = yyjson_mut_obj_add_obj(doc, root, "operators");
    for (int start = 0; start < model->node_count;) {
        int end = start + 1;
        while (end < model->node_count && strcmp(names[start], names[end]) == 0) ++end;
        yyjson_mut_obj_add_int(doc, counts, names[start], end - start);
        start = end;
    }
    nac_free(names);
    return true;
}

/* The names among the operators' that have no translator. */
static void add_unsupported(yyjson_mut_doc *doc, yyjson_mut_val *root) {
    yyjson_mut_val *unsupported = yyjson_mut_obj_add_arr(doc, root, "unsupported");
    yyjson_mut_obj_iter names = yyjson_mut_obj_iter_with(yyjson_mut_obj_get(root, "operators"));
    for (yyjson_mut_val *name; (name = yyjson_mut_obj_iter_next(&names));)
        if (!nac_onnx_op_find(yyjson_mut_get_str(name))) yyjson_mut_arr_add_str(doc, unsupported, yyjson_mut_get_str(name));
}

/* A list of strings in the file's metadata, or null. What else a "labels" entry may hold is somebody else's convention. */
static void add_labels(yyjson_mut_doc *doc, yyjson_mut_val *root, const nac_reader *reader, const yyjson_alc *allocator) {
    yyjson_doc *labels = NULL;
    /* yyjson wants bytes it may change only with an in-situ flag; without it the text is copied. */
    if (reader->labels) labels = yyjson_read_opts((char *)reader->labels, reader->labels_size, 0, allocator, NULL);
    yyjson_val *list = labels ? yyjson_doc_get_root(labels) : NULL;
    bool usable = yyjson_is_arr(list);
    size_t i, count;
    yyjson_val *label;
    yyjson_arr_foreach(list, i, count, label) usable = usable && yyjson_is_str(label);
    if (usable) yyjson_mut_obj_add_val(doc, root, "labels", yyjson_val_mut_copy(doc, list));
    else yyjson_mut_obj_add_null(doc, root, "labels");
    yyjson_doc_free(labels);
}

static void add_files(yyjson_mut_doc *doc, yyjson_mut_val *root, const nac_model *model) {
    yyjson_mut_val *files = yyjson_mut_obj_add_arr(doc, root, "files");
    for (size_t i = 0; i < model->file_count; ++i) {
        yyjson_mut_val *file = yyjson_mut_arr_add_obj(doc, files);
        yyjson_mut_obj_add_str(doc, file, "name", model->files[i].name);
        yyjson_mut_obj_add_uint(doc, file, "bytes", model->files[i].last->offset + model->files[i].last->length);
    }
}

nac_status nac_write_model_info(nac_reader *reader) {
    nac_model *model = reader->model;
    bool failed;
    const yyjson_alc allocator = nac_json_watched_allocator(&failed);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    if (!doc) return nac_out_of_memory(reader->error, "the model's description");
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "name", reader->graph_name ? reader->graph_name : "");
    yyjson_mut_obj_add_int(doc, root, "opset", model->opset);
    const char *producer = reader->producer ? reader->producer : "", *version = reader->producer_version ? reader->producer_version : "";
    char text[2 * NAC_MAX_NAME + 2];
    (void)snprintf(text, sizeof text, "%s %s", producer, version);
    yyjson_mut_obj_add_strcpy(doc, root, "producer", version[0] ? text : producer);
    add_io(doc, root, "inputs", model, model->inputs, model->input_count);
    add_io(doc, root, "outputs", model, model->outputs, model->output_count);
    const bool complete = add_operators(doc, root, model);
    add_labels(doc, root, reader, &allocator);
    add_unsupported(doc, root);
    uint64_t parameters = 0;
    for (int t = 0; t < model->tensor_count; ++t)
        if (model->initializers[t] && nac_onnx_tensor_becomes_float(model->initializers[t])) parameters += model->initializers[t]->count;
    yyjson_mut_obj_add_uint(doc, root, "parameters", parameters);
    add_files(doc, root, model);
    model->info = complete && !failed ? yyjson_mut_write_opts(doc, 0, &allocator, NULL, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    return model->info ? NAC_OK : nac_out_of_memory(reader->error, "the model's description");
}
