"""Tiny ONNX files, sound and broken: writes tests/golden/onnx. What each must lead to stands in tests/unit/test_onnx.c and test_lower.c.

    /usr/bin/python3 tests/oracle/onnx_goldens.py

Needs onnx and numpy (Debian: python3-onnx). Nothing is checked by onnx.checker: most of these files would not pass.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "onnx"
OUT.mkdir(parents=True, exist_ok=True)
for old in OUT.glob("*.onnx"):
    old.unlink()

node = helper.make_node


def floats(*shape):
    return (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) % 7 - 3) / 4


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constants(**arrays):
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]


def graph(nodes, inputs=None, outputs=None, initializers=()):
    inputs = inputs if inputs is not None else [value("x", ["N", 3, 8, 8])]
    outputs = outputs if outputs is not None else [value("logits", ["N", 4])]
    return helper.make_graph(nodes, "tiny", inputs, outputs, list(initializers))


def model(*args, opset=13, **kwargs):
    return helper.make_model(graph(*args, **kwargs), producer_name="tests", producer_version="1",
                             opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def save(name, proto):
    (OUT / f"{name}.onnx").write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())


WEIGHT = constants(w=floats(4, 3, 3, 3))
CONV = node("Conv", ["x", "w"], ["features"], name="conv", kernel_shape=[3, 3])
TAIL = [node("GlobalAveragePool", ["features"], ["pooled"], name="pool"), node("Flatten", ["pooled"], ["logits"], name="flatten")]


# ---- Sound ---------------------------------------------------------------------------------------

sound = model([CONV, *TAIL], initializers=WEIGHT)
helper.set_model_props(sound, {"note": "x" * 40, "labels": '["a","b","c","\\u00e9"]'})
save("sound", sound)
save("unsorted", model([TAIL[1], CONV, TAIL[0]], initializers=WEIGHT))
save("initializer_as_input", model([CONV, *TAIL], [value("x", [1, 3, 8, 8]), value("w", [4, 3, 3, 3])], initializers=WEIGHT))
save("domain", helper.make_model(graph([node("Conv", ["x", "w"], ["features"], domain="ai.onnx"), *TAIL], initializers=WEIGHT), ir_version=7,
                                 opset_imports=[helper.make_opsetid("ai.onnx", 9), helper.make_opsetid("com.microsoft", 1)]))
# again and same are pooled's numbers under other names; turned has the batch last.
save("second_names", model([
    node("GlobalAveragePool", ["x"], ["pool"]), node("Flatten", ["pool"], ["pooled"]), node("Identity", ["pooled"], ["again"]),
    node("Reshape", ["pooled", "shape"], ["same"]), node("Transpose", ["pooled"], ["turned"]), node("Transpose", ["turned"], ["back"]),
    node("Mul", ["again", "two"], ["a"]), node("Mul", ["same", "four"], ["b"]), node("Sum", ["a", "b", "back"], ["logits"])],
    outputs=[value("logits", ["N", 3])], initializers=constants(shape=np.int64([0, -1]), two=np.float32(2), four=np.float32(4))))
odd_labels = model([CONV, *TAIL], initializers=WEIGHT)
helper.set_model_props(odd_labels, {"labels": "cat, dog"})
save("odd_labels", odd_labels)



def branch(output, *nodes, initializers=()):
    return helper.make_graph(list(nodes), "branch", [], [value(output, None)], list(initializers))


def choice(condition, output, then_branch, else_branch):
    return node("If", [condition], [output], name="choice", then_branch=then_branch, else_branch=else_branch)


# What PyTorch writes for x.squeeze(1) where it does not know the size: of the branches only one can be lowered. The other choice stands in a branch
# that is not taken, and both sides have the same names.
TRUTH, RELU = constants(c=np.bool_(True)), node("Relu", ["x"], ["y"])
SQUEEZED = choice("is_one", "squeezed", branch("s", node("Squeeze", ["pooled", "ones"], ["s"])), branch("s", node("Identity", ["pooled"], ["s"])))
NONSENSE = branch("t", choice("is_one", "t", branch("u", node("Reshape", ["x", "ones"], ["u"])), branch("u", node("Squeeze", ["x", "ones"], ["u"]))))
save("branches", model([
    CONV, TAIL[0], node("Shape", ["pooled"], ["shape"]), node("Gather", ["shape", "one"], ["size"]), node("Equal", ["size", "one"], ["is_one"]), SQUEEZED,
    node("Not", ["is_one"], ["is_more"]), node("Flatten", ["squeezed"], ["flat"]),
    choice("is_more", "logits", branch("t", node("Mul", ["flat", "half"], ["t"]), initializers=constants(half=np.float32(0.5))), NONSENSE)],
    initializers=WEIGHT + constants(one=np.int64(1), ones=np.int64([1]))))

# Every number type, raw and typed; unpacked is written by hand, because protobuf's Python always packs.
NUMBERS = {
    "float": (TensorProto.FLOAT, np.float32([0, 1, -2.5, 1e30])),
    "double": (TensorProto.DOUBLE, np.float64([0, 1, -2.5, 1e30])),
    "float16": (TensorProto.FLOAT16, np.float16([0, 1, -2.5, 6e-8])),
    "int8": (TensorProto.INT8, np.int8([0, 1, -2, 127])),
    "uint8": (TensorProto.UINT8, np.uint8([0, 1, 200, 255])),
    "int16": (TensorProto.INT16, np.int16([0, 1, -2, 32767])),
    "uint16": (TensorProto.UINT16, np.uint16([0, 1, 2, 65535])),
    "int32": (TensorProto.INT32, np.int32([0, 1, -2, 2**31 - 1])),
    "uint32": (TensorProto.UINT32, np.uint32([0, 1, 2, 2**32 - 1])),
    "int64": (TensorProto.INT64, np.int64([0, 1, -2, 2**62])),
    "uint64": (TensorProto.UINT64, np.uint64([0, 1, 2, 2**62])),
    "bool": (TensorProto.BOOL, np.array([False, True, True, False])),
}
tensors = []
for name, (kind, array) in NUMBERS.items():
    tensors.append(helper.make_tensor(f"{name}.raw", kind, [4], array.tobytes(), raw=True))
    tensors.append(helper.make_tensor(f"{name}.typed", kind, [2, 2], array))
bfloats = (np.float32([0, 1, -2.5, 1e30]).view(np.uint32) >> 16).astype(np.uint16)
tensors.append(helper.make_tensor("bfloat16.raw", TensorProto.BFLOAT16, [4], bfloats.tobytes(), raw=True))
typed = TensorProto(name="bfloat16.typed", data_type=TensorProto.BFLOAT16, dims=[4])
typed.int32_data.extend(int(b) for b in bfloats)
tensors.append(typed)
tensors.append(helper.make_tensor("scalar", TensorProto.FLOAT, [], [2.0]))
tensors.append(helper.make_tensor("empty", TensorProto.FLOAT, [0], []))


def field(number, payload):
    assert len(payload) < 1 << 21
    length = bytearray()
    rest = len(payload)
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    return bytes([number << 3 | 2, *length, rest]) + payload


def assembled(graph_bytes, opset=13):
    """ModelProto around a GraphProto's bytes."""
    return field(8, b"\x10" + bytes([opset])) + field(7, graph_bytes)


unpacked_float = field(8, b"float.unpacked") + b"\x08\x02\x10\x01" + b"\x25" + np.float32(1).tobytes() + b"\x25" + np.float32(-2.5).tobytes()
unpacked_int = field(8, b"int64.unpacked") + b"\x08\x02\x10\x07" + b"\x38\x05" + b"\x38\x06"
inner = graph([CONV, *TAIL], initializers=[*WEIGHT, *tensors]).SerializeToString()
save("numbers", assembled(inner + field(5, unpacked_float) + field(5, unpacked_int)))

# ---- Weights in other files ------------------------------------------------------------------------


def outside(tensor, location, **entries):
    """The tensor without its numbers, which lie at `location`."""
    tensor = TensorProto.FromString(tensor.SerializeToString())
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, entry in dict(location=location, **entries).items():
        tensor.external_data.add(key=key, value=str(entry))
    return tensor


def with_bias(weight, bias):
    """A network whose bias is a node's attribute."""
    return model([node("Constant", [], ["b"], value=bias), node("Conv", ["x", "w", "b"], ["features"], name="conv", kernel_shape=[3, 3]), *TAIL],
                 initializers=[weight])


# The same network twice: external.onnx with external.onnx.data and bias.bin, and in one file.
bias = numpy_helper.from_array(np.float32([-1, 0.5, 0.25, 2]), "")
external = with_bias(outside(WEIGHT[0], "external.onnx.data", offset=16, length=432, checksum="0" * 40), outside(bias, "bias.bin"))
helper.set_model_props(external, {"note": "x" * 100})  # fuzz_model takes the model itself for its files, so it must be as long as they are
save("external", external)
save("external_inside", with_bias(WEIGHT[0], bias))
(OUT / "external.onnx.data").write_bytes(bytes(16) + WEIGHT[0].raw_data)
(OUT / "bias.bin").write_bytes(bias.raw_data)

# Three tensors in one file, of which the second reaches furthest.
others = [outside(constant, "w.bin", offset=offset) for constant, offset in zip(constants(v=floats(8), u=floats(4)), [432, 64])]
save("external_shared", model([CONV, *TAIL], initializers=[outside(WEIGHT[0], "w.bin"), *others]))


def broken_external(name, **entries):
    save(name, model([CONV, *TAIL], initializers=[outside(WEIGHT[0], entries.pop("location", "w.bin"), **entries)]))


broken_external("external_length", length=431)
broken_external("external_offset", offset="1e3")
broken_external("external_far", offset=2**31 - 432)
broken_external("external_overflow", offset=2**64 + 16)
broken_external("external_up", location="a/../../w.bin")
nowhere = outside(WEIGHT[0], "w.bin")
del nowhere.external_data[:]
save("external_nowhere", model([CONV, *TAIL], initializers=[nowhere]))

# ---- Broken or not supported: the reader ----------------------------------------------------------

save("text", b"This is a text, and not a model at all.")
save("no_graph", field(8, b"\x10\x0d"))
save("no_opset", field(7, inner))
save("two_graphs", assembled(inner) + field(7, inner))
save("opset_6", model([CONV, *TAIL], initializers=WEIGHT, opset=6))
save("opset_26", model([CONV, *TAIL], initializers=WEIGHT, opset=26))
save("cycle", model([node("Relu", ["b"], ["a"], name="one"), node("Relu", ["a"], ["b"], name="two"), node("Relu", ["b"], ["logits"])]))
save("self_reference", model([node("Add", ["x", "logits"], ["logits"], name="ouroboros")]))
save("produced_twice", model([CONV, node("Relu", ["x"], ["features"], name="again"), *TAIL], initializers=WEIGHT))
save("produces_input", model([node("Relu", ["x"], ["x"], name="again")]))
save("produces_initializer", model([CONV, node("Relu", ["x"], ["w"], name="again"), *TAIL], initializers=WEIGHT))
save("missing_input", model([CONV, *TAIL]))
save("missing_output", model([CONV], initializers=WEIGHT))
save("two_initializers", model([CONV, *TAIL], initializers=WEIGHT * 2))
save("two_inputs_of_a_name", model([CONV, *TAIL], [value("x", [1, 3, 8, 8])] * 2, initializers=WEIGHT))
save("nameless_input", model([CONV, *TAIL], [value("x", [1, 3, 8, 8]), value("", [1])], initializers=WEIGHT))
save("nameless_operator", model([node("", ["x"], ["logits"], name="blank")]))
STRANGE = [node("Foo", ["features"], ["a"], name="strange"), node("Bar", ["a"], ["b"]), node("Foo", ["b"], ["c"])]
save("unknown_operators", model([CONV, *STRANGE, node("GlobalAveragePool", ["c"], ["pooled"]), TAIL[1]], initializers=WEIGHT))
save("unknown_elsewhere", model([CONV, *STRANGE, *TAIL], outputs=[value("logits", ["N", 4]), value("c", ["N", 4])], initializers=WEIGHT))
save("unknown_domain", model([node("Conv", ["x", "w"], ["logits"], name="fused", domain="com.microsoft")], initializers=WEIGHT))
one_branch, wide = node("If", ["c"], ["logits"], name="choice", then_branch=branch("y", RELU)), branch("y", RELU)
wide.output.append(value("y", None))
save("branch_missing", model([one_branch], initializers=TRUTH))
save("branch_outputs", model([choice("c", "logits", branch("y", RELU), wide)], initializers=TRUTH))
save("branch_condition", model([choice("", "logits", branch("y", RELU), branch("y", RELU))], initializers=TRUTH))
deep = branch("y", RELU)
for _ in range(5):
    deep = branch("y", choice("c", "y", deep, deep))
save("branches_deep", model([choice("c", "logits", deep, deep)], initializers=TRUTH))
functions = model([CONV, *TAIL], initializers=WEIGHT)
functions.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 13)]))
save("functions", functions)
sparse = model([CONV, *TAIL], initializers=WEIGHT)
sparse.graph.sparse_initializer.add().dims.append(4)
save("sparse_initializer", sparse)
sparse_constant = node("Constant", [], ["w"], name="thin")
sparse_constant.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
save("sparse_constant", model([sparse_constant, CONV, *TAIL]))


def broken_weight(name, **fields):
    tensor = TensorProto(name="w", data_type=fields.pop("data_type", TensorProto.FLOAT), **fields)
    save(name, model([CONV, *TAIL], initializers=[tensor]))


broken_weight("raw_data_short", dims=[4, 3, 3, 3], raw_data=floats(4, 3, 3, 3).tobytes()[:-1])
broken_weight("raw_data_long", dims=[4, 3, 3, 3], raw_data=floats(4, 3, 3, 3).tobytes() + bytes(4))
broken_weight("typed_data_short", dims=[4, 3, 3, 3], float_data=[0] * 107)
broken_weight("typed_data_elsewhere", dims=[2], int32_data=[1, 2])
broken_weight("negative_dimension", dims=[4, -3, 3, 3], float_data=[0] * 108)
broken_weight("huge_dimensions", dims=[2**40, 2**40])
broken_weight("huge_dimension", dims=[2**30])
broken_weight("text_tensor", data_type=TensorProto.STRING, dims=[1], string_data=[b"w"])
broken_weight("rank_7", dims=[1, 1, 1, 4, 3, 3, 3], raw_data=floats(4, 3, 3, 3).tobytes())
broken_weight("without_elements", dims=[4, 0, 3, 3])
save("long_name", model([node("Relu", ["x"], ["y" * 1025]), node("Relu", ["y" * 1025], ["logits"])]))
save("not_utf8", model([node("Relu", ["x"], ["qqqq"]), node("Relu", ["qqqq"], ["logits"])]).SerializeToString().replace(b"qqqq", b"q\xc0\x80q"))
save("nul_in_name", model([node("Relu", ["x"], ["q\0q"]), node("Relu", ["q\0q"], ["logits"])]))
announced = node("Constant", [], ["w"], name="hollow")
announced.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
save("hollow_attribute", model([announced, CONV, *TAIL]))
save("too_many_attributes", model([node("Relu", ["x"], ["logits"], **{f"a{i}": i for i in range(65)})]))

# A condition that the file states. What a branch makes is its own: nobody outside sees it, and two branches and the graph around them may give one name
# to three tensors.
scaled = lambda number: branch("t", node("Mul", ["pooled", "factor"], ["t"]), initializers=constants(factor=np.float32(number)))
save("branch_by_initializer", model([CONV, TAIL[0], choice("c", "r", scaled(0.5), branch("y", RELU)), node("Flatten", ["r"], ["logits"])], initializers=WEIGHT + TRUTH))
REUSED = [CONV, TAIL[0], choice("c", "a", scaled(0.5), scaled(3)), choice("d", "b", scaled(5), scaled(0.25)), node("Add", ["a", "b"], ["sum"]), node("Mul", ["sum", "factor"], ["all"]),
          node("Flatten", ["all"], ["logits"])]
save("branches_reuse", model(REUSED, initializers=WEIGHT + TRUTH + constants(d=np.bool_(False), factor=np.float32(8))))
LATE = branch("y", node("Identity", ["pooled"], ["y"]), node("Add", ["pooled", "y"], ["late"]))
save("branch_read_late", model([CONV, TAIL[0], choice("c", "r", LATE, branch("y", RELU)), node("Flatten", ["late"], ["logits"])], initializers=WEIGHT + TRUTH))

# What decides is computed from the image; and control flow that is none of these, which the first output does not need.
save("branch_of_the_image", model([CONV, *TAIL[:1], choice("pooled", "r", branch("y", RELU), branch("y", RELU)), node("Flatten", ["r"], ["logits"])], initializers=WEIGHT))
body = helper.make_graph([node("Identity", ["i"], ["o"])], "body", [value("i", [])], [value("o", [])])
save("loop", model([CONV, *TAIL, node("Loop", ["", "", "logits"], ["z"], name="again", body=body)], initializers=WEIGHT))
save("loop_needed", model([CONV, TAIL[0], node("Loop", ["", "", "pooled"], ["z"], name="again", body=body), node("Flatten", ["z"], ["logits"])], initializers=WEIGHT))

# ---- Bodies --------------------------------------------------------------------------------------


def rounds(inputs, outputs, *nodes, **arrays):
    return helper.make_graph(list(nodes), "body", [value(name, None) for name in inputs.split()], [value(name, None) for name in outputs.split()], constants(**arrays))


def looped(of, *before, captured="pooled", result="z", **arrays):
    arrays = {"three": np.int64(3), **arrays}
    again = node("Loop", ["three", "", captured], [result], name="again", body=of)
    return model([CONV, TAIL[0], *before, again, node("Flatten", [result], ["logits"])], initializers=WEIGHT + constants(**arrays))


GO, DOUBLED = node("Identity", ["go"], ["on"]), node("Add", ["h", "h"], ["next"], name="doubled")
# What is the same in every round (scaled: a constant and the image), a state, a name that is used outside, too, and results that are stacked.
save("loop_rounds", model([CONV, TAIL[0], node("Loop", ["three", "", "pooled"], ["h", "all"], name="again", body=rounds(
    "i go h", "on next kept", GO, node("Mul", ["half", "two"], ["factor"], name="one"), node("Mul", ["pooled", "factor"], ["scaled"], name="scaled"), node("Add", ["h", "scaled"], ["next"]),
    node("Sub", ["next", "h"], ["kept"]), half=np.float32(0.5), two=np.float32(2))),
    node("ReduceMean", ["all"], ["mean"], axes=[0], keepdims=0), node("Add", ["h", "mean"], ["sum"]), node("Flatten", ["sum"], ["logits"])],
    initializers=WEIGHT + constants(three=np.int64(3))))
inner = node("Loop", ["three", "", "h"], ["z"], name="inner", body=rounds("i go h", "on next", GO, DOUBLED))
branched = choice("c", "next", branch("s", inner, node("Identity", ["z"], ["s"])), branch("s", node("Neg", ["h"], ["s"])))
save("loop_nested", looped(rounds("i go h", "on next", GO, branched), c=np.bool_(True)))
save("scan", model([CONV, node("Transpose", ["features"], ["rows"], perm=[2, 0, 3, 1]), node("Scan", ["start", "rows"], ["state", "all"], name="rows", num_scan_inputs=1, scan_output_axes=[1], body=rounds(
    "h row", "next kept", node("ReduceMean", ["row"], ["m"], axes=[1], keepdims=0), node("Add", ["h", "m"], ["next"]), node("Relu", ["next"], ["kept"]))),
    node("ReduceSum", ["all", "ones"], ["sum"], keepdims=0), node("Add", ["sum", "state"], ["logits"])],
    initializers=WEIGHT + constants(start=floats(1, 4), ones=np.int64([1]))))
LSTM = constants(wi=floats(1, 8, 24), wh=floats(1, 8, 2), bias=floats(1, 16), rows=np.int64([8, 1, 24]), head=floats(2, 4))
save("recurrent", model([node("Transpose", ["x"], ["turned"], perm=[2, 0, 1, 3]), node("Reshape", ["turned", "rows"], ["sequence"]),
                         node("LSTM", ["sequence", "wi", "wh", "bias"], ["", "last", ""], name="lstm", hidden_size=2, activations=["Sigmoid", "Tanh", "Relu"]),
                         node("Squeeze", ["last", "zero"], ["state"]), node("MatMul", ["state", "head"], ["logits"])], initializers=LSTM + constants(zero=np.int64([0]))))
save("loop_bodiless", model([CONV, TAIL[0], node("Loop", ["", "", "pooled"], ["z"], name="again"), node("Flatten", ["z"], ["logits"])], initializers=WEIGHT))
save("loop_of_text", model([CONV, TAIL[0], node("Loop", ["", "", "pooled"], ["z"], name="again", body="text"), node("Flatten", ["z"], ["logits"])], initializers=WEIGHT))
save("loop_reads_nothing", looped(rounds("i go h", "on next", GO, node("Add", ["h", "nowhere"], ["next"], name="lost"))))
save("loop_read_inside", looped(rounds("i go h", "on next", GO, DOUBLED), node("Neg", ["next"], ["late"])))
save("loop_of_itself", looped(rounds("i go h", "on next", GO, node("Add", ["h", "z"], ["next"], name="ouroboros"))))
save("loop_around_itself", looped(rounds("i go h", "on next", GO, node("Add", ["h", "after"], ["next"])), node("Neg", ["z"], ["after"])))
save("loop_gives_twice", looped(rounds("i go go", "on next", GO, node("Neg", ["go"], ["next"]))))
save("loop_makes_what_it_is_given", looped(rounds("i go h", "on h", GO, node("Neg", ["go"], ["h"], name="again"))))
save("loop_nameless", looped(rounds("i go h", "on next", GO, DOUBLED)).SerializeToString().replace(b"next", b"\0\0\0\0"))
deep = rounds("i go h", "on next", GO, DOUBLED)
for _ in range(4):
    deep = rounds("i go h", "on next", GO, node("Loop", ["three", "", "h"], ["next"], body=deep))
save("loops_deep", looped(deep))
save("loop_endless", looped(rounds("i go h", "on next", GO, DOUBLED), three=np.int64(2**62)))
save("loop_strange", looped(rounds("i go h", "on next", GO, node("Foo", ["h"], ["next"], name="strange"))))

# ---- From the image to the logits -----------------------------------------------------------------

KEEP = {"initializers": WEIGHT}
FREE = [value("x", ["N", 3, "H", "W"])]
save("free_size", model([CONV, *TAIL], FREE, **KEEP))
save("all_free", model([CONV, *TAIL], [value("x", ["N", "C", "H", "W"])], **KEEP))
save("fixed_batch", model([CONV, *TAIL], [value("x", [2, 3, 8, 8])], **KEEP))
save("two_images", model([CONV, node("Add", ["features", "y"], ["features2"]), node("Flatten", ["features2"], ["logits"])],
                         [value("x", [1, 3, 8, 8]), value("y", [1, 4, 6, 6])], **KEEP))
save("unused_input", model([CONV, *TAIL], [value("training", [1]), value("x", [1, 3, 8, 8])], **KEEP))
save("no_image", model([node("Constant", [], ["logits"], value=numpy_helper.from_array(floats(1, 4)))]))
save("rank_3", model([node("Flatten", ["x"], ["logits"])], [value("x", [1, 8, 8])]))
save("no_shape", model([CONV, *TAIL], [value("x", None)], **KEEP))
save("large_image", model([CONV, *TAIL], [value("x", [1, 3, 40000, 8])], **KEEP))
save("gray", model([node("Conv", ["x", "w1"], ["features"]), *TAIL], [value("x", ["N", 1, 8, 8])], initializers=constants(w1=floats(4, 1, 3, 3))))
save("nhwc", model([node("Transpose", ["x"], ["nchw"], perm=[0, 3, 1, 2]), node("Conv", ["nchw", "w"], ["features"]),
                    node("Transpose", ["features"], ["nhwc"], perm=[0, 2, 3, 1]), node("Transpose", ["nhwc"], ["back"], perm=[0, 3, 1, 2]),
                    node("Relu", ["back"], ["relu"]), node("GlobalAveragePool", ["relu"], ["pooled"]),
                    node("Transpose", ["pooled"], ["last"], perm=[0, 2, 3, 1]), node("Reshape", ["last", "shape"], ["logits"])],
                   [value("x", ["N", 8, 8, 3])], initializers=WEIGHT + constants(shape=np.int64([-1, 4]))))
save("softmax", model([CONV, *TAIL[:1], node("Flatten", ["pooled"], ["flat"]), node("Softmax", ["flat"], ["logits"], axis=1)], **KEEP))
save("softmax_image", model([CONV, *TAIL[:1], node("Softmax", ["pooled"], ["p"], axis=1), node("Squeeze", ["p", "axes"], ["q"]), node("Identity", ["q"], ["logits"])],
                            initializers=WEIGHT + constants(axes=np.int64([2, 3]))))
save("softmax_wrong_axis", model([CONV, *TAIL[:1], node("Softmax", ["pooled"], ["p"], name="odd", axis=3), node("Flatten", ["p"], ["logits"])], **KEEP))
# The class itself, of probabilities or of logits
save("chosen", model([CONV, *TAIL[:1], node("Flatten", ["pooled"], ["flat"]), node("Softmax", ["flat"], ["p"], axis=1), node("ArgMax", ["p"], ["class"], axis=1)], outputs=[value("class", None)], **KEEP))
save("chosen_of_logits", model([CONV, *TAIL[:1], node("Flatten", ["pooled"], ["flat"]), node("TopK", ["flat", "k"], ["top", "which"])], outputs=[value("top", None)],
                               initializers=WEIGHT + constants(k=np.int64([2]))))
save("chosen_of_batch", model([CONV, *TAIL[:1], node("Flatten", ["pooled"], ["flat"]), node("ArgMax", ["flat"], ["class"], name="odd")], outputs=[value("class", None)], **KEEP))
save("image_as_output", model([CONV], outputs=[value("features", ["N", 4, 6, 6])], **KEEP))
save("pooled_as_output", model([CONV, TAIL[0]], outputs=[value("pooled", ["N", 4, 1, 1])], **KEEP))
save("one_class", model([node("Conv", ["x", "w1"], ["features"]), *TAIL], initializers=constants(w1=floats(1, 3, 3, 3))))
save("no_output", model([CONV, *TAIL], outputs=[], **KEEP))
save("side_output", model([CONV, *TAIL, node("Reshape", ["features", "nonsense"], ["side"])], outputs=[value("logits", ["N", 4]), value("side", None)],
                          initializers=WEIGHT + constants(nonsense=np.int64([5, 5, 5]))))
# What PyTorch writes for x.view(x.size(0), -1), and a flatten whose batch is fixed.
save("view", model([CONV, TAIL[0], node("Shape", ["pooled"], ["shape"]), node("Gather", ["shape", "zero"], ["n"], axis=0),
                    node("Unsqueeze", ["n", "axes"], ["n1"]), node("Concat", ["n1", "rest"], ["to"], axis=0), node("Reshape", ["pooled", "to"], ["logits"])],
                   initializers=WEIGHT + constants(zero=np.int64(0), axes=np.int64([0]), rest=np.int64([-1]))))
save("fixed_reshape", model([CONV, TAIL[0], node("Reshape", ["pooled", "to"], ["logits"], name="view")], initializers=WEIGHT + constants(to=np.int64([1, 4]))))

print(len(list(OUT.glob("*.onnx"))), "files,", sum(f.stat().st_size for f in OUT.glob("*.onnx")), "bytes")
