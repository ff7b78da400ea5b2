#include "graph/quantised.h"

#include <string.h>

/* Channels whose scales and zero points leave the bytes behind them aligned. */
static size_t padded_channels(const nac_shape *shape) { return ((size_t)shape->dims[0] + 7) / 8 * 8; }

nac_quantised nac_quantised_of(const nac_value *value) {
    const size_t channels = padded_channels(&value->shape);
    nac_quantised w = {.scales = value->data};
    w.zeros = (int16_t *)(w.scales + channels);
    w.q = (int8_t *)(w.zeros + channels);
    return w;
}

size_t nac_quantised_bytes(const nac_shape *shape) {
    return padded_channels(shape) * (sizeof(float) + sizeof(int16_t)) + nac_elements(shape);
}

NAC_NOT_INLINED static void dequantise_row(const int8_t *restrict q, size_t count, int zero, float scale, float *restrict x) {
    for (size_t i = 0; i < count; ++i) x[i] = (float)(q[i] - zero) * scale;
}

nac_status nac_graph_dequantise(nac_graph *graph, int value, nac_error *error) {
    nac_value *v = &graph->values[value];
    if (v->type != NAC_Q8 || !v->data) return NAC_OK;
    void *memory;
    NAC_TRY(nac_graph_alloc_data(graph, v->name, NAC_F32, &v->shape, &memory, error));
    const nac_quantised w = nac_quantised_of(v);
    float *x = memory;
    const size_t channels = (size_t)v->shape.dims[0], inner = nac_elements(&v->shape) / channels;
    for (size_t o = 0; o < channels; ++o) dequantise_row(w.q + o * inner, inner, w.zeros[o], w.scales[o], x + o * inner);
    nac_free(v->data);
    graph->constant_bytes -= nac_quantised_bytes(&v->shape); /* only one of the two is there */
    v->data = x;
    v->type = NAC_F32;
    return NAC_OK;
}
