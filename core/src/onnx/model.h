/* model.h - an ONNX file as read: names, attributes, and where the weights lie. No shapes are inferred here.
 *
 * Strings are copied and NUL-terminated; tensors stay in the files' bytes (which outlive the model) and are turned to float32
 * or int64 when a session asks, so that weights are not held twice. */
#ifndef NAC_ONNX_MODEL_H
#define NAC_ONNX_MODEL_H

#include "base/base.h"

/* A file besides the model's own that tensors lie in. */
typedef struct nac_onnx_file {
    const char *name;
    const struct nac_onnx_external *last; /* the tensor that reaches furthest into it */
    const uint8_t *bytes;                 /* NULL until nac_model_attach */
} nac_onnx_file;

/* Where in such a file a tensor's numbers lie. Below NAC_MAX_MODEL_BYTES is checked when the model is opened; below the file's end, when it
 * is attached. */
typedef struct nac_onnx_external {
    const char *tensor; /* its name */
    const char *file_name;
    size_t offset, length;
    const nac_onnx_file *file;
} nac_onnx_external;

/* A TensorProto. Its numbers lie in raw_data, or in float_data / int32_data / int64_data / double_data, packed or not, or in another file. */
typedef struct nac_onnx_tensor {
    const char *name;
    int data_type; /* TensorProto.DataType: 1 float, 2 uint8, 3 int8, 5 int16, 6 int32, 7 int64, 9 bool, 10 float16, 11 double, 16 bfloat16 */
    int rank;              /* more than NAC_MAX_RANK: only the first dims are kept, nobody can use it */
    int64_t dims[NAC_MAX_RANK];
    size_t count;          /* elements, product of dims, checked against the length of the data */
    const uint8_t *bytes;  /* the tensor's TensorProto message in the file */
    size_t size;
    const uint8_t *raw;    /* its raw_data, of count elements, or NULL where a typed field or another file holds the numbers */
    const nac_onnx_external *external; /* NULL: they are in the model's own file */
} nac_onnx_tensor;

/* Copies the tensor's numbers, converted, to numbers[count]. NAC_UNSUPPORTED for a type that is not a number. */
nac_status nac_onnx_tensor_floats(const nac_onnx_tensor *tensor, float *numbers, nac_error *error);
nac_status nac_onnx_tensor_ints(const nac_onnx_tensor *tensor, int64_t *numbers, nac_error *error);
/* The floats of [O,I,H,W] as [O,H,W,I], of a tensor that is_filters: a convolution's weights, read once instead of copied and then exchanged. */
bool nac_onnx_tensor_is_filters(const nac_onnx_tensor *tensor);
nac_status nac_onnx_tensor_filters(const nac_onnx_tensor *tensor, float *numbers, nac_error *error);
/* The same of bytes, as they are, or less 128 where they aren't signed; then *zero is -128, and else 0. */
bool nac_onnx_tensor_is_filters_of_bytes(const nac_onnx_tensor *tensor);
void nac_onnx_tensor_filter_bytes(const nac_onnx_tensor *tensor, int8_t *numbers, int16_t *zero);
bool nac_onnx_tensor_is_number(const nac_onnx_tensor *tensor); /* not text, not complex, not unknown */
bool nac_onnx_tensor_is_float(const nac_onnx_tensor *tensor); /* float, float16, bfloat16, double */
/* Whether it is float32 in a graph: one of these, or a matrix or filters of bytes, which are quantised weights. On their way they had better not
 * take eight bytes each. */
bool nac_onnx_tensor_becomes_float(const nac_onnx_tensor *tensor);

typedef enum nac_onnx_attribute_kind {
    NAC_ATTRIBUTE_FLOAT = 1, NAC_ATTRIBUTE_INT = 2, NAC_ATTRIBUTE_STRING = 3, NAC_ATTRIBUTE_TENSOR = 4,
    NAC_ATTRIBUTE_FLOATS = 6, NAC_ATTRIBUTE_INTS = 7, NAC_ATTRIBUTE_STRINGS = 8,
} nac_onnx_attribute_kind;

typedef struct nac_onnx_attribute {
    const char *name;
    nac_onnx_attribute_kind kind;
    float f;
    int64_t i;
    const char *text; /* STRING: NUL-terminated copy */
    size_t length;    /* of text, or number of floats / ints / texts */
    const float *floats;
    const int64_t *ints;
    const char *const *texts; /* STRINGS: NUL-terminated copies */
    nac_onnx_tensor tensor;
} nac_onnx_attribute;

/* A graph inside of a node, whose nodes stand in the model's list with all others: a branch of an If, or the body of a Loop or Scan. */
typedef struct nac_onnx_scope {
    const int *condition; /* of a branch: tensor id; NULL: it is a body */
    bool wanted;          /* what the condition must be for the branch's nodes to run */
    const int *inputs;    /* of a body: the tensors that each of its rounds is given */
    int input_count, result_count;
    const struct nac_onnx_scope *outer; /* the one that the node itself stands in, or NULL */
    int number;           /* from 1, in the file's order */
} nac_onnx_scope;

typedef struct nac_onnx_node {
    const char *op_type, *name; /* name: the node's, or its first output's where it has none */
    const int *inputs;          /* tensor ids; NAC_ONNX_ABSENT for the empty name. An If's: the condition, then what its outputs are by
                                 * then_branch, then what they are by else_branch. A Loop's or Scan's: its own, then the body's results */
    int input_count;
    const int *outputs;
    int output_count;
    const nac_onnx_attribute *attributes;
    int attribute_count;
    const nac_onnx_scope *scope; /* that it stands in. NULL: it runs once, whatever happens */
    const nac_onnx_scope *body;  /* a Loop's or Scan's, or NULL */
} nac_onnx_node;

enum { NAC_ONNX_ABSENT = -1 };

/* A graph input or output. */
typedef struct nac_onnx_io {
    int tensor; /* id */
    int rank;   /* -1 when the file does not say */
    int64_t dims[NAC_MAX_RANK]; /* -1: free */
} nac_onnx_io;

struct nac_model {
    void *memory;                /* the reader's own book-keeping */
    int opset;                   /* of the default domain */
    int tensor_count;
    const char **tensor_names;   /* [tensor_count]: every name that any node, input or initializer uses, in alphabetical order; once, but for
                                  * names that several scopes give to tensors of their own */
    bool *repeated;              /* [tensor_count]: made anew in every round of a loop */
    const nac_onnx_tensor **initializers; /* [tensor_count]: NULL where the tensor is not an initializer */
    nac_onnx_node *nodes;        /* in a runnable order (the reader sorts, and refuses cycles) */
    int node_count;
    int scope_count;
    nac_onnx_io *inputs;         /* without initializers */
    int input_count;
    nac_onnx_io *outputs;
    int output_count;
    nac_onnx_file *files;        /* in the order of their names */
    size_t file_count;
    size_t bytes;                /* of the model's own file and of those that are attached */
    char *info;                  /* nac_model_info */
};

/* NAC_NOT_FOUND, with the first's name, where files have not been attached. */
nac_status nac_model_check_files(const nac_model *model, nac_error *error);

/* Tensor id by name, or NAC_ONNX_ABSENT; one of several with this name. */
int nac_model_find_tensor(const nac_model *model, const char *name);

/* Whether a tensor's name says which one it is: no other has it, and it is not made anew in every round of a loop. */
bool nac_model_name_is_unique(const nac_model *model, int tensor);

#endif
