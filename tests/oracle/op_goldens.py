"""Every ONNX operator against PyTorch autograd, forward and backward: writes tests/golden/ops/ops.safetensors.

    /usr/bin/python3 tests/oracle/op_goldens.py

Needs PyTorch, onnx and numpy (Debian: python3-torch python3-onnx).

A case is a network of one operator (or the few that make sense together): x [2,3,5,6] -> ... -> y, flattened to the logits. So the
logits are the operator's output, and the gradient at x is its adjoint applied to softmax(y) - 1/K. PyTorch computes both in float64
from a formula written here next to the nodes, not from the nodes, so that it is a second opinion on ONNX's meaning.

The file holds x, and for each case NAME.logits, NAME.g and the ONNX file NAME.onnx; metadata "cases" and "refused" list the
names. Cases of "refused" have no numbers: they must fail.
"""

import json
import math
import pathlib

import numpy as np
import onnx
import torch
import torch.nn.functional as F

from op_case import C, X, case, files, floats, ints, refuse, refused, t, tensors, weights
from oracle import save_safetensors

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "ops"

# ---- Convolution ---------------------------------------------------------------------------------


def conv(name, shape, bias=True, before=0, pads=None, opset=13, **attributes):
    """pads: [top, left, bottom, right] as ONNX has them; `before` channels are made by a 1x1 convolution in front."""
    w, b = weights(*shape), weights(shape[0]) if bias else None
    first = weights(before, C, 1, 1) if before else None
    given = {k: v for k, v in attributes.items() if k != "same"}
    if "auto_pad" not in given and pads is not None:
        given["pads"] = pads

    def build(net):
        x = net("Conv", "x", first) if before else "x"
        return net("Conv", x, w, *([b] if bias else []), **given)

    def formula(x):
        if before:
            x = F.conv2d(x, t(first))
        top, left, bottom, right = pads or [0, 0, 0, 0]
        return F.conv2d(F.pad(x, (left, right, top, bottom)), t(w), t(b) if bias else None, stride=attributes.get("strides", 1),
                        dilation=attributes.get("dilations", 1), groups=attributes.get("group", 1))

    case(name, build, formula, opset)


conv("conv", (4, 3, 3, 3), pads=[1, 1, 1, 1], kernel_shape=[3, 3])
conv("conv_uneven", (4, 3, 3, 2), bias=False, pads=[0, 1, 2, 0], strides=[2, 3])
conv("conv_dilated", (2, 3, 3, 2), pads=[2, 1, 2, 1], dilations=[2, 3])
conv("conv_grouped", (6, 2, 3, 3), before=4, pads=[1, 1, 1, 1], group=2)
conv("conv_depthwise", (4, 1, 3, 3), before=4, pads=[1, 1, 1, 1], group=4, strides=[2, 2])
conv("conv_depthwise_twice", (8, 1, 3, 3), before=4, pads=[1, 1, 1, 1], group=4)
conv("conv_1x1", (5, 3, 1, 1), strides=[2, 2])
# H 5, stride 2, kernel 3 -> 3 rows, 2 of padding; W 6, stride 2, kernel 3 -> 3 columns, 1 of padding
conv("conv_same_upper", (4, 3, 3, 3), pads=[1, 0, 1, 1], strides=[2, 2], auto_pad="SAME_UPPER")
conv("conv_same_lower", (4, 3, 3, 3), pads=[1, 1, 1, 0], strides=[2, 2], auto_pad="SAME_LOWER")
conv("conv_valid", (4, 3, 3, 3), auto_pad="VALID")
W133 = weights(4, 3, 3)
case("conv_1d", lambda net: net("Conv", net("Reshape", "x", ints(2, 3, 30)), W133, strides=[2], dilations=[2], pads=[1, 2], kernel_shape=[3]),
     lambda x: F.conv1d(F.pad(x.reshape(2, 3, 30), (1, 2)), t(W133), stride=2, dilation=2))
refuse("conv_1d_of_2d", lambda net: net("Conv", net("Reshape", "x", ints(2, 3, 30)), weights(4, 3, 3, 1)))
refuse("conv_1d_with_two_strides", lambda net: net("Conv", net("Reshape", "x", ints(2, 3, 30)), weights(4, 3, 3), strides=[2, 2]))
refuse("conv_3d", lambda net: net("Conv", net("Reshape", "x", ints(2, 3, 5, 3, 2)), weights(4, 3, 1, 1, 1)))
refuse("conv_dynamic_weights", lambda net: net("Conv", "x", net("Relu", "x")))
refuse("conv_negative_pads", lambda net: net("Conv", "x", weights(4, 3, 3, 3), pads=[-1, 0, 0, 0]))
refuse("conv_window_too_large", lambda net: net("Conv", "x", weights(4, 3, 7, 7)))

# ---- Batch normalisation -------------------------------------------------------------------------

SCALE, SHIFT, MEAN, VARIANCE = weights(3) + 1, weights(3), weights(3), np.abs(weights(3)) + np.float32(0.1)


def normalised(x, eps=1e-5):
    return F.batch_norm(x, t(MEAN), t(VARIANCE), t(SCALE), t(SHIFT), eps=eps)


NORM = (SCALE, SHIFT, MEAN, VARIANCE)
case("batch_norm", lambda net: net("BatchNormalization", "x", *NORM), normalised)
case("batch_norm_epsilon", lambda net: net("BatchNormalization", "x", *NORM, epsilon=0.5), lambda x: normalised(x, 0.5), 9)
case(
    "batch_norm_rank_2",
    lambda net: net("BatchNormalization", net("ReduceMean", "x", axes=[2, 3], keepdims=0), *NORM),
    lambda x: normalised(x.mean((2, 3))),
)
case("batch_norm_rank_3", lambda net: net("BatchNormalization", net("Reshape", "x", ints(2, 3, 30)), *NORM), lambda x: normalised(x.reshape(2, 3, 30)))
W333 = weights(3, 3, 3, 3)
case(
    "conv_norm_relu",
    lambda net: net("Relu", net("BatchNormalization", net("Conv", "x", W333), *NORM)),
    lambda x: F.relu(normalised(F.conv2d(x, t(W333)))),
)
refuse("batch_norm_training", lambda net: net("BatchNormalization", "x", *NORM, training_mode=1), 14)
# Weights are standardised by one; before opset 14 it is known by its outputs.
KERNELS = weights(4, 3, 3, 3)
for opset, outputs, attributes in ((17, 3, {"training_mode": 1}), (13, 5, {})):
    case(f"batch_norm_of_weights_{opset}",
         lambda net: net("Conv", "x", net("Reshape", net("BatchNormalization", KERNELS.reshape(1, 4, 27), *(v.repeat(2)[:4] for v in NORM), outputs=outputs, **attributes), ints(4, 3, 3, 3))),
         lambda x: F.conv2d(x, F.batch_norm(t(KERNELS).reshape(1, 4, 27), None, None, t(SCALE.repeat(2)[:4]), t(SHIFT.repeat(2)[:4]), True).reshape(4, 3, 3, 3)), opset)

# ---- Functions of one number ---------------------------------------------------------------------

for name, op, formula, attributes, opset in (
    ("relu", "Relu", F.relu, {}, 13),
    ("leaky_relu", "LeakyRelu", lambda x: F.leaky_relu(x, 0.01), {}, 13),
    ("leaky_relu_alpha", "LeakyRelu", lambda x: F.leaky_relu(x, 0.25), {"alpha": 0.25}, 13),
    ("elu", "Elu", F.elu, {}, 13),
    ("elu_alpha", "Elu", lambda x: F.elu(x, 1.5), {"alpha": 1.5}, 13),
    ("selu", "Selu", F.selu, {}, 13),
    ("celu", "Celu", F.celu, {}, 13),
    ("celu_alpha", "Celu", lambda x: F.celu(x, 0.5), {"alpha": 0.5}, 13),
    ("mish", "Mish", F.mish, {}, 18),
    ("sigmoid", "Sigmoid", torch.sigmoid, {}, 13),
    ("hard_sigmoid", "HardSigmoid", lambda x: torch.clamp(0.2 * x + 0.5, 0, 1), {}, 13),
    ("hard_sigmoid_torch", "HardSigmoid", F.hardsigmoid, {"alpha": 1 / 6, "beta": 0.5}, 13),
    ("hard_swish", "HardSwish", F.hardswish, {}, 14),
    ("tanh", "Tanh", torch.tanh, {}, 13),
    ("erf", "Erf", torch.erf, {}, 13),
    ("exp", "Exp", torch.exp, {}, 13),
    ("abs", "Abs", torch.abs, {}, 13),
    ("neg", "Neg", torch.neg, {}, 13),
    ("softplus", "Softplus", F.softplus, {}, 13),
    ("clip_attributes", "Clip", lambda x: torch.clamp(x, -0.5, 0.75), {"min": -0.5, "max": 0.75}, 10),
    ("clip_one_attribute", "Clip", lambda x: torch.clamp(x, max=0.75), {"max": 0.75}, 9),
):
    # Three times x reaches the far ends of every function.
    case(name, lambda net: net(op, net("Mul", "x", floats(3)), **attributes), lambda x: formula(3 * x), opset)

for name, op, formula in (
    ("log", "Log", torch.log),
    ("sqrt", "Sqrt", torch.sqrt),
    ("reciprocal", "Reciprocal", torch.reciprocal),
):
    case(name, lambda net: net(op, net("Add", net("Abs", "x"), floats(0.5))), lambda x: formula(x.abs() + 0.5))

LOW, HIGH = np.float32(-0.5), np.float32(6)
case("clip", lambda net: net("Clip", "x", LOW, np.float32(0.75)), lambda x: torch.clamp(x, -0.5, 0.75))
case("relu6", lambda net: net("Clip", net("Mul", "x", floats(5)), np.float32(0), HIGH), lambda x: F.relu6(5 * x))
case("clip_low", lambda net: net("Clip", "x", LOW), lambda x: torch.clamp(x, min=-0.5), 11)
case("clip_high", lambda net: net("Clip", "x", "", np.float32(0.75)), lambda x: torch.clamp(x, max=0.75), 12)
case("pow_2", lambda net: net("Pow", "x", np.float32(2)), lambda x: x**2)
case("pow_3", lambda net: net("Pow", "x", np.int64(3)), lambda x: x**3)
case("pow_fraction", lambda net: net("Pow", net("Exp", "x"), floats(-0.5)), lambda x: torch.exp(x) ** -0.5)
SLOPE = np.abs(weights(3, 1, 1))
case("prelu", lambda net: net("PRelu", "x", SLOPE), lambda x: F.prelu(x, t(SLOPE.reshape(3))))
case("prelu_one_slope", lambda net: net("PRelu", "x", np.float32([0.25]).reshape(1, 1, 1)), lambda x: F.prelu(x, t([0.25])))
refuse("pow_dynamic", lambda net: net("Pow", "x", "x"))

# ---- Functions of two numbers --------------------------------------------------------------------

CHANNEL, ROW, PLANE, WHOLE = weights(3, 1, 1) + 2, weights(6), weights(5, 6), weights(1, 3, 5, 6) + 3
BINARY = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": lambda a, b: a / b,
    "Max": torch.maximum,
    "Min": torch.minimum,
}
case("mean_of_three", lambda net: net("Mean", "x", CHANNEL, net("Exp", "x")), lambda x: (x + t(CHANNEL) + torch.exp(x)) / 3)
for op, formula in BINARY.items():
    low = op.lower()
    case(f"{low}_channel", lambda net: net(op, "x", CHANNEL), lambda x: formula(x, t(CHANNEL)))
    case(f"{low}_from_whole", lambda net: net(op, WHOLE, "x") if op != "Div" else net(op, WHOLE, net("Exp", "x")),
         lambda x: formula(t(WHOLE), x if op != "Div" else torch.exp(x)))
    case(f"{low}_number", lambda net: net(op, "x", np.float32(0.375)), lambda x: formula(x, t(0.375)))
    # the mean over channels, [N,1,H,W], and over pixels, [N,C,1,1]; both depend on x
    case(f"{low}_two", lambda net: net(op, net("ReduceMean", "x", axes=[1]), net("Exp", net("GlobalAveragePool", "x"))),
         lambda x: formula(x.mean(1, keepdim=True), torch.exp(x.mean((2, 3), keepdim=True))))
case("sub_from_channel", lambda net: net("Sub", CHANNEL, "x"), lambda x: t(CHANNEL) - x)
case("div_from_number", lambda net: net("Div", np.float32(2), net("Exp", "x")), lambda x: 2 / torch.exp(x))
case("add_row", lambda net: net("Add", "x", ROW), lambda x: x + t(ROW))
case("mul_plane", lambda net: net("Mul", PLANE, "x"), lambda x: t(PLANE) * x)
case("add_row_major", lambda net: net("Add", net("Relu", "x"), net("Reshape", net("Transpose", "x", perm=[0, 2, 3, 1]), ints(2, 3, 5, 6))),
     lambda x: F.relu(x) + x.permute(0, 2, 3, 1).reshape(2, 3, 5, 6))
case("mul_lower_rank", lambda net: net("Mul", "x", net("ReduceMean", "x", axes=[0], keepdims=0)), lambda x: x * x.mean(0))
case("mul_matrix_of_a_rank", lambda net: net("Mul", "x", net("ReduceMean", "x", axes=[0, 1], keepdims=0)), lambda x: x * x.mean((0, 1)))
case("square", lambda net: net("Mul", "x", "x"), lambda x: x * x)
case("tokens_bias", lambda net: net("Add", net("Mul", net("Reshape", "x", ints(2, 15, 6)), ROW), ROW),
     lambda x: x.reshape(2, 15, 6) * t(ROW) + t(ROW))
case("sum", lambda net: net("Sum", "x", CHANNEL, net("Relu", "x"), "x"), lambda x: 2 * x + t(CHANNEL) + F.relu(x))
case("max_of_three", lambda net: net("Max", "x", net("Neg", "x"), net("Mul", "x", PLANE)), lambda x: torch.maximum(torch.maximum(x, -x), x * t(PLANE)))
SQUEEZE, EXCITE = weights(2, 3, 1, 1), weights(3, 2, 1, 1)
case(
    "squeeze_excite",
    lambda net: net("Mul", "x", net("Sigmoid", net("Conv", net("Relu", net("Conv", net("GlobalAveragePool", "x"), SQUEEZE)), EXCITE))),
    lambda x: x * torch.sigmoid(F.conv2d(F.relu(F.conv2d(x.mean((2, 3), keepdim=True), t(SQUEEZE))), t(EXCITE))),
)


def shape_arithmetic(net):
    dims = net("Shape", "x")
    n, h = net("Gather", dims, ints(0)), net("Gather", dims, ints(2))
    rest = net("Div", net("Mul", net("Sub", net("Add", h, ints(7)), ints(2)), ints(10)), ints(3))  # ((5 + 7 - 2) * 10) / 3 = 33
    columns = net("Min", net("Max", rest, ints(10)), ints(30))
    return net("Reshape", "x", net("Concat", n, columns, ints(-1), axis=0))


case("shape_arithmetic", shape_arithmetic, lambda x: x.reshape(2, 30, 3))

# ---- Pools ---------------------------------------------------------------------------------------


def pad(x, pads, value=0.0):
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value)


def average(x, kernel, stride, pads):
    """Without the padding in the count, for any padding."""
    ones = torch.ones_like(x)
    return F.avg_pool2d(pad(x, pads), kernel, stride) / F.avg_pool2d(pad(ones, pads), kernel, stride)


K3 = {"kernel_shape": [3, 3], "strides": [2, 2]}
case("max_pool", lambda net: net("MaxPool", "x", pads=[1, 1, 1, 1], **K3), lambda x: F.max_pool2d(x, 3, 2, 1))
case("max_pool_ceil", lambda net: net("MaxPool", "x", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1), lambda x: F.max_pool2d(x, (2, 3), 2, ceil_mode=True))
# W 6, padding 1 + 1, kernel 2, stride 3: a third window would start at 8 - 1, in the padding behind, and is left out
case("max_pool_ceil_padded", lambda net: net("MaxPool", "x", kernel_shape=[2, 2], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1),
     lambda x: F.max_pool2d(x, 2, 3, 1, ceil_mode=True))
case("max_pool_uneven", lambda net: net("MaxPool", "x", kernel_shape=[3, 2], strides=[1, 2], pads=[0, 1, 2, 0]),
     lambda x: F.max_pool2d(pad(x, [0, 1, 2, 0], -math.inf), (3, 2), (1, 2)))
case("max_pool_dilated", lambda net: net("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 3]), lambda x: F.max_pool2d(x, 2, 1, 0, (2, 3)))
case("max_pool_same", lambda net: net("MaxPool", "x", auto_pad="SAME_UPPER", **K3), lambda x: F.max_pool2d(pad(x, [1, 0, 1, 1], -math.inf), 3, 2))
case("average_pool", lambda net: net("AveragePool", "x", pads=[1, 1, 1, 1], **K3), lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False))
case("average_pool_include", lambda net: net("AveragePool", "x", pads=[1, 1, 1, 1], count_include_pad=1, **K3), lambda x: F.avg_pool2d(x, 3, 2, 1))
case("average_pool_ceil", lambda net: net("AveragePool", "x", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1),
     lambda x: F.avg_pool2d(x, (2, 3), 2, ceil_mode=True, count_include_pad=False))
case("average_pool_ceil_include",
     lambda net: net("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1),
     lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True))
case("average_pool_same", lambda net: net("AveragePool", "x", auto_pad="SAME_LOWER", **K3), lambda x: average(x, 3, 2, [1, 1, 1, 0]))
case("average_pool_overlapping", lambda net: net("AveragePool", "x", kernel_shape=[4, 3]), lambda x: F.avg_pool2d(x, (4, 3), 1))
case("global_average_pool", lambda net: net("GlobalAveragePool", "x"), lambda x: x.mean((2, 3)))
case("global_max_pool", lambda net: net("GlobalMaxPool", "x"), lambda x: x.amax((2, 3)))
line = lambda net: net("Reshape", "x", ints(2, 3, 30))
case("max_pool_1d", lambda net: net("MaxPool", line(net), kernel_shape=[3], strides=[2], pads=[1, 0]), lambda x: F.max_pool1d(F.pad(x.reshape(2, 3, 30), (1, 0), value=-9), 3, 2))
case("average_pool_1d", lambda net: net("AveragePool", line(net), kernel_shape=[4], strides=[3], pads=[2, 2]), lambda x: F.avg_pool1d(x.reshape(2, 3, 30), 4, 3, 2, count_include_pad=False))
case("global_average_pool_1d", lambda net: net("Flatten", net("GlobalAveragePool", line(net))), lambda x: x.mean((2, 3)))
case("global_max_pool_1d", lambda net: net("GlobalMaxPool", line(net)), lambda x: x.amax((2, 3)))
refuse("max_pool_1d_with_two_sizes", lambda net: net("MaxPool", line(net), kernel_shape=[3, 3]))
case("max_pool_indices", lambda net: net("MaxPool", "x", outputs=2, **K3), lambda x: F.max_pool2d(x, 3, 2))
refuse("max_pool_indices_read", lambda net: net("Cast", net("MaxPool", "x", outputs=2, **K3) + "_", to=1))
refuse("max_pool_of_padding", lambda net: net("MaxPool", "x", kernel_shape=[2, 2], strides=[1, 1], pads=[3, 0, 0, 0]))

# ---- Reductions ----------------------------------------------------------------------------------

case("reduce_mean", lambda net: net("ReduceMean", "x", axes=[2, 3]), lambda x: x.mean((2, 3)))
case("reduce_mean_channels", lambda net: net("ReduceMean", "x", axes=[1], keepdims=0), lambda x: x.mean(1))
case("reduce_mean_height", lambda net: net("ReduceMean", "x", axes=[2], keepdims=0), lambda x: x.mean(2))
case("reduce_mean_last", lambda net: net("ReduceMean", "x", axes=[-1], keepdims=0), lambda x: x.mean(3))
case("reduce_mean_all", lambda net: net("Sub", "x", net("ReduceMean", "x")), lambda x: x - x.mean())
# Somebody changed the opset by hand: an attribute where an input should be
case("reduce_mean_mixed", lambda net: net("ReduceMean", "x", axes=[-2, -1], keepdims=0), lambda x: x.mean((2, 3)), 18)
case("clip_mixed", lambda net: net("Clip", "x", min=-0.5, max=0.25), lambda x: x.clamp(-0.5, 0.25))
case("squeeze_mixed", lambda net: net("Squeeze", net("Unsqueeze", "x", axes=[1]), axes=[1]), lambda x: x)
refuse("unsqueeze_nothing", lambda net: net("Unsqueeze", "x"))
case("reduce_mean_18", lambda net: net("ReduceMean", "x", ints(-2, -1), keepdims=0), lambda x: x.mean((2, 3)), 18)
case("reduce_sum_11", lambda net: net("ReduceSum", "x", axes=[2]), lambda x: x.sum(2), 11)
case("reduce_sum_13", lambda net: net("ReduceSum", "x", ints(1, 3), keepdims=0), lambda x: x.sum((1, 3)))
case("reduce_sum_nothing", lambda net: net("ReduceSum", "x", noop_with_empty_axes=1), lambda x: x)
case("reduce_sum_all", lambda net: net("Mul", "x", net("Tanh", net("ReduceSum", "x", keepdims=0))), lambda x: x * torch.tanh(x.sum()))

case("reduce_max", lambda net: net("ReduceMax", "x", axes=[2, 3]), lambda x: x.amax((2, 3), True))
case("reduce_max_channels", lambda net: net("ReduceMax", "x", axes=[1], keepdims=0), lambda x: x.amax(1))
case("reduce_max_apart", lambda net: net("ReduceMax", "x", axes=[1, 3], keepdims=0), lambda x: x.amax((1, 3)))
case("reduce_max_rows", lambda net: net("ReduceMax", net("Reshape", "x", ints(2, 3, 30)), ints(-1)), lambda x: x.reshape(2, 3, 30).amax(2), 18)
case("reduce_max_apart_rows", lambda net: net("ReduceMax", net("Reshape", "x", ints(2, 3, 5, 3, 2)), axes=[1, 3]), lambda x: x.reshape(2, 3, 5, 3, 2).amax((1, 3)))
case("reduce_max_all", lambda net: net("Sub", "x", net("ReduceMax", "x", keepdims=0)), lambda x: x - x.max())
case("reduce_max_nothing", lambda net: net("ReduceMax", "x", noop_with_empty_axes=1), lambda x: x, 18)
case("reduce_log_sum_exp", lambda net: net("ReduceLogSumExp", net("Mul", "x", floats(200)), axes=[1, 3]), lambda x: (200 * x).logsumexp((1, 3), True))
case("reduce_min", lambda net: net("ReduceMin", "x", axes=[2], keepdims=0), lambda x: x.amin(2))

# ---- Products ------------------------------------------------------------------------------------

FLAT, BIAS = weights(7, 90, scale=0.2), weights(7)
FOUR = weights(90, 4, scale=0.2)


def flat(net):
    return net("Flatten", "x", axis=1)


case("gemm", lambda net: net("Gemm", flat(net), FLAT, BIAS, transB=1), lambda x: x.reshape(2, 90) @ t(FLAT).T + t(BIAS))
case("gemm_scaled", lambda net: net("Gemm", flat(net), FLAT.T.copy(), BIAS.reshape(1, 7), alpha=0.5, beta=2.0),
     lambda x: 0.5 * (x.reshape(2, 90) @ t(FLAT).T) + 2 * t(BIAS))
case("gemm_no_bias", lambda net: net("Gemm", flat(net), FLAT, transB=1, alpha=0.5), lambda x: 0.5 * x.reshape(2, 90) @ t(FLAT).T)
case("gemm_number", lambda net: net("Gemm", flat(net), FLAT, floats(0.75), transB=1), lambda x: x.reshape(2, 90) @ t(FLAT).T + 0.75)
case("gemm_bias_of_rows", lambda net: net("Gemm", flat(net), FLAT, floats(0.75, -1).reshape(2, 1), transB=1, beta=2.0),
     lambda x: x.reshape(2, 90) @ t(FLAT).T + 2 * t([[0.75], [-1]]))
case("gemm_of_itself", lambda net: net("Gemm", flat(net), flat(net), floats(0.5), transB=1, alpha=0.01),
     lambda x: 0.01 * x.reshape(2, 90) @ x.reshape(2, 90).T + 0.5)
# [4,2] x [2,4], both turned
case("gemm_turned",
     lambda net: net("Reshape", net("Gemm", net("MatMul", flat(net), FOUR), net("Transpose", net("MatMul", flat(net), FOUR), perm=[1, 0]), transA=1, transB=1), ints(2, 8)),
     lambda x: ((x.reshape(2, 90) @ t(FOUR)).T @ (x.reshape(2, 90) @ t(FOUR))).reshape(2, 8))
RIGHT, STACK, VECTOR, LEFT = weights(6, 4), weights(3, 6, 2), weights(6), weights(5)
case("matmul", lambda net: net("MatMul", "x", RIGHT), lambda x: x @ t(RIGHT))
case("matmul_bias", lambda net: net("Add", net("MatMul", "x", RIGHT), weights(4) * 0 + 1), lambda x: x @ t(RIGHT) + 1)
case("matmul_ones", lambda net: net("MatMul", "x", RIGHT.reshape(1, 1, 6, 4)), lambda x: x @ t(RIGHT))
case("matmul_stack", lambda net: net("MatMul", "x", STACK), lambda x: x @ t(STACK))
case("matmul_stack_in_front", lambda net: net("MatMul", weights(1, 3, 2, 5) * 0 + STACK.reshape(3, 2, 6)[:, :, :5], "x"),
     lambda x: t(STACK.reshape(3, 2, 6)[:, :, :5]) @ x)
case("matmul_matrix_in_front", lambda net: net("MatMul", PLANE.T.copy(), "x"), lambda x: t(PLANE).T @ x)
case("matmul_vector", lambda net: net("MatMul", "x", VECTOR), lambda x: x @ t(VECTOR))
case("matmul_vector_in_front", lambda net: net("MatMul", LEFT, "x"), lambda x: t(LEFT) @ x)
case("matmul_broadcast_dynamic",
     lambda net: net("MatMul", "x", net("Transpose", net("ReduceMean", "x", axes=[0], keepdims=0), perm=[0, 2, 1])),
     lambda x: x @ x.mean(0).transpose(1, 2))


def attention(net):
    scores = net("MatMul", "x", net("Transpose", "x", perm=[0, 1, 3, 2]))
    return net("MatMul", net("Softmax", net("Mul", scores, np.float32(0.25)), axis=-1), "x")


case("attention", attention, lambda x: torch.softmax(x @ x.transpose(2, 3) * 0.25, -1) @ x)

# ---- Softmax -------------------------------------------------------------------------------------


def softmax(name, op, formula, opset=13, before=1, **attributes):
    """Times 3, since a session takes the input of a softmax at the very end for the logits."""
    case(name, lambda net: net("Mul", net(op, net("Mul", "x", floats(before)), **attributes), floats(3)), lambda x: 3 * formula(before * x), opset)


for axis in range(1, 4):
    softmax(f"softmax_{axis}", "Softmax", lambda x: torch.softmax(x, axis), axis=axis)
    softmax(f"log_softmax_{axis}", "LogSoftmax", lambda x: torch.log_softmax(x, axis), axis=axis)
softmax("softmax_default", "Softmax", lambda x: torch.softmax(x, -1))
softmax("softmax_11", "Softmax", lambda x: torch.softmax(x.reshape(2, 90), -1), 11)
softmax("softmax_11_last", "Softmax", lambda x: torch.softmax(x, -1), 11, axis=3)
softmax("log_softmax_11", "LogSoftmax", lambda x: torch.log_softmax(x.reshape(6, 30), -1), 11, axis=2)
# probabilities down to exp(-400): their logarithm would be -inf
softmax("log_softmax_far", "LogSoftmax", lambda x: torch.log_softmax(x, -1), before=100, axis=-1)

# ---- Against ONNX's rules -------------------------------------------------------------------------

refuse("add_of_other_shape", lambda net: net("Add", "x", weights(4, 1, 1)))
refuse("conv_of_other_channels", lambda net: net("Conv", "x", weights(4, 2, 3, 3)))
refuse("conv_of_other_groups", lambda net: net("Conv", "x", weights(4, 3, 3, 3), group=2))
refuse("conv_of_other_bias", lambda net: net("Conv", "x", weights(4, 3, 3, 3), weights(3)))
refuse("batch_norm_of_other_channels", lambda net: net("BatchNormalization", "x", SCALE, SHIFT, weights(4), VARIANCE))
refuse("matmul_of_other_size", lambda net: net("MatMul", "x", weights(5, 4)))
refuse("gemm_of_other_bias", lambda net: net("Gemm", flat(net), FLAT, weights(3, 7), transB=1))
refuse("integers_by_zero", lambda net: net("Reshape", "x", net("Div", ints(2, 90), ints(0))))
refuse("clip_at_nan", lambda net: net("Clip", "x", np.float32("nan")))
refuse("auto_pad_unknown", lambda net: net("MaxPool", "x", kernel_shape=[2, 2], auto_pad="SAME"))
refuse("softmax_of_no_axis", lambda net: net("Neg", net("Softmax", "x", axis=4)))

# ---- Small compositions that networks are made of -------------------------------------------------

GAMMA, BETA = weights(6) + 1, weights(6)


def layer_norm(net):
    x = net("Reshape", "x", ints(2, 15, 6))
    centred = net("Sub", x, net("ReduceMean", x, axes=[-1]))
    variance = net("ReduceMean", net("Pow", centred, np.float32(2)), axes=[-1])
    scaled = net("Div", centred, net("Sqrt", net("Add", variance, np.float32(1e-5))))
    return net("Add", net("Mul", scaled, GAMMA), BETA)


case("layer_norm_composed", layer_norm, lambda x: F.layer_norm(x.reshape(2, 15, 6), (6,), t(GAMMA), t(BETA)))


case("layer_norm", lambda net: net("LayerNormalization", net("Reshape", "x", ints(2, 15, 6)), GAMMA, BETA),
     lambda x: F.layer_norm(x.reshape(2, 15, 6), (6,), t(GAMMA), t(BETA)), 17)
case("layer_norm_of_two_axes", lambda net: net("LayerNormalization", "x", PLANE, axis=2, epsilon=0.1), lambda x: F.layer_norm(x, (5, 6), t(PLANE), eps=0.1), 17)
for size in (3, 4):
    case(f"local_norm_{size}", lambda net: net("LRN", "x", size=size, alpha=0.75, beta=0.6, bias=1.5),
         lambda x: x / (1.5 + 0.75 / size * sum(F.pad(x**2, (0, 0, 0, 0, (size - 1) // 2, size // 2))[:, i : i + 3] for i in range(size))) ** 0.6)
case("local_norm_default", lambda net: net("LRN", "x", size=1), lambda x: x / (1 + 1e-4 * x**2) ** 0.75)
refuse("local_norm_wide", lambda net: net("LRN", "x", size=7))

# PyTorch's LocalResponseNorm(3): channels are the depth of a volume, and where it does not know their number, an If decides about the squeeze.
def local_response(net):
    padded = net("Pad", net("Unsqueeze", net("Mul", "x", "x"), ints(1)), ints(0, 0, 1, 0, 0, 0, 0, 1, 0, 0))
    mean = net("Squeeze", net("AveragePool", padded, kernel_shape=[3, 1, 1], strides=[1, 1, 1]), ints(1))
    return net("Div", "x", net("Pow", net("Add", net("Mul", mean, np.float32(0.75)), np.float32(1.5)), np.float32(0.6)))


case("local_response", local_response, lambda x: F.local_response_norm(x, 3, 0.75, 0.6, 1.5))
for which, window in {"wide": {"kernel_shape": [2, 2, 1]}, "strided": {"kernel_shape": [2, 1, 1], "strides": [2, 1, 1]}, "padded": {"kernel_shape": [2, 1, 1], "pads": [1, 0, 0, 0, 0, 0]}, "deep": {"kernel_shape": [4, 1, 1]}}.items():
    refuse(f"average_pool_3d_{which}", lambda net: net("Squeeze", net("AveragePool", net("Unsqueeze", "x", ints(1)), **window), ints(1)))
case("length_norm", lambda net: net("LpNormalization", "x", axis=1), lambda x: F.normalize(x))
case("magnitude_norm", lambda net: net("LpNormalization", "x", p=1), lambda x: F.normalize(x, 1, -1))
refuse("length_norm_cubed", lambda net: net("LpNormalization", "x", p=3))
case("softsign", lambda net: net("Softsign", "x"), F.softsign)
case("swish_operator", lambda net: net("Swish", "x"), F.silu, 24)
case("swish_steep", lambda net: net("Swish", "x", alpha=1.75), lambda x: x * torch.sigmoid(1.75 * x), 24)
case("instance_norm", lambda net: net("InstanceNormalization", "x", SCALE, SHIFT), lambda x: F.instance_norm(x, weight=t(SCALE), bias=t(SHIFT)))
# PyTorch's GroupNorm(2, 4)
GROUPED, FOURS = weights(4, 3, 1, 1), weights(4, 1, 1) + 1
case("group_norm",
     lambda net: net("Mul", net("Reshape", net("InstanceNormalization", net("Reshape", net("Conv", "x", GROUPED), ints(0, 2, -1)), floats(1, 1), floats(0, 0)), ints(2, 4, 5, 6)), FOURS),
     lambda x: F.group_norm(F.conv2d(x, t(GROUPED)), 2, t(FOURS.reshape(4))))


def gelu(net):
    return net("Mul", net("Mul", "x", net("Add", net("Erf", net("Div", "x", np.float32(math.sqrt(2)))), np.float32(1))), np.float32(0.5))


case("gelu", gelu, F.gelu)
case("swish", lambda net: net("Mul", "x", net("Sigmoid", "x")), F.silu)

# Behind the others: the random numbers above stay what they were.
import op_goldens_shape  # noqa: E402,F401  shapes and constants
import op_goldens_transformer  # noqa: E402,F401  norms, attention, masks, quantised numbers
import op_goldens_places  # noqa: E402,F401  constant places, comparisons, steps
import op_goldens_recurrent  # noqa: E402,F401  sequences, step by step
import op_goldens_loops  # noqa: E402,F401  rounds

# ---------------------------------------------------------------------------------------------------

OUT.mkdir(parents=True, exist_ok=True)
names = sorted({name.rsplit(".", 1)[0] for name in tensors})
# Floats first: a file of odd length would leave them misaligned.
save_safetensors(OUT / "ops.safetensors", {"x": X, **tensors, **files},
                 {"cases": json.dumps(names), "refused": json.dumps(refused), "torch": torch.__version__, "onnx": onnx.__version__})
print(f"{len(names)} cases, {len(refused)} refused, {(OUT / 'ops.safetensors').stat().st_size} bytes")
