/* quantised.h - constants of type NAC_Q8: a convolution's weights as the bytes that a quantised model's file has, a quarter of what floats take.
 * A kernel that can read them keeps them so; for everybody else nac_graph_dequantise makes floats of them first. */
#ifndef NAC_QUANTISED_H
#define NAC_QUANTISED_H

#include "graph/graph.h"

/* Weight i of output channel o, the first axis, is (q[i] - zeros[o]) * scales[o]: one rounding, for the difference is a float. */
typedef struct nac_quantised {
    float *scales;  /* > 0, finite */
    int16_t *zeros; /* -256..255 */
    int8_t *q;
} nac_quantised;

/* Where they lie in the data of a NAC_Q8. */
nac_quantised nac_quantised_of(const nac_value *value);

/* Bytes of data that such a constant has. */
size_t nac_quantised_bytes(const nac_shape *shape);

/* Makes a NAC_F32 of it. Of any other type, or where its data have been freed: nothing to do. NAC_LIMIT_EXCEEDED where the floats are too many. */
nac_status nac_graph_dequantise(nac_graph *graph, int value, nac_error *error);

#endif
