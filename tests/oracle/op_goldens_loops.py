"""The part of op_goldens.py that goes round: Loop and Scan, whose rounds are lowered one by one."""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from op_case import case, ints, refuse, t, weights

node = helper.make_node
MAX = np.iinfo(np.int64).max
YES = np.bool_(True)


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def body(inputs, outputs, *nodes, **constants):
    """A graph inside of a node; constants are its initializers."""
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    return helper.make_graph(list(nodes), "body", [value(name) for name in inputs.split()], [value(name) for name in outputs.split()], arrays)


def loop(net, limit, go, *carried, outputs=1, of):
    return net("Loop", limit, go, *carried, outputs=outputs, body=of)


GO = node("Identity", ["go"], ["on"])
GAIN = weights(6) + 1
STEP = body("i go h", "on next", GO, node("Mul", ["h", "gain"], ["a"]), node("Tanh", ["a"], ["b"]), node("Add", ["b", "x"], ["next"]), gain=GAIN)


def step(x, rounds):
    h = x
    for _ in range(rounds):
        h = torch.tanh(h * t(GAIN)) + x
    return h


case("loop", lambda net: loop(net, ints(3)[0], YES, "x", of=STEP), lambda x: step(x, 3))
case("loop_list_of_one", lambda net: loop(net, ints(3), np.array([True]), "x", of=STEP), lambda x: step(x, 3))
case("loop_once", lambda net: loop(net, ints(1)[0], "", "x", of=STEP), lambda x: step(x, 1))
case("loop_never", lambda net: net("Exp", loop(net, ints(0)[0], YES, "x", of=STEP)), torch.exp)
case("loop_negative", lambda net: net("Exp", loop(net, ints(-4)[0], YES, "x", of=STEP)), torch.exp)
case("loop_condition_false", lambda net: net("Exp", loop(net, ints(3)[0], np.bool_(False), "x", of=STEP)), torch.exp)
case("loop_by_size", lambda net: loop(net, net("Gather", net("Shape", "x"), ints(2)[0]), YES, "x", of=STEP), lambda x: step(x, 5))

# Integers outside of the body, which become other numbers in each round.
INTEGERS, INTEGER_SCALES = np.arange(-6, 6, dtype=np.int8).reshape(2, 6), np.float32([0.25, 0.5, 1.5])
SCALED = body("i go h", "on next", GO, node("Gather", ["scales", "i"], ["scale"]), node("DequantizeLinear", ["integers", "scale"], ["rows"]),
              node("ReduceMean", ["rows"], ["mean"], axes=[0]), node("Mul", ["h", "mean"], ["next"]))


def scaled(net):
    net.constants += [numpy_helper.from_array(INTEGERS, "integers"), numpy_helper.from_array(INTEGER_SCALES, "scales")]
    return loop(net, ints(3)[0], YES, "x", of=SCALED)


case("loop_dequantises", scaled, lambda x: x * t(INTEGERS).mean(0) ** 3 * float(np.prod(INTEGER_SCALES)))

# What a round finds by its number, and keeps; the stack's first axis is the rounds'.
PICK = body("i go", "on row", node("Cast", ["go"], ["on"], to=TensorProto.BOOL), node("Gather", ["x", "i"], ["part"], axis=2), node("Add", ["i", "one"], ["n"]),
            node("Cast", ["n"], ["factor"], to=1), node("Mul", ["part", "factor"], ["row"]), one=ints(1)[0])
case("loop_stacked", lambda net: net("Transpose", loop(net, ints(5)[0], YES, of=PICK), perm=[1, 2, 0, 3]), lambda x: x * torch.arange(1, 6).reshape(5, 1))

# As torch.jit.script writes `for row in x`: state and results of an own cell.
CELL = body("i go h", "on next kept", node("Constant", [], ["on"], value_int=1), node("Gather", ["x", "i"], ["row"], axis=2), node("MatMul", ["row", "w"], ["p"]),
            node("Add", ["p", "h"], ["s"]), node("Sigmoid", ["s"], ["next"]), node("Relu", ["s"], ["kept"]), w=weights(6, 6))
CELL_WEIGHT = numpy_helper.to_array(CELL.initializer[0])


def cell(x):
    h, kept = torch.zeros(2, 3, 6, dtype=torch.float64), []
    for i in range(5):
        s = x[:, :, i] @ t(CELL_WEIGHT) + h
        h = torch.sigmoid(s)
        kept.append(F.relu(s))
    return h, torch.stack(kept)


START = np.zeros((2, 3, 6), np.float32)
case("loop_state", lambda net: loop(net, ints(5)[0], YES, START, outputs=2, of=CELL), lambda x: cell(x)[0])
case("loop_results", lambda net: net("Transpose", loop(net, ints(5)[0], YES, START, outputs=2, of=CELL) + "_", perm=[1, 0, 2, 3]), lambda x: cell(x)[1].transpose(0, 1))

# A while: nothing but the condition ends it. The number that is counted is carried.
WHILE = body("i go n h", "on more next", node("Add", ["n", "two"], ["more"]), node("Less", ["more", "nine"], ["on"]), node("Tanh", ["h"], ["y"]), node("Add", ["y", "x"], ["next"]),
             two=ints(2)[0], nine=ints(9)[0])


def tanh_rounds(x, rounds):
    h = x
    for _ in range(rounds):
        h = torch.tanh(h) + x
    return h


case("loop_while", lambda net: loop(net, ints(MAX)[0], YES, ints(1)[0], "x", outputs=2, of=WHILE) + "_", lambda x: tanh_rounds(x, 4))
case("loop_while_without_limit", lambda net: loop(net, "", "", ints(1)[0], "x", outputs=2, of=WHILE) + "_", lambda x: tanh_rounds(x, 4))

# A flag that a branch sets in the third round and the fourth reads: nothing that the condition is made of changes in between.
SETS = node("If", ["late"], ["set"], then_branch=body("", "t", node("Identity", ["yes"], ["t"]), yes=YES), else_branch=body("", "e", node("Identity", ["done"], ["e"])))
FLAG = body("i go done h", "on set next", node("Greater", ["i", "one"], ["late"]), SETS, node("Not", ["done"], ["on"]), node("Tanh", ["h"], ["y"]), node("Add", ["y", "x"], ["next"]),
            one=ints(1)[0])
case("loop_until_flag", lambda net: loop(net, ints(MAX)[0], YES, np.bool_(False), "x", outputs=2, of=FLAG) + "_", lambda x: tanh_rounds(x, 4))

# A branch by the number of the round; both sides have the same names, and what is outside has one of them, too.
ODD = node("If", ["odd"], ["y"], then_branch=body("", "r", node("Relu", ["h"], ["r"])), else_branch=body("", "r", node("Mul", ["h", "half"], ["r"]), half=np.float32(0.5)))
PARITY = body("i go h", "on next", GO, node("Mod", ["i", "two"], ["rest"]), node("Equal", ["rest", "one"], ["odd"]), ODD, node("Sub", ["y", "x"], ["next"]), one=ints(1)[0], two=ints(2)[0])


def parity(x):
    h = x
    for i in range(4):
        h = (F.relu(h) if i % 2 else h * 0.5) - x
    return h


case("loop_of_branches", lambda net: loop(net, ints(4)[0], YES, "x", of=PARITY), parity)

# A loop in a loop, which reads what is outside of both, the outer round's number and its state; the inner one's names are the outer one's.
INNER = body("j go h", "on next", GO, node("Add", ["j", "i"], ["n"]), node("Cast", ["n"], ["f"], to=1), node("Mul", ["x", "f"], ["a"]), node("Add", ["h", "a"], ["s"]), node("Sin", ["s"], ["next"]))
OUTER = body("i go h", "on next", GO, node("Loop", ["two", "", "h"], ["y"], body=INNER), node("Mul", ["y", "gain"], ["next"]), two=ints(2)[0], gain=GAIN)


def nested(x):
    h = x
    for i in range(3):
        y = h
        for j in range(2):
            y = torch.sin(y + x * (i + j))
        h = y * t(GAIN)
    return h


case("loop_in_loop", lambda net: loop(net, ints(3)[0], YES, "x", of=OUTER), nested)

# A list that grows, as `kept = torch.cat([kept, y], 1)`; the same in every round: computed once.
GROW = body("i go kept", "on more", GO, node("Exp", ["x"], ["same"]), node("Concat", ["kept", "same"], ["more"], axis=1))
case("loop_growing", lambda net: loop(net, ints(3)[0], YES, "x", of=GROW), lambda x: torch.cat([x, torch.exp(x), torch.exp(x), torch.exp(x)], 1))
SHARED, BIAS = weights(3, 3, 3, 3, scale=0.3), weights(3)
CONVOLVE = body("i go h", "on next", GO, node("Conv", ["h", "w", "b"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]), node("Add", ["r", "x"], ["next"]), w=SHARED, b=BIAS)


def convolved(x):
    h = x
    for _ in range(3):
        h = F.relu(F.conv2d(h, t(SHARED), t(BIAS), padding=1)) + x
    return h


case("loop_of_convolutions", lambda net: loop(net, ints(3)[0], YES, "x", of=CONVOLVE), convolved)
# A body without nodes: what is carried changes places.
SWAP = body("i go a b", "go b a")
case("loop_without_nodes", lambda net: net("Sub", loop(net, ints(3)[0], YES, "x", net("Relu", "x"), outputs=2, of=SWAP), net("Exp", "x")), lambda x: F.relu(x) - torch.exp(x))

# Constants of more than a megabyte are made while a loop or a sequence holds others that nothing else does: they must not be given up.
def much(net, size=1 << 19):
    return net("ReduceSum", net("ConstantOfShape", ints(size)), keepdims=0)


MANY = body("i go", "go kept", node("Add", ["i", "one"], ["n"]), node("Mul", ["n", "many"], ["size"]), node("ConstantOfShape", ["size"], ["big"]),
            node("ReduceSum", ["big"], ["nothing"], keepdims=0), node("Cast", ["n"], ["f"], to=1), node("Add", ["f", "nothing"], ["kept"]), one=ints(1)[0], many=ints(1 << 18))
case("loop_of_constants", lambda net: net("Mul", "x", loop(net, ints(6)[0], YES, of=MANY)), lambda x: x * torch.arange(1, 7))


def captured(net):
    net.nodes.append(None)  # the loop, in front of what it reads
    net("Exp", GAIN)
    factor, start = net.nodes[-1].output[0], net("Add", "x", much(net))
    of = body("i go h", "on next", GO, node("Mul", ["h", factor], ["next"]))
    last = loop(net, ints(2)[0], YES, start, of=of)
    net.nodes[0] = net.nodes.pop()
    return last


case("loop_in_front", captured, lambda x: x * torch.exp(t(GAIN)) ** 2)


def kept_apart(net):
    sequence = net("SequenceConstruct", net("Exp", GAIN), "x")
    return net("Mul", net("Add", "x", much(net)), net("SequenceAt", sequence, ints(0)[0]))


case("sequence_of_constants", kept_apart, lambda x: x * torch.exp(t(GAIN)))

# ---- Scan ----------------------------------------------------------------------------------------

SCANNED = body("h row", "next kept", node("MatMul", ["row", "w"], ["p"]), node("Add", ["p", "h"], ["s"]), node("Sigmoid", ["s"], ["next"]), node("Relu", ["s"], ["kept"]), w=CELL_WEIGHT)
SUMS = body("a b", "s", node("Mul", ["a", "b"], ["s"]))
case("scan", lambda net: net("Scan", START, "x", outputs=2, num_scan_inputs=1, scan_input_axes=[2], body=SCANNED), lambda x: cell(x)[0])
case("scan_results", lambda net: net("Scan", START, "x", outputs=2, num_scan_inputs=1, scan_input_axes=[-2], scan_output_axes=[1], body=SCANNED) + "_",
     lambda x: cell(x)[1].transpose(0, 1))
case("scan_backwards",
     lambda net: net("Scan", START, "x", outputs=2, num_scan_inputs=1, scan_input_axes=[2], scan_input_directions=[1], scan_output_axes=[-1], scan_output_directions=[1], body=SCANNED) + "_",
     lambda x: cell(x.flip(2))[1].flip(0).permute(1, 2, 3, 0))
case("scan_of_two", lambda net: net("Scan", "x", net("Transpose", net("Exp", "x"), perm=[2, 0, 1, 3]), num_scan_inputs=2, scan_input_axes=[2, 0], scan_input_directions=[0, 1],
                                    scan_output_axes=[2], body=SUMS), lambda x: x * torch.exp(x).flip(2))

# ---- Sequences -----------------------------------------------------------------------------------

# As torch.jit.script writes `kept.append(y)` in a loop, and torch.stack and torch.cat behind it.
APPENDS = body("i go h kept", "on next more", GO, node("Gather", ["x", "i"], ["row"], axis=2), node("Add", ["row", "h"], ["s"]), node("Sigmoid", ["s"], ["next"]),
               node("SequenceInsert", ["kept", "next"], ["more"]))


def appended(net):
    return loop(net, ints(5)[0], YES, START, net("SequenceEmpty"), outputs=2, of=APPENDS) + "_"


def appended_of(x):
    h, kept = torch.zeros(2, 3, 6, dtype=torch.float64), []
    for i in range(5):
        h = torch.sigmoid(x[:, :, i] + h)
        kept.append(h)
    return kept


case("sequence_stacked", lambda net: net("ConcatFromSequence", appended(net), axis=1, new_axis=1), lambda x: torch.stack(appended_of(x), 1))
case("sequence_stacked_last", lambda net: net("ConcatFromSequence", appended(net), axis=-1, new_axis=1), lambda x: torch.stack(appended_of(x), -1))
case("sequence_joined", lambda net: net("ConcatFromSequence", appended(net), axis=2), lambda x: torch.cat(appended_of(x), 2))
case("sequence_last", lambda net: net("SequenceAt", appended(net), ints(-1)[0]), lambda x: appended_of(x)[-1])


def built(net):
    first = net("SequenceConstruct", "x", net("Relu", "x"), net("Exp", "x"))
    second = net("SequenceInsert", first, net("Neg", "x"), ints(-2)[0])  # x, -x, relu, exp
    return net("SequenceErase", net("Identity", second), ints(2)[0])  # x, -x, exp


case("sequence_built", lambda net: net("ConcatFromSequence", built(net), axis=1), lambda x: torch.cat([x, -x, torch.exp(x)], 1))
case("sequence_shortened", lambda net: net("ConcatFromSequence", net("SequenceErase", built(net)), axis=2), lambda x: torch.cat([x, -x], 2))
case("sequence_length", lambda net: loop(net, net("SequenceLength", built(net)), YES, "x", of=STEP), lambda x: step(x, 3))
case("sequence_split", lambda net: net("ConcatFromSequence", net("SequenceErase", net("SplitToSequence", "x", ints(2)[0], axis=2), ints(0)[0]), axis=2), lambda x: x[:, :, 2:])
case("sequence_split_by_list", lambda net: net("SequenceAt", net("SplitToSequence", "x", ints(1, 3, 1), axis=-2), ints(1)[0]), lambda x: x[:, :, 1:4])
case("sequence_of_rows", lambda net: net("SequenceAt", net("SplitToSequence", "x", axis=2, keepdims=0), ints(3)[0]), lambda x: x[:, :, 3])
case("sequence_of_channels", lambda net: net("SequenceAt", net("SplitToSequence", "x", axis=1), ints(1)[0]), lambda x: x[:, 1:2])
case("sequence_in_branch", lambda net: net("SequenceAt", net("If", YES, then_branch=body("", "s", node("SequenceConstruct", ["x"], ["s"])), else_branch=body("", "t", node("SequenceEmpty", [], ["t"]))),
                                          ints(0)[0]), lambda x: x)

refuse("sequence_as_tensor", lambda net: net("Relu", built(net)))
refuse("sequence_of_sequences", lambda net: net("SequenceAt", net("SequenceConstruct", built(net)), ints(0)[0]))
refuse("sequence_as_position", lambda net: net("SequenceAt", built(net), built(net)))
refuse("sequence_as_limit", lambda net: loop(net, built(net), YES, "x", of=STEP))
refuse("sequence_outside", lambda net: net("SequenceAt", built(net), ints(3)[0]))
refuse("sequence_inserted_outside", lambda net: net("SequenceAt", net("SequenceInsert", built(net), "x", ints(4)[0]), ints(0)[0]))
refuse("sequence_of_nothing", lambda net: net("Add", "x", net("ConcatFromSequence", net("SequenceEmpty"), axis=0)))
refuse("sequence_stack_of_nothing", lambda net: net("Add", "x", net("ConcatFromSequence", net("SequenceEmpty"), axis=0, new_axis=1)))
refuse("sequence_erased", lambda net: net("Add", "x", net("SequenceAt", net("SequenceErase", net("SequenceEmpty")), ints(0)[0])))
refuse("sequence_of_image_position", lambda net: net("SequenceAt", built(net), net("ReduceSum", "x", keepdims=0)))
refuse("sequence_without_position", lambda net: net("SequenceAt", built(net)))
refuse("sequence_uneven", lambda net: net("ConcatFromSequence", net("SplitToSequence", "x", ints(2)[0], axis=2), axis=0, new_axis=1))
refuse("sequence_that_is_none", lambda net: net("SequenceAt", "x", ints(0)[0]))
refuse("sequence_split_to_more", lambda net: net("SequenceAt", net("SplitToSequence", "x", ints(2, 4), axis=2), ints(0)[0]))
refuse("sequence_split_to_less", lambda net: net("SequenceAt", net("SplitToSequence", "x", ints(2, 2), axis=2), ints(0)[0]))
refuse("sequence_split_to_nothing", lambda net: net("SequenceAt", net("SplitToSequence", "x", ints(0)[0], axis=2), ints(0)[0]))
refuse("sequence_without_end", lambda net: net("SequenceAt", loop(net, ints(1 << 14)[0], YES, net("SequenceEmpty"), of=body(
    "i go kept", "go more", node("SequenceInsert", ["kept", "x"], ["more"]))), ints(0)[0]))

# ---- Refused -------------------------------------------------------------------------------------

refuse("loop_counted_by_image", lambda net: loop(net, net("ReduceSum", "x", keepdims=0), YES, "x", of=STEP))
refuse("loop_while_image", lambda net: loop(net, "", "", "x", of=body("i go h", "on next", node("ReduceMax", ["h"], ["m"], keepdims=0), node("Greater", ["m", "one"], ["on"]),
                                                                       node("Tanh", ["h"], ["next"]), one=np.float32(1))))
refuse("loop_without_end", lambda net: loop(net, ints(2**62)[0], YES, "x", of=STEP))
refuse("loop_without_limit", lambda net: loop(net, "", YES, "x", of=STEP))
refuse("loop_too_long", lambda net: loop(net, ints(1 << 16)[0], YES, "x", of=STEP))
refuse("loop_while_forever", lambda net: loop(net, ints(MAX)[0], YES, ints(10)[0], "x", outputs=2, of=body(
    "i go n h", "on more next", node("Add", ["n", "two"], ["more"]), node("Greater", ["more", "nine"], ["on"]), node("Identity", ["h"], ["next"]), two=ints(2)[0], nine=ints(9)[0])) + "_")
refuse("loop_in_loop_too_long", lambda net: loop(net, ints(1 << 10)[0], YES, "x", of=body(
    "i go h", "on next", GO, node("Loop", ["m", "", "h"], ["next"], name="inner", body=body("j go h", "go h")), m=ints(1 << 10)[0])))
refuse("loop_of_few_inputs", lambda net: loop(net, ints(2)[0], YES, "x", of=body("i go", "on next", GO, node("Tanh", ["x"], ["next"]))))
refuse("loop_of_few_results", lambda net: loop(net, ints(2)[0], YES, "x", of=body("i go h", "on", GO)))
refuse("loop_of_many_outputs", lambda net: loop(net, ints(2)[0], YES, "x", outputs=2, of=STEP))
refuse("loop_uneven", lambda net: loop(net, ints(2)[0], YES, "x", outputs=2, of=body("i go h", "on more more", GO, node("Concat", ["h", "x"], ["more"], axis=1))) + "_")
refuse("loop_of_nothing", lambda net: net("Neg", loop(net, ints(0)[0], YES, of=PICK)))
refuse("loop_of_numbers", lambda net: loop(net, np.float32(1.5), YES, "x", of=STEP))
refuse("scan_of_nothing", lambda net: net("Scan", "x", num_scan_inputs=0, body=SUMS))
refuse("scan_of_more", lambda net: net("Scan", "x", "x", num_scan_inputs=3, body=SUMS))
refuse("scan_uneven", lambda net: net("Scan", "x", "x", num_scan_inputs=2, scan_input_axes=[2, 3], body=SUMS))
refuse("scan_of_other_body", lambda net: net("Scan", "x", num_scan_inputs=1, body=SUMS))
refuse("scan_of_two_axes", lambda net: net("Scan", "x", "x", num_scan_inputs=2, scan_input_axes=[2], body=SUMS))
refuse("scan_of_no_axis", lambda net: net("Scan", "x", "x", num_scan_inputs=2, scan_input_axes=[2, 4], body=SUMS))
refuse("scan_before_9", lambda net: net("Scan", "", "x", "x", num_scan_inputs=2, body=SUMS), 8)
