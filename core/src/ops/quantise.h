/* quantise.h - float32 out of integers and back, for the operators that read and write integers: quantise.c. */
#ifndef NAC_OPS_QUANTISE_H
#define NAC_OPS_QUANTISE_H

#include "ops/common.h"

/* Input i of integers as the float32 that they stand for. Their scale is input `scale`, a constant, and their zero point the input behind it, which
 * may be absent; `axis` (ONNX's, from the end if negative) says what there is one for each of, where there are several. */
nac_status nac_lower_dequantised(nac_lowering *lowering, int i, int scale, int64_t axis, int *result);

/* The way back: x / scale + zero point, within the range of the zero point's type, but not rounded. Where there is no zero point, the type is that of input
 * `like`, the zero point of an operand; NAC_NONE: it is uint8. */
nac_status nac_lower_quantised(nac_lowering *lowering, int x, int scale, int64_t axis, int like, int *result);

#endif
