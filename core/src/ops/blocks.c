/* blocks.c - SpaceToDepth and DepthToSpace: blocks of pixels become channels, and channels become blocks of pixels. */
#include <string.h>

#include "ops/common.h"

/* The image, in ONNX's own order, and the block's side. */
static nac_status operands(nac_lowering *lowering, int *x, int *side) {
    int64_t given;
    NAC_TRY(nac_lower_float(lowering, 0, x));
    NAC_TRY(nac_as_row_major(lowering, *x, x));
    NAC_TRY(nac_attribute_int(lowering, "blocksize", 0, &given));
    const int rank = lowering->graph->values[*x].shape.rank;
    if (rank != 4) return nac_lower_fail(lowering, NAC_UNSUPPORTED, "the input has rank %d; an image of rank 4 is needed", rank);
    if (given < 1 || given > 1024) return nac_lower_fail(lowering, NAC_MALFORMED, "a block of %lld", (long long)given);
    *side = (int)given;
    return NAC_OK;
}

/* Seen with six axes, which are then put in the order of `perm`, and seen as an image again. */
static nac_status rearrange(nac_lowering *lowering, int x, const int split[6], const int perm[6], const nac_shape *image) {
    const nac_shape from = nac_shape_make(6, split);
    nac_shape to = {.rank = 6};
    nac_node node = nac_node_make(NAC_OP_TRANSPOSE, NULL);
    for (int i = 0; i < 6; ++i) {
        node.u.transpose.perm[i] = perm[i];
        to.dims[i] = split[perm[i]];
    }
    NAC_TRY(nac_lower_reshape(lowering, x, &from, &x));
    NAC_TRY(nac_lower_emit(lowering, node, &x, 1, &to, NAC_ROW_MAJOR, &x));
    NAC_TRY(nac_lower_reshape(lowering, x, image, &x));
    return nac_lower_bind(lowering, 0, x);
}

/* [N,C,H*b,W*b] -> [N,b*b*C,H,W] */
nac_status nac_lower_SpaceToDepth(nac_lowering *lowering) {
    int x, b;
    NAC_TRY(operands(lowering, &x, &b));
    const int *d = lowering->graph->values[x].shape.dims;
    if (d[2] % b != 0 || d[3] % b != 0) return nac_lower_fail(lowering, NAC_MALFORMED, "blocks of %d do not divide %dx%d", b, d[2], d[3]);
    const int N = d[0], C = d[1], H = d[2] / b, W = d[3] / b;
    const nac_shape image = nac_shape_make(4, (const int[]){N, C * b * b, H, W});
    return rearrange(lowering, x, (const int[]){N, C, H, b, W, b}, (const int[]){0, 3, 5, 1, 2, 4}, &image);
}

/* [N,b*b*C,H,W] -> [N,C,H*b,W*b]; in mode CRD the channel, and not the place in the block, is what varies slowest. */
nac_status nac_lower_DepthToSpace(nac_lowering *lowering) {
    int x, b;
    const char *mode;
    size_t length;
    NAC_TRY(operands(lowering, &x, &b));
    NAC_TRY(nac_attribute_string(lowering, "mode", &mode, &length));
    const bool channel_first = length > 0 && strcmp(mode, "CRD") == 0;
    if (length > 0 && !channel_first && strcmp(mode, "DCR") != 0) return nac_lower_fail(lowering, NAC_MALFORMED, "mode is '%.20s'", mode);
    const int *d = lowering->graph->values[x].shape.dims;
    if (d[1] % (b * b) != 0) return nac_lower_fail(lowering, NAC_MALFORMED, "blocks of %d do not divide %d channels", b, d[1]);
    const int N = d[0], C = d[1] / (b * b), H = d[2], W = d[3];
    const nac_shape image = nac_shape_make(4, (const int[]){N, C, H * b, W * b});
    if (channel_first) return rearrange(lowering, x, (const int[]){N, C, b, b, H, W}, (const int[]){0, 1, 4, 2, 5, 3}, &image);
    return rearrange(lowering, x, (const int[]){N, b, b, C, H, W}, (const int[]){0, 3, 4, 1, 5, 2}, &image);
}
