/* external.c - tensors whose numbers lie in other files than the model's (ONNX external data). Names of files are a stranger's and only compared
 * here, never opened; where a tensor lies is checked before anything is read there or memory is taken for it. */
#include <stdlib.h>
#include <string.h>

#include "onnx/reader.h"

/* ---- Reading ----------------------------------------------------------------------------------- */

bool nac_read_external(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_external_draft *draft = *arg;
    nac_text_field key = {.reader = draft->reader, .what = "a key of a tensor's external data"};
    nac_text_field value = {.reader = draft->reader, .what = "an entry of a tensor's external data"};
    onnx_StringStringEntryProto message = onnx_StringStringEntryProto_init_zero;
    message.key = nac_text_callback(&key);
    message.value = nac_text_callback(&value);
    if (!pb_decode(stream, onnx_StringStringEntryProto_fields, &message)) return false;
    if (!key.text || !value.text) return true;
    if (strcmp(key.text, "location") == 0) draft->location = value.text;
    if (strcmp(key.text, "offset") == 0) draft->offset = value.text;
    if (strcmp(key.text, "length") == 0) draft->length = value.text;
    return true; /* checksums are not looked at: profiles hold the hash of every file */
}

/* Whether the name cannot lead out of the model's folder, on any system: relative, no way up, no drive, no scheme, nothing hidden. */
static bool is_inside(const char *name) {
    for (const char *part = name;; ++part) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0)) return false;
        for (; length > 0; --length, ++part)
            if ((unsigned char)*part < 0x20 || *part == 0x7f || *part == '\\' || *part == ':') return false;
        if (!*part) return true;
    }
}

/* Decimal digits, as writers leave them. What is over the limit is the limit and 1: it is refused anyway. */
static bool read_number(const char *text, size_t *number) {
    uint64_t value = 0; /* ten times the limit is more than 32 bits have */
    for (const char *digit = text; *digit; ++digit) {
        if (*digit < '0' || *digit > '9') return false;
        value = value * 10 + (uint64_t)(*digit - '0');
        if (value > NAC_MAX_MODEL_BYTES) value = (uint64_t)NAC_MAX_MODEL_BYTES + 1;
    }
    *number = (size_t)value;
    return text[0] != 0;
}

bool nac_add_external(nac_reader *reader, const nac_external_draft *draft, size_t length, nac_onnx_tensor *tensor) {
    nac_onnx_external *external = nac_arena_take(reader->arena, sizeof *external);
    if (!external) return nac_reader_out_of_memory(reader);
    *external = (nac_onnx_external){.tensor = tensor->name, .file_name = draft->location, .length = length};
    if (!draft->location)
        return nac_reader_fail(reader, NAC_MALFORMED, "tensor '%.80s' lies in another file, but the model does not say in which", tensor->name);
    if (!is_inside(draft->location))
        return nac_reader_fail(reader, NAC_MALFORMED, "tensor '%.80s' lies in '%.150s', which is no name of a file beside the model", tensor->name,
                               draft->location);
    if (draft->offset && !read_number(draft->offset, &external->offset))
        return nac_reader_fail(reader, NAC_MALFORMED, "tensor '%.80s' lies in another file at '%.80s', which is no number", tensor->name, draft->offset);
    size_t said = length;
    if (draft->length && (!read_number(draft->length, &said) || said != length))
        return nac_reader_fail(reader, NAC_MALFORMED, "tensor '%.80s' has %zu bytes by its dimensions but '%.80s' in another file", tensor->name,
                               length, draft->length);
    if (length > NAC_MAX_MODEL_BYTES || external->offset > NAC_MAX_MODEL_BYTES - length)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "tensor '%.80s' lies in '%.80s' at byte %.20s and has %zu; a model and its files may have %d",
                               tensor->name, draft->location, draft->offset ? draft->offset : "0", length, NAC_MAX_MODEL_BYTES);
    reader->externals =
        nac_arena_grow(reader->arena, reader->externals, reader->external_count, &reader->external_capacity, sizeof *reader->externals);
    if (!reader->externals) return nac_reader_out_of_memory(reader);
    reader->externals[reader->external_count++] = external;
    tensor->external = external;
    return true;
}

/* ---- Files ------------------------------------------------------------------------------------- */

static size_t end_of(const nac_onnx_external *external) { return external->offset + external->length; }

static int compare_externals(const void *a, const void *b) {
    return strcmp((*(nac_onnx_external *const *)a)->file_name, (*(nac_onnx_external *const *)b)->file_name);
}

nac_status nac_sort_files(nac_reader *reader) {
    nac_model *model = reader->model;
    nac_onnx_external **externals = reader->externals;
    const int count = reader->external_count;
    if (count == 0) return NAC_OK;
    qsort(externals, (size_t)count, sizeof *externals, compare_externals);
    size_t files = 0;
    for (int i = 0; i < count; ++i) files += i == 0 || compare_externals(&externals[i - 1], &externals[i]) != 0;
    if (files > NAC_MAX_MODEL_FILES)
        return nac_fail(reader->error, NAC_LIMIT_EXCEEDED, "the model's tensors lie in %zu files; %d is the limit", files, NAC_MAX_MODEL_FILES);
    model->files = nac_arena_take(reader->arena, files * sizeof *model->files);
    if (!model->files) return nac_out_of_memory(reader->error, "the model's files");
    for (int i = 0; i < count; ++i) {
        if (i == 0 || compare_externals(&externals[i - 1], &externals[i]) != 0)
            model->files[model->file_count++] = (nac_onnx_file){.name = externals[i]->file_name, .last = externals[i]};
        nac_onnx_file *file = &model->files[model->file_count - 1];
        if (end_of(externals[i]) > end_of(file->last)) file->last = externals[i];
        externals[i]->file = file;
    }
    return NAC_OK;
}

const char *nac_model_file(const nac_model *model, size_t index) { return index < model->file_count ? model->files[index].name : NULL; }

static nac_onnx_file *find_file(const nac_model *model, const char *name) {
    for (size_t i = 0; i < model->file_count; ++i)
        if (strcmp(model->files[i].name, name) == 0) return &model->files[i];
    return NULL;
}

nac_status nac_model_attach(nac_model *model, const char *name, const void *bytes, size_t size, nac_error *error) {
    nac_onnx_file *file = find_file(model, name);
    if (!file) return nac_fail(error, NAC_INVALID_ARGUMENT, "the model needs no file '%.150s'", name);
    if (file->bytes) return nac_fail(error, NAC_INVALID_ARGUMENT, "'%.150s' has been attached before", name);
    if (size > NAC_MAX_MODEL_BYTES - model->bytes)
        return nac_fail(error, NAC_LIMIT_EXCEEDED, "'%.150s' has %zu bytes, and with them the model has more than the %d that it may have", name, size,
                        NAC_MAX_MODEL_BYTES);
    const nac_onnx_external *last = file->last;
    if (size < end_of(last))
        return nac_fail(error, NAC_MALFORMED, "'%.100s' has %zu bytes, but tensor '%.100s' lies there from %zu to %zu: it is cut off, or of another model",
                        name, size, last->tensor, last->offset, end_of(last));
    file->bytes = size > 0 ? bytes : (const uint8_t *)"";
    model->bytes += size;
    return NAC_OK;
}

nac_status nac_model_check_files(const nac_model *model, nac_error *error) {
    size_t missing = 0;
    const char *first = NULL;
    for (size_t i = 0; i < model->file_count; ++i) {
        if (model->files[i].bytes) continue;
        if (++missing == 1) first = model->files[i].name;
    }
    if (missing == 0) return NAC_OK;
    if (missing == 1) return nac_fail(error, NAC_NOT_FOUND, "weights lie in '%.200s', which is missing: it is needed beside the model", first);
    return nac_fail(error, NAC_NOT_FOUND, "weights lie in '%.150s' and %zu more, which are missing: they are needed beside the model", first, missing - 1);
}
