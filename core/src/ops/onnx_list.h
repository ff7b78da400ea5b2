/* onnx_list.h - the one list of ONNX operators that can be lowered. Adding one: a line here and a function
 *
 *   nac_status nac_lower_<op_type>(nac_lowering *lowering)
 *
 * in its family's file. X(op_type): declares that function and makes the table of onnx_list.c, by which a file with any other
 * operator is refused when it is opened. */
#ifndef NAC_ONNX_LIST_H
#define NAC_ONNX_LIST_H

#include "ops/ops.h"

/* One family a block, alphabetical inside of it. */
#define NAC_ONNX_OP_LIST(X) \
    /* constants.c: constants and shape arithmetic */ \
    X(Cast)                 \
    X(CastLike)             \
    X(Constant)             \
    X(ConstantOfShape)      \
    X(Dropout)              \
    X(Identity)             \
    X(Range)                \
    X(Shape)                \
    X(Size)                 \
    /* logic.c: comparisons and choices */ \
    X(And)                  \
    X(Equal)                \
    X(Greater)              \
    X(GreaterOrEqual)       \
    X(If)                   \
    X(Less)                 \
    X(LessOrEqual)          \
    X(Mod)                  \
    X(Not)                  \
    X(Or)                   \
    X(Trilu)                \
    X(Where)                \
    X(Xor)                  \
    /* gather.c: constant places */ \
    X(Gather)               \
    X(GatherElements)       \
    X(GatherND)             \
    X(Scatter)              \
    X(ScatterElements)      \
    X(ScatterND)            \
    /* sequence.c: lists of tensors */ \
    X(ConcatFromSequence)   \
    X(SequenceAt)           \
    X(SequenceConstruct)    \
    X(SequenceEmpty)        \
    X(SequenceErase)        \
    X(SequenceInsert)       \
    X(SequenceLength)       \
    X(SplitToSequence)      \
    /* shape_ops.c, slice_ops.c, pad.c, blocks.c: the same numbers, elsewhere */ \
    X(Concat)               \
    X(DepthToSpace)         \
    X(Expand)               \
    X(Flatten)              \
    X(Pad)                  \
    X(Reshape)              \
    X(Slice)                \
    X(SpaceToDepth)         \
    X(Split)                \
    X(Squeeze)              \
    X(Tile)                 \
    X(Transpose)            \
    X(Unsqueeze)            \
    /* attention.c */       \
    X(Attention)            \
    /* affine.c: batch normalisation */ \
    X(BatchNormalization)   \
    /* binary.c: functions of two numbers, broadcast */ \
    X(Add)                  \
    X(Div)                  \
    X(Max)                  \
    X(Mean)                 \
    X(Min)                  \
    X(Mul)                  \
    X(Sub)                  \
    X(Sum)                  \
    /* convolution.c */ \
    X(Conv)                 \
    X(ConvTranspose)        \
    /* cumsum.c: sums of what lies in front */ \
    X(CumSum)               \
    /* einsum.c, matmul.c: products of matrices */ \
    X(Einsum)               \
    X(Gemm)                 \
    X(MatMul)               \
    /* loop.c: bodies that are lowered round by round */ \
    X(Loop)                 \
    X(Scan)                 \
    /* normalise.c: statistics of the image itself */ \
    X(GroupNormalization)   \
    X(InstanceNormalization) \
    X(LRN)                  \
    X(LayerNormalization)   \
    X(MeanVarianceNormalization) \
    X(RMSNormalization)     \
    /* pool.c: windows over an image */ \
    X(AveragePool)          \
    X(GlobalAveragePool)    \
    X(GlobalLpPool)         \
    X(GlobalMaxPool)        \
    X(LpPool)               \
    X(MaxPool)              \
    /* quantise.c, quantise_dynamic.c: integers that stand for numbers */ \
    X(ConvInteger)          \
    X(DequantizeLinear)     \
    X(DynamicQuantizeLinear) \
    X(MatMulInteger)        \
    X(QuantizeLinear)       \
    /* quantise_operators.c: operators on integers that stand for numbers */ \
    X(QGemm)                \
    X(QLinearAdd)           \
    X(QLinearAveragePool)   \
    X(QLinearConcat)        \
    X(QLinearConv)          \
    X(QLinearGlobalAveragePool) \
    X(QLinearLeakyRelu)     \
    X(QLinearMatMul)        \
    X(QLinearMul)           \
    X(QLinearSigmoid)       \
    /* recurrent.c: sequences, step by step */ \
    X(GRU)                  \
    X(LSTM)                 \
    X(RNN)                  \
    /* reduce.c: sums and extrema over axes */ \
    X(LpNormalization)      \
    X(ReduceL1)             \
    X(ReduceL2)             \
    X(ReduceLogSumExp)      \
    X(ReduceMax)            \
    X(ReduceMean)           \
    X(ReduceMin)            \
    X(ReduceProd)           \
    X(ReduceSum)            \
    X(ReduceSumSquare)      \
    /* resize.c: images of another size */ \
    X(Resize)               \
    X(Upsample)             \
    /* softmax.c */ \
    X(LogSoftmax)           \
    X(Softmax)              \
    /* unary.c: functions of one number */ \
    X(Abs)                  \
    X(Ceil)                 \
    X(Celu)                 \
    X(Clip)                 \
    X(Cos)                  \
    X(Elu)                  \
    X(Erf)                  \
    X(Exp)                  \
    X(Floor)                \
    X(Gelu)                 \
    X(HardSigmoid)          \
    X(HardSwish)            \
    X(LeakyRelu)            \
    X(Log)                  \
    X(Mish)                 \
    X(Neg)                  \
    X(PRelu)                \
    X(Pow)                  \
    X(Reciprocal)           \
    X(Relu)                 \
    X(Round)                \
    X(Selu)                 \
    X(Sigmoid)              \
    X(Sign)                 \
    X(Sin)                  \
    X(Softplus)             \
    X(Softsign)             \
    X(Sqrt)                 \
    X(Swish)                \
    X(Tanh)                 \
    X(ThresholdedRelu)

#define X(op_type) nac_status nac_lower_##op_type(nac_lowering *lowering);
NAC_ONNX_OP_LIST(X)
#undef X

#endif
