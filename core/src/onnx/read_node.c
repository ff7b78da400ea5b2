/* read_node.c - NodeProto and AttributeProto. */
#include <string.h>

#include "onnx/reader.h"

/* ---- Attributes -------------------------------------------------------------------------------- */

/* AttributeProto.AttributeType beyond what nac_onnx_attribute_kind names, and what is looked at. */
enum { SPARSE_TENSOR = 11, SPARSE_TENSORS = 12 };

typedef struct attribute_draft {
    nac_reader *reader;
    nac_onnx_attribute *attribute;
    float *floats;
    int64_t *ints;
    const char **texts;
    int float_count, float_capacity, int_count, int_capacity, text_count, text_capacity;
    bool has_text, has_tensor;
    const uint8_t *graph;
    size_t graph_size;
} attribute_draft;

static bool read_attribute_text(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    attribute_draft *draft = *arg;
    const size_t length = stream->bytes_left;
    const uint8_t *bytes = nac_reader_position(draft->reader, stream);
    if (!bytes) return false;
    const char *text = nac_arena_text(draft->reader->arena, bytes, length);
    if (!text) return nac_reader_out_of_memory(draft->reader);
    draft->attribute->text = text;
    draft->attribute->length = length;
    draft->has_text = true;
    return pb_read(stream, NULL, length);
}

static bool read_attribute_tensor(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    attribute_draft *draft = *arg;
    const size_t size = stream->bytes_left;
    const uint8_t *bytes = nac_reader_position(draft->reader, stream);
    draft->has_tensor = true;
    return bytes && nac_read_tensor(draft->reader, bytes, size, &draft->attribute->tensor) && pb_read(stream, NULL, size);
}

/* Only where it lies: what it is for is not known before the operator is. */
static bool read_attribute_graph(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    attribute_draft *draft = *arg;
    draft->graph_size = stream->bytes_left;
    draft->graph = nac_reader_position(draft->reader, stream);
    return draft->graph && pb_read(stream, NULL, draft->graph_size);
}

static bool read_floats(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    attribute_draft *draft = *arg;
    while (stream->bytes_left > 0) {
        float number;
        if (!pb_decode_fixed32(stream, &number)) return false;
        if (draft->float_count >= NAC_MAX_ATTRIBUTE_NUMBERS)
            return nac_reader_fail(draft->reader, NAC_LIMIT_EXCEEDED, "an attribute has more than %d numbers", NAC_MAX_ATTRIBUTE_NUMBERS);
        draft->floats =
            nac_arena_grow(draft->reader->arena, draft->floats, draft->float_count, &draft->float_capacity, sizeof *draft->floats);
        if (!draft->floats) return nac_reader_out_of_memory(draft->reader);
        draft->floats[draft->float_count++] = number;
    }
    return true;
}

static bool read_ints(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    attribute_draft *draft = *arg;
    while (stream->bytes_left > 0) {
        uint64_t number;
        if (!pb_decode_varint(stream, &number)) return false;
        if (draft->int_count >= NAC_MAX_ATTRIBUTE_NUMBERS)
            return nac_reader_fail(draft->reader, NAC_LIMIT_EXCEEDED, "an attribute has more than %d numbers", NAC_MAX_ATTRIBUTE_NUMBERS);
        draft->ints = nac_arena_grow(draft->reader->arena, draft->ints, draft->int_count, &draft->int_capacity, sizeof *draft->ints);
        if (!draft->ints) return nac_reader_out_of_memory(draft->reader);
        draft->ints[draft->int_count++] = (int64_t)number;
    }
    return true;
}

static bool read_texts(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    attribute_draft *draft = *arg;
    nac_reader *reader = draft->reader;
    const size_t length = stream->bytes_left;
    const uint8_t *bytes = nac_reader_position(reader, stream);
    if (!bytes) return false;
    if (draft->text_count >= NAC_MAX_ATTRIBUTE_NUMBERS)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "an attribute has more than %d texts", NAC_MAX_ATTRIBUTE_NUMBERS);
    draft->texts = nac_arena_grow(reader->arena, draft->texts, draft->text_count, &draft->text_capacity, sizeof *draft->texts);
    const char *text = draft->texts ? nac_arena_text(reader->arena, bytes, length) : NULL;
    if (!text) return nac_reader_out_of_memory(reader);
    draft->texts[draft->text_count++] = text;
    return pb_read(stream, NULL, length);
}

/* Files of the first ONNX versions say no type: then it is the field that is there. */
static int kind_by_content(const onnx_AttributeProto *message, const attribute_draft *draft) {
    return message->has_f       ? NAC_ATTRIBUTE_FLOAT
           : message->has_i     ? NAC_ATTRIBUTE_INT
           : draft->has_text    ? NAC_ATTRIBUTE_STRING
           : draft->has_tensor  ? NAC_ATTRIBUTE_TENSOR
           : draft->float_count ? NAC_ATTRIBUTE_FLOATS
           : draft->text_count  ? NAC_ATTRIBUTE_STRINGS
                                : NAC_ATTRIBUTE_INTS;
}

/* ---- Nodes ------------------------------------------------------------------------------------- */

/* A graph's message in the file; NULL: not there. */
typedef struct graph_bytes {
    const uint8_t *bytes;
    size_t size;
} graph_bytes;

typedef struct node_draft {
    nac_reader *reader;
    nac_mentions inputs, outputs;
    nac_onnx_attribute *attributes;
    int attribute_count, attribute_capacity;
    graph_bytes then_branch, else_branch, body;
    bool sparse; /* an attribute holds a sparse tensor */
} node_draft;

bool nac_mentions_add(nac_mentions *mentions, int mention) {
    nac_reader *reader = mentions->reader;
    if (mentions->count >= NAC_MAX_NAMES) return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "a node has too many inputs");
    mentions->list = nac_arena_grow(reader->arena, mentions->list, mentions->count, &mentions->capacity, sizeof *mentions->list);
    if (!mentions->list) return nac_reader_out_of_memory(reader);
    mentions->list[mentions->count++] = mention;
    return true;
}

/* A callback for names of tensors; arg is the list. */
static bool read_tensor_name(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_mentions *mentions = *arg;
    nac_text_field name = {.reader = mentions->reader, .what = "a tensor's name"};
    void *name_arg = &name;
    int mention = NAC_ONNX_ABSENT;
    if (!nac_read_text(stream, NULL, &name_arg)) return false;
    if (name.text[0] && !nac_reader_mention(mentions->reader, name.text, mentions->makes, &mention)) return false;
    return nac_mentions_add(mentions, mention);
}

static bool read_attribute(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    node_draft *node = *arg;
    nac_reader *reader = node->reader;
    if (node->attribute_count >= NAC_MAX_ATTRIBUTES)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "a node has more than %d attributes", NAC_MAX_ATTRIBUTES);
    node->attributes =
        nac_arena_grow(reader->arena, node->attributes, node->attribute_count, &node->attribute_capacity, sizeof *node->attributes);
    if (!node->attributes) return nac_reader_out_of_memory(reader);
    nac_onnx_attribute *attribute = &node->attributes[node->attribute_count++];

    attribute_draft draft = {.reader = reader, .attribute = attribute};
    nac_text_field name = {.reader = reader, .what = "an attribute's name"};
    onnx_AttributeProto message = onnx_AttributeProto_init_zero;
    message.name = nac_text_callback(&name);
    message.s = (pb_callback_t){.funcs.decode = read_attribute_text, .arg = &draft};
    message.t = (pb_callback_t){.funcs.decode = read_attribute_tensor, .arg = &draft};
    message.g = (pb_callback_t){.funcs.decode = read_attribute_graph, .arg = &draft};
    message.floats = (pb_callback_t){.funcs.decode = read_floats, .arg = &draft};
    message.ints = (pb_callback_t){.funcs.decode = read_ints, .arg = &draft};
    message.strings = (pb_callback_t){.funcs.decode = read_texts, .arg = &draft};
    if (!pb_decode(stream, onnx_AttributeProto_fields, &message)) return false;

    const int kind = message.has_type && message.type != 0 ? message.type : kind_by_content(&message, &draft);
    node->sparse = node->sparse || kind == SPARSE_TENSOR || kind == SPARSE_TENSORS;
    /* A tensor that is announced but not there would be read as one without name, data or bytes. */
    if (kind == NAC_ATTRIBUTE_TENSOR && !draft.has_tensor)
        return nac_reader_fail(reader, NAC_MALFORMED, "attribute '%s' says it is a tensor but holds none", name.text ? name.text : "");
    attribute->name = name.text ? name.text : "";
    if (strcmp(attribute->name, "then_branch") == 0) node->then_branch = (graph_bytes){draft.graph, draft.graph_size};
    if (strcmp(attribute->name, "else_branch") == 0) node->else_branch = (graph_bytes){draft.graph, draft.graph_size};
    if (strcmp(attribute->name, "body") == 0) node->body = (graph_bytes){draft.graph, draft.graph_size};
    attribute->kind = (nac_onnx_attribute_kind)kind;
    attribute->f = message.f;
    attribute->i = message.i;
    attribute->floats = draft.floats;
    attribute->ints = draft.ints;
    attribute->texts = draft.texts;
    if (!draft.has_text) attribute->text = "";
    if (kind == NAC_ATTRIBUTE_FLOATS) attribute->length = (size_t)draft.float_count;
    else if (kind == NAC_ATTRIBUTE_INTS) attribute->length = (size_t)draft.int_count;
    else if (kind == NAC_ATTRIBUTE_STRINGS) attribute->length = (size_t)draft.text_count;
    else if (kind != NAC_ATTRIBUTE_STRING || !draft.has_text) attribute->length = 0;
    return true;
}

/* Puts a branch's nodes into the model's list, and what it makes of the outputs behind the inputs. */
static bool read_branch(node_draft *draft, const char *name, graph_bytes bytes, nac_onnx_scope *branch, bool wanted) {
    nac_reader *reader = draft->reader;
    nac_mentions outputs = {.reader = reader};
    *branch = (nac_onnx_scope){.wanted = wanted, .outer = reader->scope, .number = ++reader->model->scope_count};
    if (!bytes.bytes || draft->inputs.count == 0 || draft->inputs.list[0] == NAC_ONNX_ABSENT)
        return nac_reader_fail(reader, NAC_MALFORMED, "node '%s' (If) lacks its condition or a branch", name);
    if (!nac_read_subgraph(reader, bytes.bytes, bytes.size, branch, NULL, &outputs)) return false;
    if (outputs.count != draft->outputs.count)
        return nac_reader_fail(reader, NAC_MALFORMED, "node '%s' (If) has %d outputs, but %d by a branch", name, draft->outputs.count, outputs.count);
    for (int i = 0; i < outputs.count; ++i)
        if (!nac_mentions_add(&draft->inputs, outputs.list[i])) return false;
    return true;
}

static bool read_branches(node_draft *draft, const char *name) {
    nac_onnx_scope *branches = nac_arena_take(draft->reader->arena, 2 * sizeof *branches);
    if (!branches) return nac_reader_out_of_memory(draft->reader);
    if (draft->inputs.count > 1) return nac_reader_fail(draft->reader, NAC_MALFORMED, "node '%s' (If) has %d inputs", name, draft->inputs.count);
    if (!read_branch(draft, name, draft->then_branch, &branches[0], true)) return false;
    if (!read_branch(draft, name, draft->else_branch, &branches[1], false)) return false;
    branches[0].condition = branches[1].condition = draft->inputs.list;
    return true;
}

/* Puts the nodes of a Loop's or Scan's body into the model's list, and its results behind the inputs. What they must be its translator says. */
static bool read_body(node_draft *draft, const char *name, const char *op_type, const nac_onnx_scope **body) {
    nac_reader *reader = draft->reader;
    nac_mentions inputs = {.reader = reader, .makes = true}, outputs = {.reader = reader};
    nac_onnx_scope *scope = nac_arena_take(reader->arena, sizeof *scope);
    if (!scope) return nac_reader_out_of_memory(reader);
    *scope = (nac_onnx_scope){.outer = reader->scope, .number = ++reader->model->scope_count};
    if (!draft->body.bytes) return nac_reader_fail(reader, NAC_MALFORMED, "node '%s' (%s) lacks its body", name, op_type);
    if (!nac_read_subgraph(reader, draft->body.bytes, draft->body.size, scope, &inputs, &outputs)) return false;
    for (int i = 0; i < outputs.count; ++i)
        if (!nac_mentions_add(&draft->inputs, outputs.list[i])) return false;
    scope->inputs = inputs.list;
    scope->input_count = inputs.count;
    scope->result_count = outputs.count;
    *body = scope;
    return true;
}

/* Adds the node that was read last; the nodes of graphs inside of it have been added before. */
static bool add_node(nac_reader *reader, nac_onnx_node node) {
    nac_model *model = reader->model;
    if (model->node_count >= NAC_MAX_NODES)
        return nac_reader_fail(reader, NAC_LIMIT_EXCEEDED, "the model has more than %d nodes", NAC_MAX_NODES);
    model->nodes = nac_arena_grow(reader->arena, model->nodes, model->node_count, &reader->node_capacity, sizeof *model->nodes);
    if (!model->nodes) return nac_reader_out_of_memory(reader);
    model->nodes[model->node_count++] = node;
    return true;
}

/* Of the operators that ONNX Runtime has added, those on quantised numbers. What it calls QLinearConv is ONNX's, but for an attribute. */
static bool is_known_domain(const char *domain, const char *op_type) {
    if (!domain || !domain[0] || strcmp(domain, "ai.onnx") == 0) return true;
    return strcmp(domain, "com.microsoft") == 0 && (strncmp(op_type, "QLinear", strlen("QLinear")) == 0 || strcmp(op_type, "QGemm") == 0);
}

bool nac_read_node(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    (void)field;
    nac_reader *reader = *arg;
    node_draft draft = {.reader = reader, .inputs.reader = reader, .outputs = {.reader = reader, .makes = true}};
    nac_text_field name = {.reader = reader, .what = "a node's name"};
    nac_text_field op_type = {.reader = reader, .what = "an operator's name"};
    nac_text_field domain = {.reader = reader, .what = "an operator's domain"};
    onnx_NodeProto message = onnx_NodeProto_init_zero;
    message.input = (pb_callback_t){.funcs.decode = read_tensor_name, .arg = &draft.inputs};
    message.output = (pb_callback_t){.funcs.decode = read_tensor_name, .arg = &draft.outputs};
    message.attribute = (pb_callback_t){.funcs.decode = read_attribute, .arg = &draft};
    message.name = nac_text_callback(&name);
    message.op_type = nac_text_callback(&op_type);
    message.domain = nac_text_callback(&domain);
    if (!pb_decode(stream, onnx_NodeProto_fields, &message)) return false;

    if (!op_type.text || !op_type.text[0])
        return nac_reader_fail(reader, NAC_MALFORMED, "node '%s' names no operator", name.text ? name.text : "");
    const nac_mentions *outputs = &draft.outputs;
    const char *output = outputs->count > 0 && outputs->list[0] != NAC_ONNX_ABSENT ? reader->names[outputs->list[0]].name : op_type.text;
    const char *node_name = name.text && name.text[0] ? name.text : output;
    if (draft.sparse)
        return nac_reader_fail(reader, NAC_UNSUPPORTED, "node '%s' (%s) has a sparse tensor, which is not supported", node_name, op_type.text);
    if (!is_known_domain(domain.text, op_type.text))
        return nac_reader_fail(reader, NAC_UNSUPPORTED, "node '%s': operator %s of domain '%s' is not supported", node_name, op_type.text,
                               domain.text);
    const nac_onnx_scope *body = NULL;
    const bool loops = strcmp(op_type.text, "Loop") == 0 || strcmp(op_type.text, "Scan") == 0;
    if (strcmp(op_type.text, "If") == 0 && !read_branches(&draft, node_name)) return false;
    if (loops && !read_body(&draft, node_name, op_type.text, &body)) return false;
    return add_node(reader, (nac_onnx_node){
        .op_type = op_type.text,
        .name = node_name,
        .inputs = draft.inputs.list,
        .input_count = draft.inputs.count,
        .outputs = outputs->list,
        .output_count = outputs->count,
        .attributes = draft.attributes,
        .attribute_count = draft.attribute_count,
        .scope = reader->scope,
        .body = body,
    });
}
