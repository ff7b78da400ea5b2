"""Writes a checkpoint as ONNX, checks the file, and measures the accuracy of the file itself.

    OMP_NUM_THREADS=1 /usr/bin/python3 models/export.py .cache/train/average.pt models/cifar10-resnet18.onnx

Input `input` float32 [N, 3, 32, 32], normalised; output `logits` float32 [N, 10]. The tensors a detector
taps carry plain names: `layer1` .. `layer4` (after the residual addition and ReLU) and `avgpool`
[N, 512, 1, 1]. The exporter folds each BatchNorm into the convolution in front of it.

Weights are int8 initializers with a scale for each output channel, each followed by a DequantizeLinear: a
quarter of the bytes to fetch, still plain ONNX, and arithmetic stays in float32. Biases stay float32 (20 KB in
all). Class names are in the model's metadata_props under "labels", as a JSON array.

--eval SPLIT prints the accuracy of checkpoint and file on holdout (default), test, or none.
"""

import argparse
import io
import json
import pathlib

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

import tiles
from resnet import CLASSES, ResNet18

OPSET = 13
TAPS = ("layer1", "layer2", "layer3", "layer4", "avgpool")


def export_float32(model):
    """The exporter's own graph, as an onnx.ModelProto with numbered tensor names."""
    buffer = io.BytesIO()
    torch.onnx.export(model, torch.zeros(1, 3, 32, 32), buffer, opset_version=OPSET,
                      input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
    return onnx.load_from_string(buffer.getvalue())


def scope(node):
    """'/layer1/layer1.0/conv1/Conv' -> 'layer1.0.conv1', the module's path in PyTorch."""
    parts = node.name.strip("/").split("/")[:-1]
    path = before = ""
    for part in parts:  # a Sequential's child repeats its parent's name ('shortcut', 'shortcut.0'); others do not
        path = path[:len(path) - len(before)] + part if before and part.startswith(before + ".") else f"{path}.{part}"
        before = part
    return path.lstrip(".")


def readable_names(graph):
    """Names every tensor after the module that makes it, and the taps as TAPS says; edits in place."""
    rename = {}
    initializers = {t.name for t in graph.initializer}
    for node in graph.node:
        path = scope(node)
        kind = node.op_type.lower()
        rename[node.output[0]] = f"{path}.{kind}" if path else kind
        for name, suffix in zip(node.input[1:], ("weight", "bias")):
            if name in initializers:
                rename[name] = f"{path}.{suffix}"
    # A stage ends with the ReLU of its second block, which is the last ReLU under that stage's name.
    for tap in TAPS[:4]:
        last = [n for n in graph.node if n.op_type == "Relu" and scope(n).startswith(tap)][-1]
        rename[last.output[0]] = tap
    pool, = [n for n in graph.node if n.op_type == "GlobalAveragePool"]
    rename[pool.output[0]] = "avgpool"
    seen = {}
    for old, new in list(rename.items()):  # a block's one ReLU module runs twice
        seen[new] = seen.get(new, 0) + 1
        rename[old] = new if seen[new] == 1 else f"{new}.{seen[new]}"
    for fixed in ("input", "logits"):
        rename[fixed] = fixed
    for node in graph.node:
        node.input[:] = [rename.get(n, n) for n in node.input]
        node.output[:] = [rename.get(n, n) for n in node.output]
        node.name = node.output[0]
    for tensor in graph.initializer:
        tensor.name = rename.get(tensor.name, tensor.name)
    del graph.value_info[:]


def quantise_weights(graph):
    """Stores each float32 initializer of two or more dimensions as int8 plus a DequantizeLinear; edits in place.
    The largest weight of an output channel becomes 127 or -127, zero stays zero."""
    nodes = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        scales = np.abs(values.reshape(len(values), -1)).max(axis=1).astype(np.float32) / np.float32(127)
        if not (np.isfinite(scales) & (scales > 0)).all():
            raise SystemExit(f"{name}: a channel without weights, or of weights that are no numbers")
        steps = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1)))
        tensor.CopyFrom(numpy_helper.from_array(steps.astype(np.int8), f"{name}.int8"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scale"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name],
                                      name=f"{name}.dequantise", axis=0))
    for node in reversed(nodes):
        graph.node.insert(0, node)


class OnnxRunner:
    """Runs the few operators such a file holds, read anew from its bytes: the check that what was written
    is the network that was trained. Callable like the model, so tiles.accuracy takes it."""

    def __init__(self, path):
        self.graph = onnx.load(path).graph
        self.constants = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in self.graph.initializer}
        self.taps = {}

    def eval(self):
        return self

    def __call__(self, x):
        v = {**self.constants, "input": x}
        for node in self.graph.node:
            a = {p.name: helper.get_attribute_value(p) for p in node.attribute}
            i = [v[n] for n in node.input]
            if node.op_type == "DequantizeLinear":
                y = i[0] * i[1].reshape(-1, *[1] * (i[0].dim() - 1))
            elif node.op_type == "Conv":
                y = F.conv2d(*i, stride=a["strides"], padding=a["pads"][:2], groups=a["group"])
            elif node.op_type == "Relu":
                y = F.relu(i[0])
            elif node.op_type == "Add":
                y = i[0] + i[1]
            elif node.op_type == "GlobalAveragePool":
                y = i[0].mean((2, 3), keepdim=True)
            elif node.op_type == "Flatten":
                y = i[0].flatten(a.get("axis", 1))
            elif node.op_type == "Gemm":
                y = i[0] @ (i[1].T if a.get("transB") else i[1]) + i[2]
            else:
                raise SystemExit(f"{node.name}: operator {node.op_type} was not expected here")
            v[node.output[0]] = y
        self.taps = {name: v[name] for name in TAPS}
        return v["logits"]


def module_taps(model, x):
    """The PyTorch modules' outputs under the taps' names, and the logits."""
    seen = {}
    hooks = [getattr(model, name).register_forward_hook(lambda m, i, o, name=name: seen.update({name: o.clone()}))
             for name in TAPS]
    logits = model(x)
    for hook in hooks:
        hook.remove()
    return seen, logits


@torch.no_grad()
def check(path, model, images):
    """Stops unless every tap of the file is, but for the weights' rounding, its PyTorch module's output."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    runner = OnnxRunner(path)
    x = tiles.normalise(images)
    logits = runner(x)
    wanted, wanted_logits = module_taps(model, x)
    for name, got, want in [*((n, runner.taps[n], wanted[n]) for n in TAPS), ("logits", logits, wanted_logits)]:
        error = ((got - want).abs().max() / want.abs().max()).item()
        print(f"{name:8} {str(list(got.shape)):18} largest difference / largest value {error:.1e}")
        # rounding is up to 1/254 of a channel's largest weight, a hundredth of what its weights are as a rule;
        # twenty layers of random signs stay near that
        if error > 2e-2:
            raise SystemExit(f"{name}: the file does not compute what the checkpoint does")
    return runner


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=pathlib.Path)
    p.add_argument("onnx", type=pathlib.Path)
    p.add_argument("--eval", choices=("holdout", "test", "none"), default="holdout")
    args = p.parse_args()

    state = torch.load(args.checkpoint, map_location="cpu")
    model = ResNet18(width=len(state["conv1.weight"])).eval()
    model.load_state_dict(state)
    proto = export_float32(model)
    readable_names(proto.graph)
    quantise_weights(proto.graph)
    proto.metadata_props.add(key="labels", value=json.dumps(CLASSES))
    args.onnx.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, str(args.onnx))

    holdout, labels = tiles.load("holdout")
    runner = check(str(args.onnx), model, holdout[::40])
    print(f"{args.onnx}: {args.onnx.stat().st_size} bytes")
    if args.eval != "none":
        images, labels = (holdout, labels) if args.eval == "holdout" else tiles.load(args.eval)
        print(f"{args.eval} accuracy: checkpoint {tiles.accuracy(model, images, labels):.4f}, "
              f"file {tiles.accuracy(runner, images, labels):.4f}")


if __name__ == "__main__":
    main()
