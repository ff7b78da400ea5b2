#include "ops/onnx_list.h"

#include <string.h>

static const nac_onnx_op table[] = {
#define X(op_type) {#op_type, nac_lower_##op_type},
    NAC_ONNX_OP_LIST(X)
#undef X
};

/* A hundred names: a scan is a few microseconds a node, once a file. */
const nac_onnx_op *nac_onnx_op_find(const char *op_type) {
    for (size_t i = 0; i < NAC_COUNT(table); ++i)
        if (strcmp(table[i].op_type, op_type) == 0) return &table[i];
    return NULL;
}
