"""The part of op_goldens.py that takes numbers from constant places and puts them there, compares, chooses, and steps; and transposed convolutions."""

import numpy as np
import torch
import torch.nn.functional as F

from op_case import case, floats, ints, refuse, t, weights

ROWS = [2, 15, 6]
rows = lambda net: net("Reshape", "x", ints(*ROWS))
picks = np.random.default_rng(11)

# ---- Transposed convolution ------------------------------------------------------------------------


def transposed(name, shape, bias=True, before=0, crop=None, opset=13, **attributes):
    """crop: [top, left, bottom, right] of PyTorch's result without padding, which may be less than nothing (output_padding)."""
    group = attributes.get("group", 1)
    w, b = weights(*shape), weights(shape[1] * group) if bias else None
    first = weights(before, 3, 1, 1) if before else None

    def build(net):
        x = net("Conv", "x", first) if before else "x"
        return net("ConvTranspose", x, w, *([b] if bias else []), **attributes)

    def formula(x):
        if before:
            x = F.conv2d(x, t(first))
        y = F.conv_transpose2d(x, t(w), None, stride=attributes.get("strides", 1), dilation=attributes.get("dilations", 1), groups=group)
        top, left, bottom, right = crop or [0, 0, 0, 0]
        y = F.pad(y, (-left, -right, -top, -bottom))
        return y + t(b).reshape(-1, 1, 1) if bias else y

    case(name, build, formula, opset)


transposed("conv_transpose", (3, 4, 3, 3), kernel_shape=[3, 3])
transposed("conv_transpose_padded", (3, 4, 3, 2), pads=[1, 0, 2, 1], crop=[1, 0, 2, 1])
transposed("conv_transpose_strided", (3, 2, 2, 2), bias=False, strides=[2, 2])
transposed("conv_transpose_output", (3, 2, 3, 3), strides=[2, 3], pads=[1, 1, 1, 1], output_padding=[1, 2], crop=[1, 1, 0, -1])
transposed("conv_transpose_dilated", (3, 2, 3, 2), dilations=[2, 3], pads=[1, 1, 1, 1], crop=[1, 1, 1, 1])
transposed("conv_transpose_grouped", (4, 3, 3, 3), before=4, group=2, pads=[1, 1, 1, 1], crop=[1, 1, 1, 1])
transposed("conv_transpose_depthwise", (4, 1, 3, 3), before=4, group=4, strides=[2, 2])
transposed("conv_transpose_1x1", (3, 5, 1, 1), strides=[2, 2])
# 5x6 by a stride of 2 and a window of 3 is 11x13; of what is too much the larger half goes behind, or in front
transposed("conv_transpose_same", (3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER", crop=[0, 0, 1, 1])
transposed("conv_transpose_same_lower", (3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER", crop=[1, 1, 0, 0])
transposed("conv_transpose_shape", (3, 2, 3, 3), strides=[2, 2], output_shape=[9, 10], crop=[1, 1, 1, 2])
W133 = weights(3, 4, 3)
case("conv_transpose_1d", lambda net: net("ConvTranspose", net("Reshape", "x", ints(2, 3, 30)), W133, strides=[2]), lambda x: F.conv_transpose1d(x.reshape(2, 3, 30), t(W133), stride=2))
refuse("conv_transpose_of_other_channels", lambda net: net("ConvTranspose", "x", weights(4, 2, 3, 3)))
refuse("conv_transpose_dynamic_weights", lambda net: net("ConvTranspose", "x", net("Relu", "x")))
refuse("conv_transpose_far", lambda net: net("ConvTranspose", "x", weights(3, 2, 3, 3), output_padding=[1, 0]))
refuse("conv_transpose_to_more", lambda net: net("ConvTranspose", "x", weights(3, 2, 3, 3), output_shape=[30, 30]))
refuse("conv_transpose_to_nothing", lambda net: net("ConvTranspose", "x", weights(3, 2, 3, 3), pads=[4, 0, 4, 0]))

# ---- Places ------------------------------------------------------------------------------------------

PLANE, WIDE = weights(1, 3, 5, 6), weights(3, 3, 1, 1)

case("slice_backwards_far", lambda net: net("Slice", net("Concat", *["x"] * 5, axis=3), ints(-1), ints(-1 << 40), ints(3), ints(-1)), lambda x: torch.cat([x] * 5, 3).flip(3))
case("pad_edge_wide", lambda net: net("MaxPool", net("Pad", "x", ints(0, 0, 200, 0, 0, 0, 57, 0), mode="edge"), kernel_shape=[20, 1], strides=[20, 1]),
     lambda x: F.max_pool2d(F.pad(x, (0, 0, 200, 57), mode="replicate"), (20, 1)))
case("gather_repeated", lambda net: net("Gather", "x", ints(5, 1, 1, 3, 0, 1), axis=3), lambda x: x[..., [5, 1, 1, 3, 0, 1]])
case("gather_positions", lambda net: net("Gather", rows(net), ints(3, 1, 1, 14, 0, 2), axis=1), lambda x: x.reshape(ROWS)[:, [3, 1, 1, 14, 0, 2]])
case("gather_constant_image", lambda net: net("Add", net("Conv", "x", np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)), net("Gather", PLANE, ints(1, 0, 2), axis=1)), lambda x: x + t(PLANE[:, [1, 0, 2]]))
ALONG = picks.integers(-5, 5, (2, 3, 7, 6))
case("gather_elements", lambda net: net("GatherElements", "x", ALONG, axis=2), lambda x: x.gather(2, torch.tensor(ALONG % 5)))
LESS = picks.integers(0, 6, (1, 2, 3, 4))
case("gather_elements_of_part", lambda net: net("Mul", "x", net("ReduceSum", net("GatherElements", "x", LESS, axis=-1))), lambda x: x * x.gather(3, torch.tensor(LESS)).sum())
CORNERS = np.array([[[0, 1], [1, -1]], [[0, 0], [1, 2]]])
case("gather_nd", lambda net: net("Transpose", net("GatherND", "x", CORNERS), perm=[0, 1, 3, 2]), lambda x: x[CORNERS[..., 0], CORNERS[..., 1]].transpose(2, 3))
PIXELS = picks.integers(0, 5, (2, 4, 1))
case("gather_nd_batch", lambda net: net("GatherND", net("Transpose", "x", perm=[0, 2, 1, 3]), PIXELS, batch_dims=1),
     lambda x: torch.stack([image.transpose(0, 1)[PIXELS[i, :, 0]] for i, image in enumerate(x)]))
case("gather_nd_elements", lambda net: net("GatherND", rows(net), np.array([[[0, 3, 5], [0, 3, 4]], [[1, 14, 0], [1, 0, 0]]])),
     lambda x: x.reshape(ROWS)[[[0, 0], [1, 1]], [[3, 3], [14, 0]], [[5, 4], [0, 0]]])
refuse("gather_elements_computed", lambda net: net("GatherElements", "x", net("Relu", "x")))
refuse("gather_elements_outside", lambda net: net("GatherElements", "x", np.full((2, 3, 5, 6), 3), axis=1))
refuse("gather_elements_of_more", lambda net: net("GatherElements", "x", np.zeros((2, 4, 5, 6), np.int64), axis=2))
refuse("gather_nd_deep", lambda net: net("GatherND", "x", np.zeros((2, 5), np.int64)))
refuse("gather_nd_of_other_batch", lambda net: net("GatherND", "x", np.zeros((3, 4, 1), np.int64), batch_dims=1))

# PyTorch's x[:, 1] = y exports so
ROW = np.array([[[n, 1]] for n in range(2)])
case("scatter_nd", lambda net: net("ScatterND", "x", ROW, net("Unsqueeze", net("ReduceMax", "x", axes=[1], keepdims=0), ints(1))),
     lambda x: torch.cat([x[:, :1], x.amax(1, True), x[:, 2:]], 1))
case("scatter_nd_of_zeros", lambda net: net("ScatterND", np.zeros((2, 3, 5, 6), np.float32), ROW, net("Slice", "x", ints(0), ints(1), ints(1))),
     lambda x: torch.cat([0 * x[:, :1], x[:, :1], 0 * x[:, 2:]], 1))
case("scatter_nd_sum", lambda net: net("ScatterND", "x", np.array([[0, 1], [0, 1], [1, 2]]), net("Reshape", net("Slice", net("Exp", "x"), ints(0), ints(1), ints(0)), ints(3, 5, 6)), reduction="add"),
     lambda x: torch.stack([torch.stack([x[0, 0], x[0, 1] + x[0, 0].exp() + x[0, 1].exp(), x[0, 2]]), torch.stack([x[1, 0], x[1, 1], x[1, 2] + x[0, 2].exp()])]), 16)
UNIQUE = np.stack([picks.permutation(5)[:2] for _ in range(36)], 1).reshape(2, 2, 3, 6).transpose(1, 2, 0, 3).copy()
case("scatter_elements", lambda net: net("ScatterElements", "x", UNIQUE - 5, net("Slice", net("Exp", "x"), ints(0), ints(2), ints(2)), axis=2),
     lambda x: x.scatter(2, torch.tensor(UNIQUE), x[:, :, :2].exp()))
case("scatter_elements_sum", lambda net: net("ScatterElements", "x", ALONG[:, :, :5], net("Exp", "x"), axis=2, reduction="add"),
     lambda x: x.scatter_add(2, torch.tensor(ALONG[:, :, :5] % 5), x.exp()), 16)
case("scatter_9", lambda net: net("Scatter", "x", UNIQUE, net("Slice", net("Exp", "x"), axes=[2], starts=[0], ends=[2]), axis=2), lambda x: x.scatter(2, torch.tensor(UNIQUE), x[:, :, :2].exp()), 9)
# The last to name a place wins
case("scatter_twice", lambda net: net("Mul", "x", net("ScatterND", floats(1, 2, 3, 4, 5, 6), ints(2, 4, 2).reshape(3, 1), floats(7, 8, 9))), lambda x: x * t([1, 2, 9, 4, 8, 6]))
refuse("scatter_computed", lambda net: net("ScatterND", "x", net("Relu", "x"), "x"))
refuse("scatter_product", lambda net: net("ScatterElements", "x", np.zeros((2, 3, 5, 6), np.int64), "x", reduction="mul"), 16)
refuse("scatter_less", lambda net: net("ScatterElements", "x", np.zeros((2, 3, 5, 6), np.int64), net("Relu", floats(1, 2)), axis=1))

# ---- Comparisons, choices, triangles -----------------------------------------------------------------

number = lambda net, truth: net("Cast", truth, to=1)
for op, formula in (("Greater", torch.gt), ("Less", torch.lt), ("GreaterOrEqual", torch.ge), ("LessOrEqual", torch.le)):
    case(f"{op.lower()}_than_image", lambda net: net("Mul", "x", number(net, net(op, "x", net("ReduceMean", "x", axes=[1])))), lambda x: x * formula(x, x.mean(1, True)).double(), 16)
case("equal_to_maximum", lambda net: net("Mul", "x", number(net, net("Equal", "x", net("ReduceMax", "x", axes=[2])))), lambda x: x * (x == x.amax(2, True)).double())
both = lambda net, op: net(op, net("Greater", "x", np.float32(0)), net("Less", net("ReduceMax", "x", axes=[1]), np.float32(0.7)))
for op, formula in (("And", torch.logical_and), ("Or", torch.logical_or), ("Xor", torch.logical_xor)):
    case(f"{op.lower()}_of_image", lambda net: net("Add", "x", number(net, both(net, op))), lambda x: x + formula(x > 0, x.amax(1, True) < 0.7).double())
case("not_of_image", lambda net: net("Mul", "x", number(net, net("Not", net("Greater", "x", np.float32(0.25))))), lambda x: x * (x <= 0.25).double())
case("and_of_constant", lambda net: net("Mul", "x", number(net, net("And", net("Greater", "x", np.float32(0)), np.array([1, 0, 1, 1, 0, 1], bool)))),
     lambda x: x * ((x > 0) & torch.tensor([1, 0, 1, 1, 0, 1], dtype=bool)).double())
case("truth_of_image", lambda net: net("Mul", "x", number(net, net("Cast", net("Relu", "x"), to=9))), lambda x: x * (x > 0).double())
case("where_of_image", lambda net: net("Where", net("Greater", "x", np.float32(0.5)), net("Exp", "x"), net("ReduceMean", "x", axes=[1])),
     lambda x: torch.where(x > 0.5, x.exp(), x.mean(1, True)))
# Attention scores below the mean are masked: 0 times infinity would be NaN
case("where_infinite", lambda net: net("Mul", net("Softmax", net("Where", net("Less", "x", net("ReduceMean", "x", axes=[3])), np.float32("-inf"), "x"), axis=3), floats(3)),
     lambda x: 3 * torch.softmax(x.masked_fill(x < x.mean(3, True), -torch.inf), 3))
MASK = picks.integers(0, 2, (3, 1, 6)).astype(bool)
case("where_broadcast", lambda net: net("Where", MASK, "x", np.float32(2)), lambda x: torch.where(torch.tensor(MASK), x, t(2.0)))
case("where_of_two", lambda net: net("Where", MASK, net("ReduceMean", "x", axes=[1]), net("Conv", "x", WIDE)), lambda x: torch.where(torch.tensor(MASK), x.mean(1, True), F.conv2d(x, t(WIDE))))
refuse("where_of_other_shape", lambda net: net("Where", np.ones((4, 1, 1), bool), "x", np.float32(0)))
refuse("where_of_numbers", lambda net: net("Where", floats(1, 0, 1, 0, 1, 0), "x", np.float32(0)))
for k in (None, 1, -2, 9):
    diagonal = [] if k is None else [np.int64(k)]
    case(f"upper_{k}", lambda net: net("Trilu", "x", *diagonal), lambda x: x.triu(k or 0), 14)
    case(f"lower_{k}", lambda net: net("Trilu", "x", *diagonal, upper=0), lambda x: x.tril(k or 0), 14)
case("triangle_of_constant", lambda net: net("Add", "x", net("Trilu", np.full((5, 6), -2, np.float32), np.int64(1))), lambda x: x + torch.full((5, 6), -2.0).triu(1), 14)
case("triangle_of_integers", lambda net: net("Mul", "x", net("Cast", net("Trilu", np.ones((5, 6), np.int64), upper=0), to=1)), lambda x: x * torch.ones(5, 6).tril(), 14)
refuse("triangle_of_row", lambda net: net("Mul", "x", net("Trilu", floats(1, 2, 3, 4, 5, 6))), 14)

# ---- Steps and waves ---------------------------------------------------------------------------------

for op, formula in (("Floor", torch.floor), ("Ceil", torch.ceil), ("Round", torch.round), ("Sign", torch.sign)):
    case(op.lower(), lambda net: net("Mul", "x", net(op, net("Mul", "x", floats(2)))), lambda x: x * formula(2 * x))
case("waves", lambda net: net("Add", net("Sin", net("Mul", "x", floats(3))), net("Cos", "x")), lambda x: torch.sin(3 * x) + torch.cos(x))
case("mod_of_image", lambda net: net("Mod", "x", net("Exp", net("ReduceMean", "x", axes=[1])), fmod=1), lambda x: torch.fmod(x, x.mean(1, True).exp()))
# PyTorch's % takes the divisor's sign, as ONNX's default would, which has it for integers alone
case("mod_composed", lambda net: net("Mod", "x", floats(0.75)), lambda x: torch.remainder(x, 0.75))
case("thresholded_relu", lambda net: net("ThresholdedRelu", "x", alpha=0.3), lambda x: F.threshold(x, 0.3, 0))

# ---- Norms ---------------------------------------------------------------------------------------------

GAIN = weights(6) + 1
rms = lambda x, dims, eps=1e-5: x / (x.square().mean(dims, True) + eps).sqrt()
case("rms_norm", lambda net: net("RMSNormalization", rows(net), GAIN), lambda x: rms(x.reshape(ROWS), -1) * t(GAIN), 23)
case("rms_norm_of_two_axes", lambda net: net("RMSNormalization", "x", GAIN, axis=2, epsilon=0.1), lambda x: rms(x, (2, 3), 0.1) * t(GAIN), 23)
case("mean_variance_norm", lambda net: net("MeanVarianceNormalization", "x", axes=[2, 3]), lambda x: F.instance_norm(x, eps=0))
case("mean_variance_norm_of_channels", lambda net: net("MeanVarianceNormalization", "x", axes=[-3]), lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (3,), eps=0).permute(0, 3, 1, 2))
refuse("mean_variance_norm_of_batch", lambda net: net("MeanVarianceNormalization", "x"))
case("lp_pool", lambda net: net("LpPool", "x", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]), lambda x: (F.avg_pool2d(x**2, (3, 2), 2, (1, 0)) * 6) ** 0.5)
case("lp_pool_cubed", lambda net: net("LpPool", "x", kernel_shape=[2, 2], p=3), lambda x: (F.avg_pool2d(x.abs() ** 3, 2, 1) * 4) ** (1 / 3))
case("lp_pool_1", lambda net: net("LpPool", net("Relu", "x"), kernel_shape=[2, 2], p=1), lambda x: F.avg_pool2d(F.relu(x), 2, 1) * 4)
case("global_lp_pool", lambda net: net("GlobalLpPool", "x", p=3), lambda x: (x.abs() ** 3).sum((2, 3)) ** (1 / 3))
case("global_lp_pool_of_nothing", lambda net: net("Add", net("GlobalLpPool", net("Mul", "x", floats(0))), net("ReduceMean", "x", axes=[2, 3])), lambda x: x.mean((2, 3)))
refuse("lp_pool_ceil", lambda net: net("LpPool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), 18)

# ---- Attention as one operator ---------------------------------------------------------------------------

def attend(q, k, v, mask=0.0, scale=None):
    return torch.softmax(q @ k.transpose(-1, -2) * (scale or q.shape[-1] ** -0.5) + mask, -1) @ v


heads = lambda x, count: x.reshape(2, 15, count, -1).transpose(1, 2)
joined = lambda y: y.transpose(1, 2).reshape(2, 15, -1)
case("attention_of_heads", lambda net: net("Attention", "x", net("Tanh", "x"), "x"), lambda x: attend(x, x.tanh(), x), 23)
case("attention_of_rows", lambda net: net("Attention", rows(net), net("Tanh", rows(net)), rows(net), q_num_heads=2, kv_num_heads=2, scale=1.25),
     lambda x: joined(attend(heads(x.reshape(ROWS), 2), heads(x.reshape(ROWS).tanh(), 2), heads(x.reshape(ROWS), 2), 0, 1.25)), 23)
KEYS = weights(6, 2)
case("attention_with_shared_keys", lambda net: net("Attention", rows(net), net("MatMul", rows(net), KEYS), net("MatMul", rows(net), KEYS), q_num_heads=6, kv_num_heads=2),
     lambda x: joined(attend(heads(x.reshape(ROWS), 6), *[heads(x.reshape(ROWS) @ t(KEYS), 2).repeat_interleave(3, 1)] * 2)), 23)
SHUT = np.array([[1, 0, 1, 1, 1], [1, 1, 0, 1, 1], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)
case("attention_masked", lambda net: net("Attention", "x", "x", "x", SHUT), lambda x: attend(x, x, x, torch.zeros(5, 5).masked_fill(~torch.tensor(SHUT), -torch.inf)), 23)
BIASES = weights(3, 5, 5)
case("attention_biased", lambda net: net("Attention", "x", "x", "x", BIASES), lambda x: attend(x, x, x, t(BIASES)), 23)
case("attention_causal", lambda net: net("Attention", "x", "x", "x", is_causal=1), lambda x: attend(x, x, x, torch.full((5, 5), -torch.inf).triu(1)), 23)
refuse("attention_capped", lambda net: net("Attention", "x", "x", "x", softcap=2.0), 23)
refuse("attention_of_the_past", lambda net: net("Attention", "x", "x", "x", "", "x", "x"), 23)
refuse("attention_of_uneven_heads", lambda net: net("Attention", rows(net), rows(net), rows(net), q_num_heads=4, kv_num_heads=4), 23)

# ---- Outputs that are probabilities --------------------------------------------------------------------

# Logits are their logarithms: of several networks, of several views, weighted
spread = lambda net, factor: net("Softmax", net("Mul", net("Flatten", "x"), floats(factor)), axis=1)
soft = lambda x, factor: torch.softmax(factor * x.reshape(2, 90), 1)
mean = lambda x: (soft(x, 1) + soft(x, 2)) / 2
case("mean_of_softmaxes", lambda net: net("Div", net("Add", spread(net, 1), spread(net, 2)), floats(2)), lambda x: mean(x).log())
case("mean_of_stacked_softmaxes", lambda net: net("ReduceMean", net("Concat", net("Unsqueeze", spread(net, 1), ints(0)), net("Unsqueeze", spread(net, 2), ints(0)), axis=0), axes=[0], keepdims=0),
     lambda x: mean(x).log())
case("mean_operator_of_softmaxes", lambda net: net("Mean", spread(net, 1), spread(net, 2)), lambda x: mean(x).log())
case("weighted_softmaxes", lambda net: net("Sum", net("Mul", spread(net, 1), floats(0.75)), net("Mul", spread(net, 2), floats(0.25))), lambda x: (0.75 * soft(x, 1) + 0.25 * soft(x, 2)).log())
case("mean_of_rows", lambda net: net("ReduceMean", net("Softmax", net("Reshape", "x", ints(2, 5, 18)), axis=2), axes=[1], keepdims=0), lambda x: torch.softmax(x.reshape(2, 5, 18), 2).mean(1).log())
# A sum of two adds up to 2, and a part to less than 1: no probabilities
case("sum_of_softmaxes", lambda net: net("Add", spread(net, 1), spread(net, 2)), lambda x: 2 * mean(x))
case("part_of_softmax", lambda net: net("Slice", spread(net, 2), ints(0), ints(50), ints(1)), lambda x: soft(x, 2)[:, :50])
