/* needs.h - what of a model its logits need: the names, before there are sizes. */
#ifndef NAC_OPS_NEEDS_H
#define NAC_OPS_NEEDS_H

#include <string.h>

#include "onnx/model.h"

/* Nodes stand in one list; those of a body, number 0 for the model itself, are chained. */
typedef struct nac_needs {
    const nac_model *model;
    int logits;               /* tensor id: the first output or, where that is probabilities or the classes chosen by them, what they are made of */
    const nac_onnx_node *end; /* what reads the logits and is left out, a softmax or a choice of classes, or NULL */
    int *producers;           /* [tensors]: node, or NAC_NONE */
    bool *needed;             /* [tensors] */
    int *last_readers;        /* [tensors]: the last of the needed nodes that read it, or NAC_NONE */
    int *reads;               /* [tensors]: how often needed nodes read it */
    int *last_uses;           /* [tensors]: the node behind which nobody reads it: the last reader, or the outermost loop around a reader */
    int *first_nodes;         /* [scopes + 1]: of a body; NAC_NONE: there is none */
    int *next_nodes;          /* [nodes]: in the same body */
} nac_needs;

/* NAC_UNSUPPORTED, with their names, where the logits need operators that have no translator. To be freed whatever comes of it. */
nac_status nac_needs_find(const nac_model *model, nac_needs *needs, nac_error *error);
void nac_needs_free(nac_needs *needs);

/* Whether the logits depend on the node. */
bool nac_needs_node(const nac_needs *needs, const nac_onnx_node *node);

static inline bool nac_is_op(const nac_onnx_node *node, const char *op_type) { return strcmp(node->op_type, op_type) == 0; }
static inline bool nac_is_softmax(const nac_onnx_node *node) { return nac_is_op(node, "Softmax") || nac_is_op(node, "LogSoftmax"); }

/* The number of the body that a scope lies in or is, 0: none. */
int nac_body_number(const nac_onnx_scope *scope);

#endif
