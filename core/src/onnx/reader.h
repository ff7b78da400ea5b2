/* reader.h - the steps of nac_model_open, in this order:
 *   read_model.c, read_node.c, tensor.c   protobuf -> nodes, tensors and names as they come
 *   external.c                            tensors that lie in other files -> those files
 *   sort.c                                names -> tensor ids, nodes -> a runnable order
 *   info.c                                nac_model_info
 *
 * nanopb's callbacks know only true and false: the sentence waits in the reader. */
#ifndef NAC_ONNX_READER_H
#define NAC_ONNX_READER_H

#include <pb_decode.h>

#include "onnx/arena.h"
#include "onnx/model.h"
#include "onnx/onnx.pb.h"

/* A few bytes of file must not ask for much more memory: what is repeated has a ceiling. */
enum {
    NAC_ONNX_MIN_OPSET = 7,  /* the first that broadcasts as all since do */
    NAC_ONNX_MAX_OPSET = 25, /* from 19 to 25 no operator of onnx_list.h changed but in types and attributes that are looked at */
};

/* The numbers of TensorProto.DataType that this library gives a meaning. */
enum {
    NAC_ONNX_FLOAT = 1, NAC_ONNX_UINT8 = 2, NAC_ONNX_INT8 = 3, NAC_ONNX_UINT16 = 4, NAC_ONNX_INT16 = 5, NAC_ONNX_INT32 = 6,
    NAC_ONNX_INT64 = 7, NAC_ONNX_STRING = 8, NAC_ONNX_BOOL = 9, NAC_ONNX_FLOAT16 = 10, NAC_ONNX_DOUBLE = 11, NAC_ONNX_UINT32 = 12,
    NAC_ONNX_UINT64 = 13, NAC_ONNX_BFLOAT16 = 16,
};

/* A name where it stands in the file. */
typedef struct nac_mention {
    const char *name;
    const nac_onnx_scope *scope; /* that it stands in, or NULL */
    bool makes;                   /* a node, an initializer or an input makes the tensor here; otherwise it is read */
} nac_mention;

/* Until names are sorted, a tensor is known by its mention: an index into nac_reader.names. */
typedef struct nac_reader {
    const uint8_t *bytes; /* the file */
    size_t size;
    nac_arena *arena;
    nac_model *model;
    nac_error *error;
    nac_status status;  /* the first failure that nanopb does not know of */
    nac_mention *names; /* every mention, in the file's order */
    int name_count, name_capacity;
    int node_capacity, input_capacity, output_capacity;
    nac_onnx_tensor **tensors; /* initializers */
    int *tensor_mentions;
    int tensor_count, tensor_capacity, mention_capacity;
    nac_onnx_external **externals; /* tensors that lie in other files, initializers or not */
    int external_count, external_capacity;
    bool has_graph, has_opset;
    const nac_onnx_scope *scope; /* that is being read, or NULL */
    const char *graph_name, *producer, *producer_version;
    const char *labels; /* the file's bytes, not NUL-terminated */
    size_t labels_size;
} nac_reader;

/* For a callback to return: false, with the first sentence kept. */
bool nac_reader_fail(nac_reader *reader, nac_status status, const char *format, ...) NAC_PRINTF(3, 4);
bool nac_reader_out_of_memory(nac_reader *reader);
#ifdef __clang_analyzer__ /* as in base.h */
#define nac_reader_fail(reader, status, ...) (nac_reader_fail(reader, status, __VA_ARGS__), false)
#define nac_reader_out_of_memory(reader) (nac_reader_out_of_memory(reader), false)
#endif

/* Where the stream stands in the file, with all of its bytes in the file, or NULL: nanopb hands numbers that are not
 * length-delimited over in a buffer of its own, which a hostile file can make it do for any field. */
const uint8_t *nac_reader_position(const nac_reader *reader, const pb_istream_t *stream);

/* A callback for strings: checks length (NAC_MAX_NAME), NUL bytes and UTF-8, and copies. `arg` is a nac_text_field. */
typedef struct nac_text_field {
    nac_reader *reader;
    const char *what; /* "a node's name" */
    const char *text; /* NULL until the field is met */
} nac_text_field;
bool nac_read_text(pb_istream_t *stream, const pb_field_t *field, void **arg);
pb_callback_t nac_text_callback(nac_text_field *field);

/* Notes a mention of a tensor in the scope that is being read. */
bool nac_reader_mention(nac_reader *reader, const char *name, bool makes, int *mention);

/* A list of mentions that grows in the arena. */
typedef struct nac_mentions {
    nac_reader *reader;
    int *list;
    int count, capacity;
    bool makes; /* outputs of a node */
} nac_mentions;

/* Reads the GraphProto in [bytes, bytes + size) as this scope: nodes and initializers go to the model's, outputs to `outputs`, and inputs, which
 * only a body has, to `inputs`, where that is not NULL. */
bool nac_read_subgraph(nac_reader *reader, const uint8_t *bytes, size_t size, const nac_onnx_scope *scope, nac_mentions *inputs,
                       nac_mentions *outputs);

/* Appends a mention, of a list with a ceiling. */
bool nac_mentions_add(nac_mentions *mentions, int mention);

/* Callback for GraphProto.node; arg is the reader. */
bool nac_read_node(pb_istream_t *stream, const pb_field_t *field, void **arg);

/* Reads the TensorProto in [bytes, bytes + size): everything but its numbers, which are only counted. */
bool nac_read_tensor(nac_reader *reader, const uint8_t *bytes, size_t size, nac_onnx_tensor *tensor);

/* Where a tensor lies that is not in the model's own file: its external_data, as it is read. Callback for TensorProto.external_data; arg is
 * a nac_external_draft. */
typedef struct nac_external_draft {
    nac_reader *reader;
    const char *location, *offset, *length; /* NULL: not said */
} nac_external_draft;
bool nac_read_external(pb_istream_t *stream, const pb_field_t *field, void **arg);

/* Checks it, and that `length` bytes are there by what the draft says; tensor->external is set. */
bool nac_add_external(nac_reader *reader, const nac_external_draft *draft, size_t length, nac_onnx_tensor *tensor);

/* Makes the model's list of files. */
nac_status nac_sort_files(nac_reader *reader);

/* read_model.c: the whole file. */
nac_status nac_read_model(nac_reader *reader);

/* Replaces mentions by ids, in alphabetical order of names, and checks producers and readers. What is made in a scope is another tensor than what
 * has its name elsewhere, and is seen in that scope alone. Then sorts the nodes. */
nac_status nac_sort_names(nac_reader *reader);
nac_status nac_sort_nodes(nac_reader *reader);

nac_status nac_write_model_info(nac_reader *reader);

#endif
