/* attention.c - ONNX's Attention (opset 23), which exporters write for PyTorch's scaled_dot_product_attention: softmax(Q K' scale + mask) V, composed of
 * products, as older exporters write it. Keys and values of the past, which language models keep, are refused. */
#include <string.h>

#include "ops/common.h"

/* [N,T,heads * C] as [N,heads,T,C]; what has four axes has them so. */
static nac_status split_heads(nac_lowering *lowering, int input, const char *attribute, int *x) {
    int64_t heads;
    NAC_TRY(nac_lower_float(lowering, input, x));
    NAC_TRY(nac_as_row_major(lowering, *x, x));
    const nac_shape shape = lowering->graph->values[*x].shape;
    const int *d = shape.dims;
    if (shape.rank == 4) return NAC_OK;
    NAC_TRY(nac_attribute_int(lowering, attribute, 0, &heads));
    if (shape.rank != 3 || heads < 1 || heads > d[2] || d[2] % heads != 0) {
        char text[NAC_SHAPE_TEXT];
        return nac_lower_fail(lowering, NAC_MALFORMED, "input %d, %s, cannot be split into %lld heads", input, nac_shape_text(&shape, text), (long long)heads);
    }
    const int H = (int)heads;
    const nac_shape split = nac_shape_make(4, (const int[]){d[0], d[1], H, d[2] / H}), turned = nac_shape_make(4, (const int[]){d[0], H, d[1], d[2] / H});
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, NULL);
    memcpy(node.u.transpose.perm, (const int[]){0, 2, 1, 3}, 4 * sizeof(int));
    NAC_TRY(nac_lower_reshape(lowering, *x, &split, x));
    return nac_lower_emit(lowering, node, x, 1, &turned, NAC_ROW_MAJOR, x);
}

/* Keys or values, of which several heads of queries share one. */
static nac_status share_heads(nac_lowering *lowering, int heads, int *x) {
    enum { MAX_HEADS = 1024 };
    const int own = lowering->graph->values[*x].shape.dims[1];
    int positions[MAX_HEADS];
    if (own == heads) return NAC_OK;
    if (heads > MAX_HEADS || heads % own != 0)
        return nac_lower_fail(lowering, NAC_MALFORMED, "%d heads of queries cannot share %d of keys and values", heads, own);
    for (int i = 0; i < heads; ++i) positions[i] = i / (heads / own);
    return nac_lower_gather(lowering, *x, 1, positions, heads, x);
}

/* Scores that a mask shuts out, or adds to. */
static nac_status mask_scores(nac_lowering *lowering, int *scores) {
    const int mask = nac_lower_optional(lowering, 3);
    const nac_shape shape = lowering->graph->values[*scores].shape;
    int nothing, triangle;
    int64_t causal;
    NAC_TRY(nac_lower_number(lowering, -INFINITY, &nothing));
    NAC_TRY(nac_attribute_int(lowering, "is_causal", 0, &causal));
    if (mask != NAC_NONE && lowering->graph->values[mask].type == NAC_I64) /* booleans: which keys take part */
        NAC_TRY(nac_lower_choose(lowering, mask, *scores, nothing, scores));
    else if (mask != NAC_NONE)
        NAC_TRY(nac_lower_combine(lowering, NAC_BINARY_ADD, *scores, mask, scores));
    if (!causal) return NAC_OK;
    const nac_shape plane = nac_shape_make(2, &shape.dims[2]);
    NAC_TRY(nac_graph_add_constant(lowering->graph, NULL, NAC_F32, &plane, NAC_ROW_MAJOR, &triangle, lowering->error));
    float *open = nac_data(lowering->graph, triangle);
    for (int q = 0; q < plane.dims[0]; ++q)
        for (int k = 0; k < plane.dims[1]; ++k) *open++ = k <= q ? 1.0f : 0.0f;
    return nac_lower_choose(lowering, triangle, *scores, nothing, scores);
}

static nac_status refuse_rest(nac_lowering *lowering) {
    float cap;
    NAC_TRY(nac_attribute_float(lowering, "softcap", 0, &cap));
    if (cap != 0) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "softcap is not supported");
    for (int i = 4; i < lowering->node->input_count; ++i)
        if (lowering->node->inputs[i] != NAC_ONNX_ABSENT) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "input %d, keys or values of the past, is not supported", i);
    return NAC_OK; /* further outputs are not made: whoever reads one is refused */
}

nac_status nac_lower_Attention(nac_lowering *lowering) {
    nac_graph *graph = lowering->graph;
    int q, k, v, given, y;
    float scale;
    NAC_TRY(refuse_rest(lowering));
    NAC_TRY(nac_lower_float(lowering, 0, &given));
    const bool flat = graph->values[given].shape.rank == 3;
    NAC_TRY(split_heads(lowering, 0, "q_num_heads", &q));
    NAC_TRY(split_heads(lowering, 1, "kv_num_heads", &k));
    NAC_TRY(split_heads(lowering, 2, "kv_num_heads", &v));
    const nac_shape qs = graph->values[q].shape;
    NAC_TRY(share_heads(lowering, qs.dims[1], &k));
    NAC_TRY(share_heads(lowering, qs.dims[1], &v));
    NAC_TRY(nac_attribute_float(lowering, "scale", 1 / sqrtf((float)qs.dims[3]), &scale));

    const nac_shape ks = graph->values[k].shape, turned = nac_shape_make(4, (const int[]){ks.dims[0], ks.dims[1], ks.dims[3], ks.dims[2]});
    nac_node turn = nac_node_make(NAC_OP_TRANSPOSE, NULL), softmax = nac_node_make(NAC_OP_SOFTMAX, NULL);
    memcpy(turn.u.transpose.perm, (const int[]){0, 1, 3, 2}, 4 * sizeof(int));
    softmax.u.softmax.axis = 3;
    NAC_TRY(nac_lower_scaled(lowering, q, scale, &q));
    NAC_TRY(nac_lower_emit(lowering, turn, &k, 1, &turned, NAC_ROW_MAJOR, &k));
    NAC_TRY(nac_lower_product(lowering, q, k, &y));
    NAC_TRY(mask_scores(lowering, &y));
    const nac_shape scores = graph->values[y].shape;
    if (scores.rank != 4) return nac_lower_fail(lowering, NAC_MALFORMED, "the mask has rank %d; at most 4 is possible", scores.rank);
    NAC_TRY(nac_lower_emit(lowering, softmax, &y, 1, &scores, NAC_ROW_MAJOR, &y));
    NAC_TRY(nac_lower_product(lowering, y, v, &y));
    if (flat) {
        const nac_shape ys = graph->values[y].shape;
        const int *d = ys.dims;
        const nac_shape apart = nac_shape_make(4, (const int[]){d[0], d[2], d[1], d[3]}), joined = nac_shape_make(3, (const int[]){d[0], d[2], d[1] * d[3]});
        memcpy(turn.u.transpose.perm, (const int[]){0, 2, 1, 3}, 4 * sizeof(int));
        NAC_TRY(nac_lower_emit(lowering, turn, &y, 1, &apart, NAC_ROW_MAJOR, &y));
        NAC_TRY(nac_lower_reshape(lowering, y, &joined, &y));
    }
    return nac_lower_bind(lowering, 0, y);
}
