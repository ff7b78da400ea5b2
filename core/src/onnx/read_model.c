/* read_model.c - ModelProto and GraphProto: names, inputs, outputs, initializers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "onnx/reader.h"

/* ---- What the readers share -------------------------------------------------------------------- */

bool (nac_reader_fail)(nac_reader *reader, nac_status status, const char *format, ...) {
    if (reader->status != NAC_OK) return false; /* a failure while a failure was handed up */
    char message[NAC_ERROR_LENGTH];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    reader->status = nac_fail(reader->error, status, "%s", message);
    return false;
}

bool (nac_reader_out_of_memory)(nac_reader *reader) {
    return nac_reader_fail(reader, NAC_OUT_OF_MEMORY, "memory ran out for the model's graph");
}

const uint8_t *nac_reader_position(const nac_reader *reader, const pb_istream_t *stream) {
    /* A stream over memory keeps its place in `state` (pb_istream_from_buffer). */
    const uintptr_t at = (uintptr_t)stream->state, start = (uintptr_t)reader->bytes;
    if (at < start || at - start > reader->size || stream->bytes_left > reader->size - (at - start)) return NULL;
    return reader->bytes + (at - start);
}

bool nac_read_text(pb_istream_t *stream, const pb_field_t *pb_field, void **arg) {
    (void)pb_field;
    nac_text_field *field = *arg;
    nac_reader *reader = field->reader;
    const size_t length = stream->bytes_left;
    const uint8_t *bytes = nac_reader_position(reader, stream);
    if (!bytes) return false;
    if (length > NAC_MAX_NAME)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "%s is %zu bytes long; %d is the limit", field->what, length, NAC_MAX_NAME);
    if (memchr(bytes, 0, length) || !nac_utf8_valid((const char *)bytes, length))
        return nac_reader_fail(reader, NAC_MALFORMED, "%s is not UTF-8 text", field->what);
    field->text = nac_arena_text(reader->arena, bytes, length);
    if (!field->text) return nac_reader_out_of_memory(reader);
    return pb_read(stream, NULL, length);
}

pb_callback_t nac_text_callback(nac_text_field *field) { return (pb_callback_t){.funcs.decode = nac_read_text, .arg = field}; }

bool nac_reader_mention(nac_reader *reader, const char *name, bool makes, int *mention) {
    if (reader->name_count >= NAC_MAX_NAMES)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "the model names tensors more than %d times", NAC_MAX_NAMES);
    reader->names = nac_arena_grow(reader->arena, reader->names, reader->name_count, &reader->name_capacity, sizeof *reader->names);
    if (!reader->names) return nac_reader_out_of_memory(reader);
    *mention = reader->name_count;
    reader->names[reader->name_count++] = (nac_mention){name, reader->scope, makes};
    return true;
}

/* ---- Inputs and outputs ------------------------------------------------------------------------ */

static bool read_dim(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_onnx_io *io = *arg;
    onnx_TensorShapeProto_Dimension dim = onnx_TensorShapeProto_Dimension_init_zero;
    if (!pb_decode(stream, onnx_TensorShapeProto_Dimension_fields, &dim)) return false;
    /* Exporters write 0 and -1, too, where they do not know a size. */
    if (io->rank < NAC_MAX_RANK) io->dims[io->rank] = dim.has_dim_value && dim.dim_value > 0 ? dim.dim_value : -1;
    if (io->rank < 1024) ++io->rank;
    return true;
}

/* io->tensor is a mention until the names are sorted. */
static bool read_io(pb_istream_t *stream, nac_reader *reader, bool makes, nac_onnx_io **list, int *count, int *capacity) {
    if (*count >= NAC_MAX_INITIALIZERS)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "the model has more than %d inputs or outputs", NAC_MAX_INITIALIZERS);
    nac_onnx_io io = {.rank = 0};
    nac_text_field name = {.reader = reader, .what = "an input's or output's name"};
    onnx_ValueInfoProto message = onnx_ValueInfoProto_init_zero;
    message.name = nac_text_callback(&name);
    message.type.tensor_type.shape.dim = (pb_callback_t){.funcs.decode = read_dim, .arg = &io};
    if (!pb_decode(stream, onnx_ValueInfoProto_fields, &message)) return false;
    if (!name.text || !name.text[0]) return nac_reader_fail(reader, NAC_MALFORMED, "an input or output of the model has no name");
    if (!message.has_type || !message.type.has_tensor_type || !message.type.tensor_type.has_shape) io.rank = -1;
    if (!nac_reader_mention(reader, name.text, makes, &io.tensor)) return false;
    *list = nac_arena_grow(reader->arena, *list, *count, capacity, sizeof **list);
    if (!*list) return nac_reader_out_of_memory(reader);
    (*list)[(*count)++] = io;
    return true;
}

static bool read_input(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_reader *reader = *arg;
    return read_io(stream, reader, true, &reader->model->inputs, &reader->model->input_count, &reader->input_capacity);
}

static bool read_output(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_reader *reader = *arg;
    return read_io(stream, reader, false, &reader->model->outputs, &reader->model->output_count, &reader->output_capacity);
}

/* ---- Graph ------------------------------------------------------------------------------------- */

static bool read_initializer(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_reader *reader = *arg;
    const size_t size = stream->bytes_left;
    const uint8_t *bytes = nac_reader_position(reader, stream);
    if (!bytes) return false;
    if (reader->tensor_count >= NAC_MAX_INITIALIZERS)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "the model has more than %d initializers", NAC_MAX_INITIALIZERS);
    nac_onnx_tensor *tensor = nac_arena_take(reader->arena, sizeof *tensor);
    if (!tensor) return nac_reader_out_of_memory(reader);
    if (!nac_read_tensor(reader, bytes, size, tensor)) return false;
    if (!tensor->name[0]) return nac_reader_fail(reader, NAC_MALFORMED, "an initializer has no name");
    int mention;
    if (!nac_reader_mention(reader, tensor->name, true, &mention)) return false;
    const int count = reader->tensor_count;
    reader->tensors = nac_arena_grow(reader->arena, reader->tensors, count, &reader->tensor_capacity, sizeof *reader->tensors);
    reader->tensor_mentions =
        nac_arena_grow(reader->arena, reader->tensor_mentions, count, &reader->mention_capacity, sizeof *reader->tensor_mentions);
    if (!reader->tensors || !reader->tensor_mentions) return nac_reader_out_of_memory(reader);
    reader->tensors[count] = tensor;
    reader->tensor_mentions[count] = mention;
    ++reader->tensor_count;
    return pb_read(stream, NULL, size);
}

static bool refuse_sparse(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)stream;
    (void)field;
    return nac_reader_fail(*arg, NAC_UNSUPPORTED, "the model has a sparse initializer; only dense tensors are supported");
}

/* An input or output of a graph inside of a node. */
static bool read_inner_io(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_mentions *list = *arg;
    nac_text_field name = {.reader = list->reader, .what = "an output's name"};
    onnx_ValueInfoProto message = onnx_ValueInfoProto_init_zero;
    message.name = nac_text_callback(&name);
    int mention;
    if (!pb_decode(stream, onnx_ValueInfoProto_fields, &message)) return false;
    if (!name.text || !name.text[0]) return nac_reader_fail(list->reader, NAC_MALFORMED, "an input or output of a graph in a node has no name");
    return nac_reader_mention(list->reader, name.text, list->makes, &mention) && nac_mentions_add(list, mention);
}

bool nac_read_subgraph(nac_reader *reader, const uint8_t *bytes, size_t size, const nac_onnx_scope *scope, nac_mentions *inputs,
                       nac_mentions *outputs) {
    enum { DEEPEST = 4 };
    int depth = 0;
    for (const nac_onnx_scope *outer = scope; outer; outer = outer->outer)
        if (++depth > DEEPEST)
            return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "branches and loops lie in each other, more than %d deep", (int)DEEPEST);
    onnx_GraphProto message = onnx_GraphProto_init_zero;
    message.node = (pb_callback_t){.funcs.decode = nac_read_node, .arg = reader};
    message.initializer = (pb_callback_t){.funcs.decode = read_initializer, .arg = reader};
    message.output = (pb_callback_t){.funcs.decode = read_inner_io, .arg = outputs};
    if (inputs) message.input = (pb_callback_t){.funcs.decode = read_inner_io, .arg = inputs};
    message.sparse_initializer = (pb_callback_t){.funcs.decode = refuse_sparse, .arg = reader};
    pb_istream_t stream = pb_istream_from_buffer(bytes, size);
    const nac_onnx_scope *around = reader->scope;
    reader->scope = scope;
    const bool read = pb_decode(&stream, onnx_GraphProto_fields, &message);
    reader->scope = around;
    return read;
}

static bool read_graph(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_reader *reader = *arg;
    if (reader->has_graph) return nac_reader_fail(reader, NAC_MALFORMED, "the model has two graphs");
    reader->has_graph = true;
    nac_text_field name = {.reader = reader, .what = "the graph's name"};
    onnx_GraphProto message = onnx_GraphProto_init_zero;
    message.node = (pb_callback_t){.funcs.decode = nac_read_node, .arg = reader};
    message.name = nac_text_callback(&name);
    message.initializer = (pb_callback_t){.funcs.decode = read_initializer, .arg = reader};
    message.input = (pb_callback_t){.funcs.decode = read_input, .arg = reader};
    message.output = (pb_callback_t){.funcs.decode = read_output, .arg = reader};
    message.sparse_initializer = (pb_callback_t){.funcs.decode = refuse_sparse, .arg = reader};
    if (!pb_decode(stream, onnx_GraphProto_fields, &message)) return false;
    reader->graph_name = name.text;
    return true;
}

/* ---- Model ------------------------------------------------------------------------------------- */

static bool read_opset(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_reader *reader = *arg;
    nac_text_field domain = {.reader = reader, .what = "an operator set's domain"};
    onnx_OperatorSetIdProto message = onnx_OperatorSetIdProto_init_zero;
    message.domain = nac_text_callback(&domain);
    if (!pb_decode(stream, onnx_OperatorSetIdProto_fields, &message)) return false;
    if (domain.text && domain.text[0] && strcmp(domain.text, "ai.onnx") != 0) return true;
    if (message.version < NAC_ONNX_MIN_OPSET || message.version > NAC_ONNX_MAX_OPSET)
        return nac_reader_fail(reader, NAC_UNSUPPORTED, "the model uses opset %lld; opsets %d to %d are supported",
                               (long long)message.version, NAC_ONNX_MIN_OPSET, NAC_ONNX_MAX_OPSET);
    reader->model->opset = (int)message.version;
    reader->has_opset = true;
    return true;
}

typedef struct stretch_field {
    const nac_reader *reader;
    const uint8_t *bytes;
    size_t size;
} stretch_field;

static bool read_stretch(pb_istream_t *stream, const pb_field_t *field_, void **arg) {
    (void)field_;
    stretch_field *field = *arg;
    field->size = stream->bytes_left;
    field->bytes = nac_reader_position(field->reader, stream);
    return field->bytes && pb_read(stream, NULL, field->size);
}

/* Only "labels" is of interest; other metadata may be megabytes and is not copied. */
static bool read_metadata(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_reader *reader = *arg;
    stretch_field key = {.reader = reader}, value = {.reader = reader};
    onnx_StringStringEntryProto message = onnx_StringStringEntryProto_init_zero;
    message.key = (pb_callback_t){.funcs.decode = read_stretch, .arg = &key};
    message.value = (pb_callback_t){.funcs.decode = read_stretch, .arg = &value};
    if (!pb_decode(stream, onnx_StringStringEntryProto_fields, &message)) return false;
    static const char labels[] = "labels";
    if (key.size == sizeof labels - 1 && memcmp(key.bytes, labels, key.size) == 0) {
        reader->labels = (const char *)value.bytes;
        reader->labels_size = value.size;
    }
    return true;
}

static bool refuse_functions(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)stream;
    (void)field;
    return nac_reader_fail(*arg, NAC_UNSUPPORTED,
                           "the model defines functions of its own, which are not supported; inline them (onnx.inliner) first");
}

nac_status nac_read_model(nac_reader *reader) {
    nac_text_field producer = {.reader = reader, .what = "the producer's name"};
    nac_text_field version = {.reader = reader, .what = "the producer's version"};
    onnx_ModelProto message = onnx_ModelProto_init_zero;
    message.producer_name = nac_text_callback(&producer);
    message.producer_version = nac_text_callback(&version);
    message.graph = (pb_callback_t){.funcs.decode = read_graph, .arg = reader};
    message.opset_import = (pb_callback_t){.funcs.decode = read_opset, .arg = reader};
    message.metadata_props = (pb_callback_t){.funcs.decode = read_metadata, .arg = reader};
    message.functions = (pb_callback_t){.funcs.decode = refuse_functions, .arg = reader};
    pb_istream_t stream = pb_istream_from_buffer(reader->bytes, reader->size);
    const bool decoded = pb_decode(&stream, onnx_ModelProto_fields, &message);
    if (reader->status != NAC_OK) return reader->status;
    if (!decoded)
        return nac_fail(reader->error, NAC_MALFORMED, "not an ONNX file, or a damaged one: %s near byte %zu of %zu", PB_GET_ERROR(&stream),
                        reader->size - stream.bytes_left, reader->size);
    if (!reader->has_graph) return nac_fail(reader->error, NAC_MALFORMED, "not an ONNX file: it holds no graph");
    if (!reader->has_opset) return nac_fail(reader->error, NAC_MALFORMED, "the model does not say its opset");
    reader->producer = producer.text;
    reader->producer_version = version.text;
    return NAC_OK;
}
