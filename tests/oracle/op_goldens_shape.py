"""The part of op_goldens.py that moves numbers and computes shapes: no operator here changes a value."""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import helper

from op_case import case, floats, ints, refuse, t, weights

MAX = np.iinfo(np.int64).max

# ---- Shape ---------------------------------------------------------------------------------------

ROWS = [2, 15, 6]
rows = lambda net: net("Reshape", "x", ints(*ROWS))  # row-major, where x lies channels-last
case("reshape", rows, lambda x: x.reshape(ROWS))
case("reshape_copied", lambda net: net("Reshape", "x", ints(0, -1, 6)), lambda x: x.reshape(ROWS))
case("reshape_allowzero", lambda net: net("Reshape", "x", ints(2, -1), allowzero=1), lambda x: x.reshape(2, 90), 14)
case("flatten_2", lambda net: net("Reshape", net("Flatten", "x", axis=2), ints(2, 90)), lambda x: x)
case("flatten_0", lambda net: net("Reshape", net("Flatten", "x", axis=0), ints(2, 90)), lambda x: x)
case("flatten_negative", lambda net: net("Reshape", net("Flatten", "x", axis=-1), ints(2, 90)), lambda x: x)
thin = lambda net: net("ReduceMean", "x", axes=[2])
case("squeeze_attribute", lambda net: net("Squeeze", thin(net), axes=[2]), lambda x: x.mean(2), 11)
case("squeeze_input", lambda net: net("Squeeze", thin(net), ints(-2)), lambda x: x.mean(2))
case("squeeze_all", lambda net: net("Squeeze", thin(net)), lambda x: x.mean(2))
case("squeeze_pooled", lambda net: net("Squeeze", net("GlobalAveragePool", "x"), ints(3, 2)), lambda x: x.mean((2, 3)))
case("unsqueeze_attribute", lambda net: net("Unsqueeze", "x", axes=[5, 1]), lambda x: x, 11)
case("unsqueeze_input", lambda net: net("Transpose", net("Unsqueeze", "x", ints(-1, 1)), perm=[0, 5, 3, 4, 2, 1]), lambda x: x.permute(0, 2, 3, 1))

# ---- Order ---------------------------------------------------------------------------------------

for perm in ([0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1], [0, 1, 3, 2], [0, 2, 1, 3]):
    name = "".join(map(str, perm))
    case(f"transpose_{name}", lambda net: net("Transpose", "x", perm=perm), lambda x: x.permute(perm))
    # from row-major, and the image that comes out pooled as one
    case(f"transpose_rows_{name}", lambda net: net("MaxPool", net("Transpose", net("Reshape", "x", ints(2, 5, 6, 3)), perm=perm), kernel_shape=[2, 2]),
         lambda x: F.max_pool2d(x.reshape(2, 5, 6, 3).permute(perm), 2, 1))
case("transpose_default", lambda net: net("Transpose", net("Relu", net("Transpose", "x"))), F.relu)
case("transpose_batch", lambda net: net("Transpose", net("Exp", net("Transpose", "x", perm=[1, 0, 2, 3])), perm=[1, 0, 2, 3]), torch.exp)
case("transpose_nothing", lambda net: net("Transpose", "x", perm=[0, 1, 2, 3]), lambda x: x)
case("transpose_ones", lambda net: net("Transpose", net("GlobalAveragePool", "x"), perm=[0, 3, 2, 1]), lambda x: x.mean((2, 3)))
case("transpose_tokens", lambda net: net("Transpose", net("Flatten", net("Transpose", rows(net), perm=[0, 2, 1]), axis=1), perm=[0, 1]),
     lambda x: x.reshape(ROWS).transpose(1, 2))
case("channels_last_network", lambda net: net("Transpose", net("Mul", net("Transpose", net("Relu", "x"), perm=[0, 2, 3, 1]), floats(1, -2, 3)), perm=[0, 3, 1, 2]),
     lambda x: F.relu(x) * t([1, -2, 3]).reshape(3, 1, 1))
WIDE = weights(6, 3, 1, 1)
case("channel_shuffle",
     lambda net: net("MaxPool", net("Reshape", net("Transpose", net("Reshape", net("Conv", "x", WIDE), ints(2, 2, 3, 5, 6)), perm=[0, 2, 1, 3, 4]), ints(2, 6, 5, 6)), kernel_shape=[2, 2]),
     lambda x: F.max_pool2d(F.conv2d(x, t(WIDE)).reshape(2, 2, 3, 5, 6).transpose(1, 2).reshape(2, 6, 5, 6), 2, 1))
case("pixel_unshuffle", lambda net: net("Transpose", net("Reshape", "x", ints(2, 3, 5, 3, 2)), perm=[0, 1, 4, 2, 3]),
     lambda x: x.reshape(2, 3, 5, 3, 2).permute(0, 1, 4, 2, 3))

# ---- Join and part -------------------------------------------------------------------------------

PLANES = weights(2, 4, 5, 6)
for axis in (1, 2, 3, -1):
    case(f"concat_{axis}", lambda net: net("Concat", "x", net("Relu", "x"), "x", axis=axis), lambda x: torch.cat([x, F.relu(x), x], axis))
case("concat_one", lambda net: net("Concat", "x", axis=1), lambda x: x)
case("concat_constant", lambda net: net("Concat", PLANES, "x", axis=1), lambda x: torch.cat([t(PLANES), x], 1))
case("concat_mixed", lambda net: net("Concat", net("Reshape", "x", ints(2, 5, 3, 6)), net("Transpose", net("Relu", "x"), perm=[0, 2, 1, 3]), axis=1),
     lambda x: torch.cat([x.reshape(2, 5, 3, 6), F.relu(x).transpose(1, 2)], 1))
case("concat_rows_with_image", lambda net: net("Concat", net("Reshape", net("Neg", "x"), ints(2, 3, 5, 6)), net("MaxPool", "x", kernel_shape=[1, 1]), axis=2),
     lambda x: torch.cat([-x, x], 2))
case("concat_tokens", lambda net: net("Concat", rows(net), net("Relu", rows(net)), axis=-2), lambda x: torch.cat([x.reshape(ROWS), F.relu(x.reshape(ROWS))], 1))


def part(index, *arguments, outputs=2, scale=None, **attributes):
    """One output of a Split, or all of them, each with its own weight, so that no gradient is another's."""

    def build(net):
        first = net("Split", "x", *arguments, outputs=outputs, **attributes)
        if index is not None:
            return first + "_" * index
        return net("Concat", *(net("Mul", first + "_" * i, floats(i + 1)) for i in range(outputs)), axis=attributes.get("axis", 0))

    return build


case("split_attribute", part(1, axis=1, split=[1, 2]), lambda x: x[:, 1:], 11)
case("split_input", part(0, ints(2, 1), axis=1), lambda x: x[:, :2])
case("split_equal", part(None, outputs=3, axis=3), lambda x: torch.cat([(i + 1) * p for i, p in enumerate(x.split(2, 3))], 3))
case("split_equal_channels", part(None, outputs=3, axis=-3), lambda x: torch.cat([(i + 1) * p for i, p in enumerate(x.split(1, 1))], 1))
case("split_batch", part(None, axis=0), lambda x: torch.cat([x[:1], 2 * x[1:]]))
case("split_uneven", part(None, axis=2, num_outputs=2), lambda x: torch.cat([x[:, :, :3], 2 * x[:, :, 3:]], 2), 18)

case("slice_attributes", lambda net: net("Slice", "x", axes=[1, 3], starts=[1, -4], ends=[3, MAX]), lambda x: x[:, 1:3, :, -4:], 9)
case("slice_without_axes", lambda net: net("Slice", "x", starts=[0, 1], ends=[2, 9]), lambda x: x[:, 1:], 9)
case("slice", lambda net: net("Slice", "x", ints(1, 0), ints(-1, MAX), ints(2, -1), ints(1, 2)), lambda x: x[:, :, 1:-1, ::2])
case("slice_steps", lambda net: net("Slice", "x", ints(1, 1), ints(5, 6), ints(2, 3), ints(3, 4)), lambda x: x[:, :, 1:5:3, 1:6:4])
case("slice_long_step", lambda net: net("Slice", "x", ints(2), ints(9), ints(1), ints(MAX >> 33)), lambda x: x[:, 2:])
case("slice_channels", lambda net: net("MaxPool", net("Slice", "x", ints(-2), ints(MAX), ints(1)), kernel_shape=[2, 2]), lambda x: F.max_pool2d(x[:, 1:], 2, 1))
case("slice_all", lambda net: net("Slice", "x", ints(0), ints(MAX), ints(1)), lambda x: x)
case("slice_tokens", lambda net: net("Slice", rows(net), ints(1), ints(2), ints(1)), lambda x: x.reshape(ROWS)[:, 1:2])
case("slice_backwards", lambda net: net("Slice", "x", ints(-1), ints(-9), ints(1), ints(-1)), lambda x: x.flip(1))
case("slice_backwards_part", lambda net: net("Slice", "x", ints(4, 1, -2), ints(0, MAX, -MAX), ints(2, 1, 3), ints(-2, 1, -3)), lambda x: x[:, 1:, [4, 2]][..., [4, 1]])
refuse("slice_of_nothing", lambda net: net("Slice", "x", ints(2), ints(2), ints(1)))

case("gather_channel", lambda net: net("Gather", "x", np.int64(1), axis=1), lambda x: x[:, 1])
case("gather_column", lambda net: net("Gather", "x", np.int64(-1), axis=3), lambda x: x[..., -1])
case("gather_stretch", lambda net: net("Gather", "x", ints(1, 2), axis=1), lambda x: x[:, 1:])
case("gather_scattered", lambda net: net("Gather", "x", ints(2, 0, 0), axis=1), lambda x: x[:, [2, 0, 0]])
case("gather_backwards", lambda net: net("Gather", "x", ints(4, 3, 2), axis=2), lambda x: x[:, :, [4, 3, 2]])
case("gather_table", lambda net: net("Gather", "x", ints(0, 1, 2, 5).reshape(2, 2), axis=-1), lambda x: x[..., [[0, 1], [2, 5]]])
case("gather_token", lambda net: net("Gather", rows(net), np.int64(0), axis=1), lambda x: x.reshape(ROWS)[:, 0])
TABLE = weights(4, 6)
case("gather_constant", lambda net: net("Add", "x", net("Gather", TABLE, ints(3, -4, 0, 1, 2).reshape(1, 5))), lambda x: x + t(TABLE[[[3, 0, 0, 1, 2]]]))
case("gather_constant_columns", lambda net: net("Mul", "x", net("Gather", TABLE, np.int64(2), axis=0)), lambda x: x * t(TABLE[2]))
refuse("gather_computed", lambda net: net("Gather", TABLE, "x"))

# ---- Frames and repetition -----------------------------------------------------------------------

case("pad", lambda net: net("Pad", "x", ints(0, 0, 1, 2, 0, 0, 3, 0)), lambda x: F.pad(x, (2, 0, 1, 3)))
case("pad_value", lambda net: net("Pad", "x", ints(0, 1, 0, 0, 0, 2, 0, 1), np.float32(1.5)), lambda x: F.pad(x, (0, 1, 0, 0, 1, 2), value=1.5))
case("pad_attributes", lambda net: net("Pad", "x", pads=[0, 0, 1, 0, 0, 0, 0, 1], value=-1.0, mode="constant"), lambda x: F.pad(x, (0, 1, 1, 0), value=-1), 9)
case("pad_axes", lambda net: net("Pad", "x", ints(1, 2, 3, 0), "", ints(3, -2)), lambda x: F.pad(x, (1, 3, 2, 0)), 18)
case("pad_nothing", lambda net: net("Pad", "x", ints(0, 0, 0, 0, 0, 0, 0, 0)), lambda x: x)
SAME = weights(4, 3, 3, 3)
case("pad_convolution", lambda net: net("Conv", net("Pad", "x", ints(0, 0, 0, 1, 0, 0, 1, 0)), SAME, strides=[2, 2], pads=[1, 0, 0, 1]),
     lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1)), t(SAME), stride=2))
ROUND = ints(0, 0, 2, 3, 0, 0, 1, 0)
for mode, torch_mode in (("reflect", "reflect"), ("edge", "replicate")):
    case(f"pad_{mode}", lambda net: net("Pad", "x", ROUND, mode=mode), lambda x: F.pad(x, (3, 0, 2, 1), mode=torch_mode))
    case(f"pad_{mode}_attributes", lambda net: net("Pad", "x", pads=ROUND.tolist(), mode=mode), lambda x: F.pad(x, (3, 0, 2, 1), mode=torch_mode), 10)
    # PyTorch pads no channels by these rules
    case(f"pad_{mode}_channels", lambda net: net("Pad", "x", ints(0, 1, 0, 0, 0, 2, 0, 0), mode=mode),
         lambda x: x[:, [1, 0, 1, 2, 1, 0] if mode == "reflect" else [0, 0, 1, 2, 2, 2]])
# NumPy goes back and forth, where PyTorch refuses
case("pad_reflect_far", lambda net: net("Pad", rows(net), ints(0, 0, 7, 0, 0, 12), mode="reflect"),
     lambda x: x.reshape(ROWS)[:, :, np.pad(np.arange(6), (7, 12), mode="reflect")])
case("pad_reflect_one", lambda net: net("Pad", net("GlobalAveragePool", "x"), ints(0, 0, 1, 1, 0, 0, 0, 1), mode="reflect"),
     lambda x: x.mean((2, 3), True).expand(2, 3, 2, 3))
case("pad_negative", lambda net: net("Pad", "x", ints(0, 0, -1, 0, 0, 0, -2, -1)), lambda x: x[:, :, 1:-2, :-1])
case("pad_negative_and_positive", lambda net: net("Pad", "x", ints(0, -1, 2, -2, 0, 0, -1, 1), np.float32(0.5)),
     lambda x: F.pad(x[:, 1:, :-1, 2:], (0, 1, 2, 0), value=0.5))
case("pad_edge_negative", lambda net: net("Pad", "x", ints(0, 0, -1, 2, 0, 0, 1, -3), mode="edge"), lambda x: F.pad(x[:, :, 1:, :-3], (2, 0, 0, 1), mode="replicate"))
case("pad_wrap", lambda net: net("Pad", "x", ROUND, mode="wrap"), lambda x: F.pad(x, (3, 0, 2, 1), mode="circular"), 19)
refuse("pad_of_another_kind", lambda net: net("Pad", "x", ROUND, mode="clamp"))
refuse("pad_away", lambda net: net("Pad", "x", ints(0, 0, -3, 0, 0, 0, -2, 0)))
refuse("pad_without_end", lambda net: net("Pad", "x", ints(0, 0, MAX, 0, 0, 0, MAX, 0)))

case("expand_pooled", lambda net: net("Expand", net("GlobalAveragePool", "x"), ints(1, 1, 2, 3)), lambda x: x.mean((2, 3), True).expand(2, 3, 2, 3))
case("expand_rank", lambda net: net("Expand", net("ReduceMean", "x", axes=[0], keepdims=0), ints(2, 1, 1, 1)), lambda x: x.mean(0).expand(2, 3, 5, 6))
case("expand_more_rank", lambda net: net("Expand", net("ReduceMean", "x", axes=[0]), ints(2, 1, 3, 5, 6)), lambda x: x.mean(0, True).expand(2, 1, 3, 5, 6))
case("expand_nothing", lambda net: net("Expand", "x", ints(1)), lambda x: x)
case("expand_tokens", lambda net: net("Expand", net("ReduceMean", rows(net), axes=[1]), ints(1, 4, 1)), lambda x: x.reshape(ROWS).mean(1, True).expand(2, 4, 6))
case("tile", lambda net: net("Tile", "x", ints(1, 2, 1, 3)), lambda x: x.repeat(1, 2, 1, 3))
case("tile_pooled", lambda net: net("Tile", net("GlobalAveragePool", "x"), ints(1, 1, 5, 6)), lambda x: x.mean((2, 3), True).repeat(1, 1, 5, 6))

# ---- Blocks, and other sizes ----------------------------------------------------------------------

deep = lambda net: net("Reshape", "x", ints(2, 18, 5, 1))
case("space_to_depth", lambda net: net("SpaceToDepth", net("Slice", "x", ints(0), ints(4), ints(2)), blocksize=2),
     lambda x: x[:, :, :4].reshape(2, 3, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 12, 2, 3))
case("depth_to_space", lambda net: net("DepthToSpace", deep(net), blocksize=3, mode="DCR"),
     lambda x: x.reshape(2, 3, 3, 2, 5, 1).permute(0, 3, 4, 1, 5, 2).reshape(2, 2, 15, 3))
case("depth_to_space_crd", lambda net: net("DepthToSpace", deep(net), blocksize=3, mode="CRD"), lambda x: F.pixel_shuffle(x.reshape(2, 18, 5, 1), 3))
refuse("space_to_depth_of_part", lambda net: net("SpaceToDepth", "x", blocksize=2))


def resize(name, formula, *inputs, opset=13, **attributes):
    case(f"resize_{name}", lambda net: net("Resize", "x", *inputs, **attributes), formula, opset)


LARGER, SMALLER = ints(2, 3, 7, 15), ints(2, 3, 3, 4)
for name, sizes in (("larger", LARGER), ("smaller", SMALLER)):
    to = sizes[2:].tolist()
    resize(f"nearest_{name}", lambda x: F.interpolate(x, to), "", "", sizes, coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    resize(f"nearest_half_{name}", lambda x: F.interpolate(x, to, mode="nearest-exact"), "", "", sizes, nearest_mode="round_prefer_ceil")
    for mode, torch_mode in (("linear", "bilinear"), ("cubic", "bicubic")):
        resize(f"{mode}_{name}", lambda x: F.interpolate(x, to, mode=torch_mode), "", "", sizes, mode=mode, coordinate_transformation_mode="pytorch_half_pixel")
        resize(f"{mode}_corners_{name}", lambda x: F.interpolate(x, to, mode=torch_mode, align_corners=True), "", "", sizes, mode=mode, coordinate_transformation_mode="align_corners")
resize("scales", lambda x: F.interpolate(x, scale_factor=(1.5, 2.6), mode="bilinear"), "", floats(1, 1, 1.5, 2.6), mode="linear")
resize("axes", lambda x: F.interpolate(x, (7, 15), mode="bilinear"), "", "", ints(15, 7), opset=18, mode="linear", axes=[3, -2])
resize("first", lambda x: F.interpolate(x, scale_factor=2), floats(1, 1, 2, 2), opset=10)
resize("nothing", lambda x: x, "", floats(1, 1, 1, 1))
# 4 of 6 by hand: the kernel's weights at the borders are divided by what is left of their sum
OUTSIDE = np.zeros((6, 4))
for i in range(4):
    d = np.abs((i + 0.5) * 1.5 - 0.5 - np.arange(6))
    OUTSIDE[:, i] = np.where(d <= 1, (1.25 * d - 2.25) * d * d + 1, np.where(d < 2, ((-0.75 * d + 3.75) * d - 6) * d + 3, 0))
resize("cubic_inside", lambda x: x @ t(OUTSIDE / OUTSIDE.sum(0)), "", "", ints(2, 3, 5, 4), mode="cubic", exclude_outside=1)
case("upsample", lambda net: net("Upsample", "x", floats(1, 1, 2, 3), mode="nearest"), lambda x: F.interpolate(x, scale_factor=(2, 3)), 9)
refuse("resize_antialias", lambda net: net("Resize", "x", "", "", SMALLER, mode="linear", antialias=1), 18)
refuse("resize_to_nothing", lambda net: net("Resize", "x", "", floats(1, 1, 0.1, 1)))

# ---- Constants, and shapes that are computed -------------------------------------------------------

case("identity", lambda net: net("Identity", net("Dropout", net("Identity", net("Relu", "x")))), F.relu)
case("dropout_ratio", lambda net: net("Dropout", net("Relu", "x"), np.float32(0.5)), F.relu)
refuse("dropout_training", lambda net: net("Dropout", "x", np.float32(0.5), np.bool_(True)))
case("dropout_not_training", lambda net: net("Dropout", net("Relu", "x"), np.float32(0.5), np.bool_(False)), F.relu)
case("cast", lambda net: net("Cast", net("Cast", net("Relu", "x"), to=11), to=1), F.relu)
case("cast_like", lambda net: net("Mul", "x", net("CastLike", net("CastLike", floats(2.75), ints(0)), "x")), lambda x: x * 2, 15)
refuse("cast_image_like", lambda net: net("CastLike", "x", ints(0)), 15)
refuse("cast_to_integer", lambda net: net("Cast", net("Cast", "x", to=7), to=1))
case("constant_numbers", lambda net: net("Add", net("Mul", "x", net("Constant", value_float=2.0)), net("Constant", value_floats=[1.0, 2, 3, 4, 5, 6])),
     lambda x: 2 * x + t([1, 2, 3, 4, 5, 6]))
case("constant_integers", lambda net: net("Reshape", "x", net("Concat", net("Constant", value_ints=[2, 15]), net("Unsqueeze", net("Constant", value_int=6), ints(0)), axis=0)),
     lambda x: x.reshape(ROWS))


def filled(net):
    return net("Add", "x", net("ConstantOfShape", net("Shape", "x", start=1), value=helper.make_tensor("v", 1, [1], [0.75])))


case("constant_of_shape", filled, lambda x: x + 0.75, 15)
case("constant_of_shape_default", lambda net: net("Add", "x", net("ConstantOfShape", net("Shape", "x", start=-1))), lambda x: x, 15)
case("range", lambda net: net("Mul", "x", net("Cast", net("Range", np.int64(5), np.int64(-7), np.int64(-2)), to=1)), lambda x: x * t([5, 3, 1, -1, -3, -5]))
# The shape of a scalar is a list of no sizes
NO_SIZES = np.zeros(0, np.int64)
case("reshape_to_scalar", lambda net: net("Mul", "x", net("Reshape", floats(1.5), NO_SIZES)), lambda x: x * 1.5)
case("expand_to_scalar", lambda net: net("Mul", "x", net("Expand", np.float32(1.5), net("Constant", value_ints=[]))), lambda x: x * 1.5)
case("constant_scalar", lambda net: net("Add", "x", net("ConstantOfShape", NO_SIZES)), lambda x: x)
refuse("reshape_image_to_scalar", lambda net: net("Reshape", "x", NO_SIZES))
case("sums_along_an_axis",
     lambda net: net("Mul", "x", net("Cast", net("CumSum", ints(3, -5, 1, 0, 2, 2, 1, 0, 0, 0, 0, 4).reshape(2, 1, 1, 6), np.int64(-1)), to=1)),
     lambda x: x * t(np.cumsum([[3, -5, 1, 0, 2, 2], [1, 0, 0, 0, 0, 4]], -1)[:, None, None]))
case("sums_of_floats", lambda net: net("Mul", "x", net("CumSum", floats(0.5, -1, 2, 4, 8).reshape(5, 1), np.int32(0))), lambda x: x * t(floats(0.5, -0.5, 1.5, 5.5, 13.5).reshape(5, 1)))
case("sums_from_the_end", lambda net: net("Mul", "x", net("CumSum", floats(1, 2, 3, 4, 5, 6), np.int64(0), reverse=1)), lambda x: x * t(floats(21, 20, 18, 15, 11, 6)))
case("sums_of_others", lambda net: net("Mul", "x", net("CumSum", floats(1, 2, 3, 4, 5, 6), np.int64(0), reverse=1, exclusive=1)), lambda x: x * t(floats(20, 18, 15, 11, 6, 0)))
case("sums_of_integers_before", lambda net: net("Mul", "x", net("Cast", net("CumSum", ints(3, -5, 1, 0, 2, 2), np.int64(0), exclusive=1), to=1)), lambda x: x * t(floats(0, 3, -2, -1, -1, 1)))
for axis in range(4):
    case(f"sums_of_image_{axis}", lambda net: net("CumSum", "x", np.int64(axis)), lambda x: x.cumsum(axis))
    case(f"sums_of_rows_{axis}", lambda net: net("CumSum", net("Reshape", "x", ints(2, 5, 3, 6)), np.int64(axis - 4), reverse=1), lambda x: x.reshape(2, 5, 3, 6).flip(axis).cumsum(axis).flip(axis))
case("sums_of_image_before", lambda net: net("CumSum", "x", np.int64(2), exclusive=1), lambda x: x.cumsum(2) - x)
case("sums_of_image_behind", lambda net: net("CumSum", "x", np.int64(1), exclusive=1, reverse=1), lambda x: x.flip(1).cumsum(1).flip(1) - x)
case("sums_of_pooled", lambda net: net("CumSum", net("Reshape", net("GlobalAveragePool", "x"), ints(2, 3)), np.int64(1)), lambda x: x.mean((2, 3)).cumsum(1))
refuse("sums_of_image_along_its_pixels", lambda net: net("CumSum", net("Reshape", net("Expand", net("Unsqueeze", "x", ints(4)), ints(2, 3, 5, 6, 256)), ints(2, 3, 7680)), np.int64(2)))
refuse("sums_along_image", lambda net: net("CumSum", "x", net("ReduceSum", "x", keepdims=0)))
refuse("sums_along_no_axis", lambda net: net("Mul", "x", net("CumSum", floats(1, 2, 3, 4, 5, 6), np.int64(1))))
refuse("sums_too_large", lambda net: net("Reshape", "x", net("CumSum", ints(MAX, 1), np.int64(0))))
# PyTorch's mask[:, -n:], with n from a shape
case("negative_integers", lambda net: net("Slice", "x", net("Neg", ints(2)), ints(MAX), ints(3)), lambda x: x[..., -2:])
refuse("negative_of_the_least", lambda net: net("Reshape", "x", net("Neg", ints(-MAX - 1))))
case("range_of_floats", lambda net: net("Mul", "x", net("Range", np.float32(0), np.float32(1.5), np.float32(0.25))), lambda x: x * t([0, 0.25, 0.5, 0.75, 1, 1.25]))
case("size", lambda net: net("Reshape", "x", net("Concat", ints(2), net("Unsqueeze", net("Div", net("Size", "x"), np.int64(2)), ints(0)), axis=0)), lambda x: x)
case("where", lambda net: net("Add", "x", net("Where", net("Equal", ints(0, 1, 2).reshape(3, 1, 1), ints(0, 1, 2, 1, 0, 2)), np.float32(1), weights(1) * 0 - 2)),
     lambda x: x + torch.where(t([0, 1, 2]).reshape(3, 1, 1) == t([0, 1, 2, 1, 0, 2]), t(1), t(-2)))


def class_token(net):
    """Vision transformers: a token for each image, expanded to a batch that is computed, where -1 means: as it is."""
    n = net("Unsqueeze", net("Gather", net("Shape", "x"), np.int64(0)), ints(0))
    wanted = net("Concat", n, ints(-1), ints(-1), axis=0)
    ones = net("ConstantOfShape", net("Shape", wanted), value=helper.make_tensor("v", 7, [1], [1]))
    shape = net("Where", net("Equal", wanted, net("Mul", ones, ints(-1))), ones, wanted)
    return net("Concat", net("Expand", TABLE[:1].reshape(1, 1, 6), shape), rows(net), axis=1)


case("class_token", class_token, lambda x: torch.cat([t(TABLE[:1]).reshape(1, 1, 6).expand(2, 1, 6), x.reshape(ROWS)], 1))


def torch_pad(net):
    """F.pad(x, (1, 2, 3, 0)) as PyTorch exports it: pads last axis first, turned around by a slice that runs backwards."""
    padded = net("Concat", ints(1, 2, 3, 0), net("ConstantOfShape", ints(4), value=helper.make_tensor("v", 7, [1], [0])), axis=0)
    table = net("Slice", net("Reshape", padded, ints(-1, 2)), ints(-1), ints(-MAX), ints(0), ints(-1))
    pads = net("Cast", net("Reshape", net("Transpose", table, perm=[1, 0]), ints(-1)), to=7)
    return net("Pad", "x", pads, np.float32(0), mode="constant")


case("torch_pad", torch_pad, lambda x: F.pad(x, (1, 2, 3, 0)))
case("expand_integers", lambda net: net("Reshape", "x", net("Mul", net("Squeeze", net("Expand", ints(1).reshape(1, 1), ints(1, 2)), ints(0)), ints(2, 90))),
     lambda x: x)
case("tile_integers", lambda net: net("Reshape", "x", net("Slice", net("Tile", ints(2, 90), ints(3)), ints(2), ints(4), ints(0))), lambda x: x)

# ---- Sizes that are computed as floats, and products of them -----------------------------------------

half = lambda net: net("Mul", net("Cast", net("Slice", net("Shape", "x"), ints(2), ints(4)), to=1), np.float32(0.5))
for op, to in (("Floor", (2, 3)), ("Ceil", (3, 3)), ("Round", (2, 3))):
    case(f"size_{op.lower()}", lambda net: net("Resize", "x", "", "", net("Concat", ints(2, 3), net("Cast", net(op, half(net)), to=7), axis=0), mode="linear"),
         lambda x: F.interpolate(x, to, mode="bilinear"))
case("angles", lambda net: net("Mul", net("Mul", "x", net("Sin", net("Range", np.float32(0), np.float32(6), np.float32(1)))), net("Cos", floats(2))),
     lambda x: x * torch.sin(torch.arange(6.0, dtype=torch.float64)) * np.cos(2))
case("constant_without_elements", lambda net: net("Reshape", "x", net("Concat", net("Constant", value=helper.make_tensor("e", 7, [0], [])), ints(2, 90), axis=0)), lambda x: x)
case("size_product", lambda net: net("Reshape", "x", net("Concat", ints(2), net("ReduceProd", net("Slice", net("Shape", "x"), ints(1), ints(3)), keepdims=1), ints(-1), axis=0)),
     lambda x: x.reshape(2, 15, 6))
case("size_extrema", lambda net: net("Reshape", "x", net("Concat", net("ReduceMin", net("Shape", "x")), ints(-1), net("ReduceMax", net("Shape", "x")), axis=0)),
     lambda x: x.reshape(2, 15, 6))
refuse("product_of_image", lambda net: net("ReduceProd", "x"))
