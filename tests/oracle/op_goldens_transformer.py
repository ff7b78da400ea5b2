"""The part of op_goldens.py that transformers and quantised models are made of."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from op_case import case, floats, ints, refuse, t, weights

ROWS = [2, 15, 6]
rows = lambda net: net("Reshape", "x", ints(*ROWS))
GAMMA, BETA = weights(6) + 1, weights(6)

# ---- Layer normalisation as exporters decompose it -------------------------------------------------


def composed_norm(divide, square, epsilon=np.float32(1e-5)):
    def build(net):
        x = rows(net)
        centred = net("Sub", x, net("ReduceMean", x, axes=[-1]))
        squared = net("Mul", centred, centred) if square == "Mul" else net("Pow", centred, np.float32(2))
        variance = net("Add", epsilon, net("ReduceMean", squared, axes=[-1]))
        if divide == "Div":
            y = net("Div", centred, net("Sqrt", variance))
        elif divide == "Reciprocal":
            y = net("Mul", net("Reciprocal", net("Sqrt", variance)), centred)
        else:
            y = net("Mul", centred, net("Pow", variance, np.float32(-0.5)))
        return net("Add", net("Mul", y, GAMMA), BETA)

    return build


for divide in ("Div", "Reciprocal", "Pow"):
    for square in ("Mul", "Pow"):
        case(f"norm_{divide.lower()}_{square.lower()}", composed_norm(divide, square), lambda x: F.layer_norm(x.reshape(ROWS), (6,), t(GAMMA), t(BETA)))


def shifted_norm(reciprocal, gain_first=False, shared=False):
    """TensorFlow's: x k + (beta - mean k), with k = gamma / sqrt(variance + epsilon)."""

    def build(net):
        x = rows(net)
        mean = net("ReduceMean", x, axes=[-1])
        centred = net("Sub", x, mean)
        root = net("Sqrt", net("Add", net("ReduceMean", net("Mul", centred, centred), axes=[-1]), np.float32(1e-3)))
        root = net("Reciprocal", root) if reciprocal else net("Div", np.float32(1), root)
        k = net("Mul", GAMMA, root) if gain_first else net("Mul", root, GAMMA)
        y = net("Add", net("Mul", k, x) if gain_first else net("Mul", x, k), net("Sub", BETA, net("Mul", mean, k)))
        return net("Add", y, mean) if shared else y

    return build


tensorflow_norm = lambda x: F.layer_norm(x.reshape(ROWS), (6,), t(GAMMA), t(BETA), 1e-3)
case("norm_shifted", shifted_norm(True), tensorflow_norm)
case("norm_shifted_div", shifted_norm(False, gain_first=True), tensorflow_norm)
case("norm_shifted_shared", shifted_norm(True, shared=True), lambda x: tensorflow_norm(x) + x.reshape(ROWS).mean(-1, True))


def shared_norm(net):
    """The centred numbers have a reader outside of the norm, so that it cannot be one node."""
    x = rows(net)
    centred = net("Sub", x, net("ReduceMean", x, axes=[-1]))
    y = net("Div", centred, net("Sqrt", net("Add", net("ReduceMean", net("Pow", centred, np.float32(2)), axes=[-1]), np.float32(1e-5))))
    return net("Add", y, net("Tanh", centred))


case("norm_shared", shared_norm, lambda x: F.layer_norm(x.reshape(ROWS), (6,)) + torch.tanh(x.reshape(ROWS) - x.reshape(ROWS).mean(-1, keepdim=True)))
# ConvNeXt's: over the channels of an image
case("norm_of_channels", lambda net: net("Transpose", net("LayerNormalization", net("Transpose", "x", perm=[0, 2, 3, 1]), GAMMA[:3], BETA[:3]), perm=[0, 3, 1, 2]),
     lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (3,), t(GAMMA[:3]), t(BETA[:3])).permute(0, 3, 1, 2), 17)
WIDE = weights(4, 3, 1, 1)
case("group_norm_18", lambda net: net("GroupNormalization", net("Conv", "x", WIDE), floats(1, 2), floats(0.5, -1), num_groups=2),
     lambda x: F.group_norm(F.conv2d(x, t(WIDE)), 2, t([1, 1, 2, 2]), t([0.5, 0.5, -1, -1])), 18)
case("group_norm_21", lambda net: net("GroupNormalization", net("Conv", "x", WIDE), floats(1, 2, 3, 4), floats(0.5, -1, 0, 1), num_groups=2, epsilon=0.1),
     lambda x: F.group_norm(F.conv2d(x, t(WIDE)), 2, t([1, 2, 3, 4]), t([0.5, -1, 0, 1]), eps=0.1), 21)
refuse("group_norm_uneven", lambda net: net("GroupNormalization", "x", floats(1, 2), floats(1, 2), num_groups=2), 18)

# ---- Functions that are written as many operators --------------------------------------------------

ROOT, TANH_GELU = np.float32(math.sqrt(2)), lambda x: F.gelu(x, approximate="tanh")
case("gelu_20", lambda net: net("Gelu", "x"), F.gelu, 20)
case("gelu_20_tanh", lambda net: net("Gelu", "x", approximate="tanh"), TANH_GELU, 20)
refuse("gelu_of_another_kind", lambda net: net("Gelu", "x", approximate="sigmoid"), 20)
gate = lambda net, x: net("Add", net("Erf", net("Mul", x, np.float32(1) / ROOT)), np.float32(1))
case("gelu_half_first", lambda net: net("Mul", net("Mul", "x", np.float32(0.5)), gate(net, "x")), F.gelu)
case("gelu_half_inside", lambda net: net("Mul", net("Mul", gate(net, "x"), np.float32(0.5)), "x"), F.gelu)
# erf(x / 2) has the form, but it is another function
case("not_gelu", lambda net: net("Mul", "x", net("Add", net("Erf", net("Div", "x", np.float32(2))), np.float32(1))), lambda x: x * (1 + torch.erf(x / 2)))


def tanh_gelu(net):
    inner = net("Mul", net("Add", "x", net("Mul", net("Pow", "x", np.float32(3)), np.float32(0.044715))), np.float32(math.sqrt(2 / math.pi)))
    return net("Mul", net("Mul", "x", np.float32(0.5)), net("Add", net("Tanh", inner), np.float32(1)))


case("gelu_tanh_composed", tanh_gelu, TANH_GELU)
case("swish_gate_first", lambda net: net("Mul", net("Sigmoid", "x"), "x"), F.silu)
case("hard_swish_gate", lambda net: net("Mul", "x", net("HardSigmoid", "x", alpha=1 / 6, beta=0.5)), F.hardswish)
case("not_swish", lambda net: net("Mul", "x", net("Sigmoid", net("Neg", "x"))), lambda x: x * torch.sigmoid(-x))

# ---- Attention ---------------------------------------------------------------------------------------

MIX = weights(6, 4)


def einsum(name, equation):
    """Of x and tanh(x)."""
    case(f"einsum_{name}", lambda net: net("Einsum", "x", net("Tanh", "x"), equation=equation), lambda x: torch.einsum(equation, x, torch.tanh(x)))


einsum("scores", "nchw,ncvw->nchv")
einsum("values", "nchw,nchv->ncwv")
einsum("spaces", " n c h w , n c v w -> n c h v ")
einsum("turned_result", "nchw,nchv->nwcv")
einsum("several_axes", "nchw,nkhv->nckwv")
einsum("axes_of_one_operand", "nchw,nvhk->nc")
einsum("outer", "nchw,nxyz->nc")
case("einsum_weights", lambda net: net("Einsum", "x", MIX, equation="nchw,wk->nkch"), lambda x: torch.einsum("nchw,wk->nkch", x, t(MIX)))
case("einsum_one", lambda net: net("Einsum", "x", equation="nchw->nwc"), lambda x: torch.einsum("nchw->nwc", x))
case("einsum_alphabetical", lambda net: net("Transpose", net("Einsum", "x", equation="nwhc"), perm=[2, 0, 1, 3]), lambda x: torch.einsum("nwhc", x).permute(2, 0, 1, 3))
einsum("ellipsis", "n...w,n...v->n...wv")
einsum("ellipsis_in_one", "nc...,nchw->n...")
einsum("ellipsis_implied", "...hw,...hv")
case("einsum_ellipsis_of_other_ranks", lambda net: net("Einsum", "x", net("ReduceMean", "x", axes=[0], keepdims=0), equation="...hw,...hv->...wv"),
     lambda x: torch.einsum("nchw,chv->ncwv", x, x.mean(0)))
case("einsum_ellipsis_weights", lambda net: net("Einsum", "x", MIX, equation="...w,wk->...k"), lambda x: torch.einsum("nchw,wk->nchk", x, t(MIX)))
case("einsum_ellipsis_summed", lambda net: net("Einsum", "x", equation="n...w->n..."), lambda x: x.sum(3))
refuse("einsum_dots", lambda net: net("Einsum", "x", "x", equation="n..w,n..w->n"))
refuse("einsum_ellipsis_of_less", lambda net: net("Einsum", "x", equation="nchwk...->n"))
refuse("einsum_diagonal", lambda net: net("Einsum", "x", equation="nchh->nc"))
refuse("einsum_of_other_sizes", lambda net: net("Einsum", "x", "x", equation="nchw,nwch->nw"))
refuse("einsum_of_no_operand", lambda net: net("Einsum", "x", equation="nchw->nk"))
refuse("einsum_of_other_rank", lambda net: net("Einsum", "x", "x", equation="nchw,nch->nw"))


def attention(net):
    """Two heads of three features, keys transposed by themselves, an additive mask."""
    heads = net("Transpose", net("Reshape", "x", ints(2, 15, 2, 3)), perm=[0, 2, 1, 3])
    keys = net("Transpose", net("Tanh", heads), perm=[0, 1, 3, 2])
    scores = net("Add", net("MatMul", heads, keys), np.where(np.eye(15) > 0, -np.inf, 0).astype(np.float32))
    y = net("MatMul", net("Softmax", scores, axis=-1), heads)
    return net("Reshape", net("Transpose", y, perm=[0, 2, 1, 3]), ints(2, 15, 6))


def attention_formula(x):
    heads = x.reshape(2, 15, 2, 3).transpose(1, 2)
    scores = heads @ torch.tanh(heads).transpose(2, 3) + t(np.where(np.eye(15) > 0, -np.inf, 0))
    return (torch.softmax(scores, -1) @ heads).transpose(1, 2)


case("attention_of_heads", attention, attention_formula)
case("matmul_shared_dynamic_matrix", lambda net: net("MatMul", "x", net("Reshape", net("ReduceMean", "x", axes=[0, 1, 2]), ints(6, 1))),
     lambda x: x @ x.mean((0, 1, 2)).reshape(6, 1))

# cosine attention: F.normalize
case("normalise_length", lambda net: net("Div", "x", net("Clip", net("ReduceL2", "x", axes=[-1]), np.float32(1e-12))), lambda x: F.normalize(x, dim=-1))
case("reduce_l2", lambda net: net("ReduceL2", "x", axes=[1], keepdims=0), lambda x: x.norm(dim=1))
case("reduce_l2_18", lambda net: net("ReduceL2", "x", ints(2, 3)), lambda x: x.flatten(2).norm(dim=2), 18)
case("reduce_l2_of_zeros", lambda net: net("Add", "x", net("ReduceL2", net("Mul", "x", np.float32(0)), axes=[-1])), lambda x: x + (x * 0).norm(dim=-1, keepdim=True))
case("reduce_l1", lambda net: net("ReduceL1", "x", axes=[2], keepdims=0), lambda x: x.abs().sum(2))
case("reduce_sum_square", lambda net: net("ReduceSumSquare", "x", axes=[1, 3]), lambda x: (x * x).sum((1, 3)))

# ---- Masks ---------------------------------------------------------------------------------------------

EVEN = np.array([True, False, True, False, True, False])
chosen = t(EVEN) != 0
case("where_computed", lambda net: net("Where", EVEN, "x", net("Tanh", "x")), lambda x: torch.where(chosen, x, torch.tanh(x)))
case("where_constant_first", lambda net: net("Where", EVEN, np.float32(2), "x"), lambda x: torch.where(chosen, t(2), x))
case("where_masked", lambda net: net("Mul", net("Softmax", net("Where", EVEN, "x", np.float32(-np.inf)), axis=-1), floats(3)),
     lambda x: 3 * torch.softmax(torch.where(chosen, x, t(-np.inf)), -1))


def mask(net):
    """A window's mask as Swin computes it: zeros, parts of which are overwritten, compared with each other."""
    plane = net("ConstantOfShape", ints(5, 6))
    for value, (rows_, columns) in enumerate([(slice(0, 3), slice(4, 6)), (slice(3, 5), slice(0, 4))], 1):
        places = np.stack(np.meshgrid(np.arange(5)[rows_], np.arange(6)[columns], indexing="ij"), -1).astype(np.int64)
        plane = net("ScatterND", plane, places - [0, 6], np.full(places.shape[:2], value, np.float32))
    same = net("Not", net("Equal", plane, np.float32(0)))
    return net("Add", "x", net("Where", same, np.float32(-100), plane))


def mask_formula(x):
    plane = torch.zeros(5, 6, dtype=torch.float64)
    plane[0:3, 4:6], plane[3:5, 0:4] = -100, -100
    return x + plane


case("mask", mask, mask_formula)
case("scatter_rows", lambda net: net("Mul", "x", net("ScatterND", np.ones((5, 6), np.float32), ints(-1, 1).reshape(2, 1), weights(2, 6) * 0 + 3)),
     lambda x: x * t([[1] * 6, [3] * 6, [1] * 6, [1] * 6, [3] * 6]))
refuse("scatter_outside", lambda net: net("Mul", "x", net("ScatterND", np.ones((5, 6), np.float32), ints(5, 0).reshape(1, 2), floats(1))))
COUNT, HALF = np.arange(6, dtype=np.float32), np.float32(2.5)
for op, formula in {"Greater": COUNT > HALF, "GreaterOrEqual": COUNT >= 3, "Less": COUNT < HALF, "LessOrEqual": COUNT <= 3}.items():
    bound = np.float32(3) if "Or" in op else HALF
    case(op.lower(), lambda net: net("Mul", "x", net("Cast", net(op, COUNT, bound), to=1)), lambda x: x * t(formula))
case("and_or", lambda net: net("Mul", "x", net("Cast", net("Or", net("And", EVEN, COUNT > 1), COUNT == 5), to=1)), lambda x: x * t([0, 0, 1, 0, 1, 1]))
case("mod", lambda net: net("Mul", "x", net("Cast", net("Mod", ints(7, -7, 7, -7, 6, 0), ints(3, 3, -3, -3, 3, 3)), to=1)), lambda x: x * t([1, 2, -2, -1, 0, 0]))
case("mod_of_c", lambda net: net("Mul", "x", net("Cast", net("Mod", ints(7, -7, 7, -7, 6, 0), ints(3, 3, -3, -3, 3, 3), fmod=1), to=1)), lambda x: x * t([1, -1, 1, -1, 0, 0]))
refuse("mod_by_zero", lambda net: net("Reshape", "x", net("Mod", ints(2, 90), ints(0))))
# a shape joined to the rest of one that has no more dimensions
case("concat_empty", lambda net: net("Reshape", "x", net("Concat", ints(2, -1), net("Slice", net("Shape", "x"), ints(4), ints(9), ints(0)), axis=0)), lambda x: x)

case("dropout_of_nothing", lambda net: net("Dropout", net("Relu", "x"), np.float32(0), np.array(True)), F.relu)

# ---- Integers that stand for numbers -------------------------------------------------------------------

Q, QS = np.array([-128, -3, 0, 127, 5, -77, 31, 2, 90, -1, 64, -64], np.int8).reshape(4, 3, 1, 1), floats(0.02, 0.01, 0.03, 0.005)
case("dequantise_weights", lambda net: net("Conv", "x", net("DequantizeLinear", Q, np.float32(0.02), np.int8(3))), lambda x: F.conv2d(x, (t(Q) - 3) * t(np.float32(0.02))))
case("dequantise_channels",
     lambda net: net("Conv", "x", net("DequantizeLinear", Q, QS, np.array([1, 0, -2, 4], np.int8), axis=0), net("DequantizeLinear", np.array([7, -9, 100, 0], np.int32), np.float32(0.01))),
     lambda x: F.conv2d(x, (t(Q) - t([1, 0, -2, 4]).reshape(4, 1, 1, 1)) * t(QS).reshape(4, 1, 1, 1), t([7, -9, 100, 0]) * t(np.float32(0.01))))

FILTERS, FILTER_ZEROS = (np.arange(108) * 37 % 256).astype(np.uint8).reshape(4, 3, 3, 3), np.array([128, 0, 255, 100], np.uint8)
case("dequantise_filters", lambda net: net("Conv", "x", net("DequantizeLinear", FILTERS, QS, FILTER_ZEROS, axis=0), pads=[1, 1, 1, 1]),
     lambda x: F.conv2d(x, (t(FILTERS) - t(FILTER_ZEROS).reshape(4, 1, 1, 1)) * t(QS).reshape(4, 1, 1, 1), padding=1))
IMAGE, SIX = weights(4, 3, 1, 1), (np.arange(36) - 18).astype(np.int8).reshape(6, 6, 1, 1)
BYTES, BYTE_SCALES = (np.arange(9216) * 151 % 256).astype(np.uint8).reshape(32, 32, 3, 3), (np.arange(32, dtype=np.float32) + 5) / 4096
BYTE_ZEROS, FIRST = (128 + np.arange(32) * 5 % 17 - 8).astype(np.uint8), weights(32, 3, 1, 1)
BYTE_WEIGHTS = (t(BYTES) - t(BYTE_ZEROS).reshape(32, 1, 1, 1)) * t(BYTE_SCALES).reshape(32, 1, 1, 1)
# behind a ReLU, where kernels read them as they are
case("dequantise_behind_relu", lambda net: net("Conv", net("Relu", net("Conv", "x", FIRST)), net("DequantizeLinear", BYTES, BYTE_SCALES, BYTE_ZEROS, axis=0), pads=[1, 1, 1, 1]),
     lambda x: F.conv2d(F.relu(F.conv2d(x, t(FIRST))), BYTE_WEIGHTS, padding=1))
case("dequantise_signed_behind_relu",
     lambda net: net("Conv", net("Relu", net("Conv", "x", FIRST)), net("DequantizeLinear", BYTES.view(np.int8), np.float32(0.005), np.int8(3)), strides=[1, 1]),
     lambda x: F.conv2d(F.relu(F.conv2d(x, t(FIRST))), (t(BYTES.view(np.int8)) - 3) * t(np.float32(0.005))))
# scaled twice, which nothing types but nothing forbids here; for weights that are computed; and where only the size of the result is of use
case("dequantise_twice", lambda net: net("Conv", "x", net("DequantizeLinear", net("DequantizeLinear", Q, np.float32(0.5), np.int8(3)), np.float32(0.04))),
     lambda x: F.conv2d(x, (t(Q) - 3) * 0.5 * t(np.float32(0.04))))
case("dequantise_for_a_constant", lambda net: net("Conv", "x", net("Conv", IMAGE, net("DequantizeLinear", Q[:3], np.float32(0.02)))),
     lambda x: F.conv2d(x, F.conv2d(t(IMAGE), t(Q[:3]) * t(np.float32(0.02)))))
case("dequantise_for_its_shape", lambda net: net("Reshape", net("Concat", "x", net("Relu", "x"), axis=1), net("Shape", net("Conv", net("Concat", "x", "x", axis=1), net("DequantizeLinear", SIX, np.float32(0.02))))),
     lambda x: torch.cat([x, F.relu(x)], 1))
FACTORS, SHIFTS, MEANS, VARIANCES = floats(0.5, 2, -1, 1.5), floats(0.1, -0.2, 0, 0.3), floats(0, 0.5, -0.5, 1), floats(1, 4, 0.25, 2)
case("dequantise_normalised", lambda net: net("BatchNormalization", net("Conv", "x", net("DequantizeLinear", FILTERS, QS, FILTER_ZEROS, axis=0)), FACTORS, SHIFTS, MEANS, VARIANCES),
     lambda x: F.batch_norm(F.conv2d(x, (t(FILTERS) - t(FILTER_ZEROS).reshape(4, 1, 1, 1)) * t(QS).reshape(4, 1, 1, 1)), t(MEANS), t(VARIANCES), t(FACTORS), t(SHIFTS)))
case("dequantise_by_input", lambda net: net("Conv", "x", net("DequantizeLinear", FILTERS, QS[:3], np.array([128, 7, 255], np.uint8), axis=1)),
     lambda x: F.conv2d(x, (t(FILTERS) - t([128, 7, 255]).reshape(1, 3, 1, 1)) * t(QS[:3]).reshape(1, 3, 1, 1)))
case("dequantise_depthwise", lambda net: net("Conv", "x", net("DequantizeLinear", FILTERS[:3, :1], QS[:3], FILTER_ZEROS[:3], axis=0), group=3),
     lambda x: F.conv2d(x, (t(FILTERS[:3, :1]) - t(FILTER_ZEROS[:3]).reshape(3, 1, 1, 1)) * t(QS[:3]).reshape(3, 1, 1, 1), groups=3))
HALVES = ((np.arange(108) * 37 % 201 - 100) / 64).astype(np.float16).reshape(4, 3, 3, 3)
case("half_filters", lambda net: net("Conv", "x", net("Cast", HALVES, to=1), pads=[1, 1, 1, 1]), lambda x: F.conv2d(x, t(HALVES), padding=1))
case("dequantise_columns", lambda net: net("MatMul", "x", net("DequantizeLinear", Q.reshape(6, 2), QS[:2], axis=1)), lambda x: x @ (t(Q).reshape(6, 2) * t(QS[:2])))


def typed(net):
    """Integers one by one in the message, in a list of numbers of any size."""
    net.constants.append(helper.make_tensor("typed", TensorProto.INT8, Q.shape, Q.flatten().tolist()))
    return net("Conv", "x", net("DequantizeLinear", "typed", QS, axis=0))


case("dequantise_typed", typed, lambda x: F.conv2d(x, t(Q) * t(QS).reshape(4, 1, 1, 1)))


def shared(net):
    """Integers that two nodes read, with scales of their own."""
    net.constants.append(numpy_helper.from_array(Q, "q"))
    return net("Add", net("Conv", "x", net("DequantizeLinear", "q", np.float32(0.02))), net("Conv", net("Relu", "x"), net("DequantizeLinear", "q", np.float32(0.03))))


case("dequantise_shared", shared, lambda x: F.conv2d(x, t(Q) * t(np.float32(0.02))) + F.conv2d(F.relu(x), t(Q) * t(np.float32(0.03))))


def fake(x, scale, zero, low, high):
    """Without the rounding."""
    scale = t(np.asarray(scale, np.float32))
    return torch.minimum(torch.maximum(x, (low - zero) * scale), (high - zero) * scale)


def pair(net, x, scale, zero, **attributes):
    return net("DequantizeLinear", net("QuantizeLinear", x, np.asarray(scale, np.float32), zero, **attributes), np.asarray(scale, np.float32), zero, **attributes)


case("quantise", lambda net: pair(net, "x", 0.01, np.uint8(100)), lambda x: fake(x, 0.01, 100, 0, 255))
case("quantise_int8", lambda net: pair(net, "x", 0.0125, np.int8(-10)), lambda x: fake(x, 0.0125, -10, -128, 127))
case("quantise_relu", lambda net: pair(net, net("Conv", "x", WIDE), 0.004, np.uint8(0)), lambda x: fake(F.conv2d(x, t(WIDE)), 0.004, 0, 0, 255))
case("quantise_channels", lambda net: pair(net, "x", [0.01, 0.02, 0.005], np.array([128, 0, 255], np.uint8), axis=1),
     lambda x: fake(x, np.float32([0.01, 0.02, 0.005]).reshape(3, 1, 1), t([128, 0, 255]).reshape(3, 1, 1), 0, 255))
case("quantise_pool", lambda net: net("DequantizeLinear", net("MaxPool", net("QuantizeLinear", "x", np.float32(0.01), np.uint8(100)), kernel_shape=[2, 2]), np.float32(0.02), np.uint8(90)),
     lambda x: ((F.max_pool2d(fake(x, 0.01, 100, 0, 255), 2, 1) / t(np.float32(0.01)) + 100) - 90) * t(np.float32(0.02)))


def dynamic(net, op, weights_, zero, scale, **attributes):
    """As quantize_dynamic writes it: q, its scale and its zero point, three outputs of one node."""
    q = net("DynamicQuantizeLinear", "x", outputs=3)
    return net("Mul", net("Cast", net(op, q, weights_, q + "__", zero, **attributes), to=1), net("Mul", q + "_", np.asarray(scale, np.float32)))


COLUMNS, COLUMN_SCALES = Q.reshape(6, 2)[:, [0, 1, 0, 1]], floats(0.02, 0.01, 0.03, 0.005)
case("dynamic_product", lambda net: dynamic(net, "MatMulInteger", COLUMNS, np.int8(3), 0.02), lambda x: x @ ((t(COLUMNS) - 3) * t(np.float32(0.02))))
case("dynamic_product_columns", lambda net: dynamic(net, "MatMulInteger", COLUMNS, np.array([1, 0, -2, 4], np.int8), COLUMN_SCALES),
     lambda x: x @ ((t(COLUMNS) - t([1, 0, -2, 4])) * t(COLUMN_SCALES)))
case("dynamic_convolution", lambda net: dynamic(net, "ConvInteger", (Q.astype(np.int16) + 128).astype(np.uint8), np.uint8(128), 0.02, strides=[2, 1]),
     lambda x: F.conv2d(x, t(Q) * t(np.float32(0.02)), stride=(2, 1)))
case("dynamic_convolution_filters", lambda net: dynamic(net, "ConvInteger", Q, np.array([1, 0, -2, 4], np.int8), QS.reshape(4, 1, 1)),
     lambda x: F.conv2d(x, (t(Q) - t([1, 0, -2, 4]).reshape(4, 1, 1, 1)) * t(QS).reshape(4, 1, 1, 1)))
case("static_product", lambda net: net("Mul", net("Cast", net("MatMulInteger", net("QuantizeLinear", "x", np.float32(0.01), np.uint8(100)), COLUMNS, np.uint8(100)), to=1), np.float32(1e-4)),
     lambda x: fake(x, 0.01, 100, 0, 255) @ t(COLUMNS) * t(np.float32(1e-4)) / t(np.float32(0.01)))


def real(q, scale, zero):
    return (t(q) - t(np.asarray(zero, np.int64))) * t(np.asarray(scale, np.float32))


def integers(net, x="x", scale=0.01, zero=np.uint8(100)):
    """Three inputs of an operator on integers: x as such, its scale and zero point."""
    return net("QuantizeLinear", x, np.float32(scale), zero), np.float32(scale), zero


def back(net, op, *inputs, domain="com.microsoft", scale=0.02, zero=np.uint8(90), **attributes):
    """An operator on integers, whose result has this scale and zero point, as float32."""
    return net("DequantizeLinear", net(op, *inputs, np.float32(scale), zero, domain=domain, **attributes), np.float32(scale), zero)


FX, OUT = lambda x: fake(x, 0.01, 100, 0, 255), (0.02, 90, 0, 255)
BIAS, ROWS = np.array([7000, -9000, 100, 0], np.int32), np.array([1, 0, -2, 4], np.int8)
case("operator_convolution", lambda net: back(net, "QLinearConv", *integers(net), FILTERS, np.float32(0.02), np.uint8(128), domain="", pads=[1, 1, 1, 1], strides=[2, 1]),
     lambda x: fake(F.conv2d(FX(x), real(FILTERS, 0.02, 128), padding=1, stride=(2, 1)), *OUT))


def channels(net):
    """With a bias, which stands behind the result's scale."""
    y = net("QLinearConv", *integers(net), Q, QS, ROWS, np.float32(0.02), np.uint8(90), BIAS)
    return net("DequantizeLinear", y, np.float32(0.02), np.uint8(90))


case("operator_convolution_channels", channels,
     lambda x: fake(F.conv2d(FX(x), real(Q, QS.reshape(4, 1, 1, 1), ROWS.reshape(4, 1, 1, 1)), t(BIAS) * t(np.float32(0.01)) * t(QS)), *OUT))
case("operator_product", lambda net: back(net, "QLinearMatMul", *integers(net), COLUMNS, COLUMN_SCALES, ROWS, domain=""), lambda x: fake(FX(x) @ real(COLUMNS, COLUMN_SCALES, ROWS), *OUT))
case("operator_add", lambda net: back(net, "QLinearAdd", *integers(net), *integers(net, net("Neg", "x"), 0.005, np.int8(-7))), lambda x: fake(FX(x) + fake(-x, 0.005, -7, -128, 127), *OUT))
case("operator_multiply", lambda net: back(net, "QLinearMul", *integers(net), Q.reshape(3, 2, 2)[:, :1, :1], np.float32(0.03), np.int8(2)), lambda x: fake(FX(x) * real(Q.reshape(3, 2, 2)[:, :1, :1], 0.03, 2), *OUT))
case("operator_concat", lambda net: net("DequantizeLinear", net("QLinearConcat", np.float32(0.02), np.uint8(90), *integers(net), *integers(net, net("Neg", "x"), 0.005), axis=1, domain="com.microsoft"),
                                        np.float32(0.02), np.uint8(90)),
     lambda x: fake(torch.cat([FX(x), fake(-x, 0.005, 100, 0, 255)], 1), *OUT))
case("operator_average", lambda net: back(net, "QLinearAveragePool", *integers(net), kernel_shape=[2, 3], strides=[1, 2]), lambda x: fake(F.avg_pool2d(FX(x), (2, 3), (1, 2)), *OUT))
case("operator_mean", lambda net: back(net, "QLinearGlobalAveragePool", *integers(net), scale=0.002), lambda x: fake(FX(x).mean((2, 3), keepdim=True), 0.002, 90, 0, 255))
case("operator_leaky", lambda net: back(net, "QLinearLeakyRelu", *integers(net), alpha=0.2), lambda x: fake(F.leaky_relu(FX(x), 0.2), *OUT))
case("operator_sigmoid", lambda net: back(net, "QLinearSigmoid", *integers(net), scale=1 / 256, zero=np.uint8(0)), lambda x: fake(torch.sigmoid(FX(x)), 1 / 256, 0, 0, 255))
GEMM = (np.arange(90 * 4) * 91 % 256 - 128).astype(np.int8).reshape(90, 4)
case("operator_gemm", lambda net: net("DequantizeLinear", net("QGemm", *integers(net, net("Flatten", "x")), GEMM, QS, ROWS, BIAS, np.float32(0.1), np.int8(3), domain="com.microsoft", alpha=0.5), np.float32(0.1), np.int8(3)),
     lambda x: fake(0.5 * (FX(x).flatten(1) @ real(GEMM, QS, ROWS) + t(BIAS) * t(np.float32(0.01)) * t(QS)), 0.1, 3, -128, 127))
case("operator_gemm_to_float", lambda net: net("QGemm", *integers(net, net("Flatten", "x")), GEMM.T.copy(), np.float32(0.02), np.int8(0), domain="com.microsoft", transB=1),
     lambda x: FX(x).flatten(1) @ real(GEMM, 0.02, 0))
# what the result's type is where only an operand's zero point says it
case("operator_add_like_its_operand",
     lambda net: net("DequantizeLinear", net("QLinearAdd", *integers(net, zero=np.int8(5)), *integers(net, net("Neg", "x"), 0.005, np.int8(-7)), np.float32(0.02), domain="com.microsoft"), np.float32(0.02)),
     lambda x: fake(fake(x, 0.01, 5, -128, 127) + fake(-x, 0.005, -7, -128, 127), 0.02, 0, -128, 127))


def nameless(net):
    """The first output has no name, and what is read is a second one that the operator has not."""
    net("QLinearConv", *integers(net), Q, QS, ROWS, np.float32(0.02), np.uint8(90), outputs=2)
    net.nodes[-1].output[0] = ""
    return net.nodes[-1].output[1]


refuse("operator_without_a_result", nameless)
refuse("operator_convolution_channels_last", lambda net: back(net, "QLinearConv", *integers(net), Q, QS, ROWS, channels_last=1))
refuse("operator_gemm_of_one", lambda net: net("QGemm", *[net("QuantizeLinear", net("Flatten", "x"), np.float32(0.01), np.uint8(3)), np.float32(0.01), np.uint8(3)] * 2, domain="com.microsoft", transB=1))
refuse("operator_gemm_of_half_a_scale", lambda net: net("QGemm", *integers(net, net("Flatten", "x")), GEMM, QS, ROWS, BIAS, np.float32(0.1), domain="com.microsoft"))
refuse("operator_add_of_no_type", lambda net: net("QLinearAdd", "x", np.float32(1), "", "x", np.float32(1), "", np.float32(1), domain="com.microsoft"))
refuse("operator_bias_of_rows", lambda net: net("QGemm", *integers(net, net("Flatten", "x")), GEMM, QS, ROWS, np.stack([BIAS, BIAS]), domain="com.microsoft"))
refuse("operator_channels_last", lambda net: back(net, "QLinearGlobalAveragePool", *integers(net), channels_last=1))
refuse("operator_concat_of_scales", lambda net: net("QLinearConcat", np.float32(0.02), np.uint8(90), integers(net)[0], np.float32(1), axis=1, domain="com.microsoft"))
refuse("operator_bias_of_others", lambda net: net("QLinearConv", *integers(net), Q, QS, ROWS, np.float32(0.02), np.uint8(90), BIAS[:3]))
refuse("dynamic_product_of_other_zeros", lambda net: dynamic(net, "MatMulInteger", COLUMNS, np.array([1, 2], np.int8), 0.02))
refuse("quantise_to_float8", lambda net: net("QuantizeLinear", "x", np.float32(0.01), np.int64(1)))
refuse("quantise_in_blocks", lambda net: net("Conv", "x", net("DequantizeLinear", Q, np.float32(0.01), np.int8(0), block_size=3)), 21)
refuse("quantise_by_nothing", lambda net: net("QuantizeLinear", "x", np.float32(0), np.int8(1)))
