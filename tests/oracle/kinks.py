"""Whether a g that differs from PyTorch's is a rectifier's doing alone: units whose preactivation lies within rounding of a kink.

    /usr/bin/python3 tests/oracle/kinks.py [--variant simd|relaxed] mobilenet_v2 ...

The networks, images and taps of torchvision_parity.py. Every ReLU and ReLU6 behind the earliest tap is tapped, too, element by element, and its gates
(open or shut) are counted that differ from float64's, ours and those of PyTorch's float32. Then float64 is differentiated once more with our gates in
the place of its own: what is left of the difference in g is arithmetic, and must be within 1e-3 of the largest value. And each of these gates must
be at its kink: its float64 preactivation no further away than float32's rounding goes, 1e-5 of its layer's largest (sums of thousands of
products, layer behind layer; measured are a few 1e-7). Exits 1 where one of both does not hold. Networks of 224 pixels whose rectifiers are
functions or modules of PyTorch's by these names.
"""

import argparse
import pathlib
import sys
import tempfile
import warnings

import numpy as np
import onnx
import torch

import torchvision_parity as parity

SIDE, AT_ONCE = 224, 12
ROUNDING, ARITHMETIC = 1e-5, 1e-3
RECTIFIERS = {"relu": np.inf, "relu_": np.inf, "hardtanh": 6.0}  # the last is ReLU6, which is made of it


def is_open(y, high):
    return (y > 0) & (y < high)


class Gates(parity.Recorder):
    """Keeps the gates of all rectifiers in order, or (where it is given some) differentiates by those instead."""

    def __init__(self, given=None):
        super().__init__()
        self.given, self.found, self.highs, self.distances = given, [], [], []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        high = RECTIFIERS.get(getattr(function, "__name__", ""))
        if high is None:
            return super().__torch_function__(function, types, args, kwargs)
        x = args[0]
        y = x.clamp(0, high)
        given = self.given[len(self.found)] if self.given else None
        self.found.append(is_open(y, high).detach())
        self.highs.append(high)
        self.distances.append((torch.minimum(x.abs(), (x - high).abs()) / x.abs().max()).detach())
        if given is not None:
            passed = x * given.to(x.dtype)
            y = y.detach() + passed - passed.detach()
        self.tensors.append(y)
        return y


def differentiate(network, images, taps, z, given=None):
    """Every tap's g, and the gates."""
    with Gates(given) as gates:
        logits = network(images)
    places = [parity.find(gates.tensors, tap["pool"], mine) for tap, mine in zip(taps, z)]
    return [g for _, g in parity.states_at(logits, gates.tensors, places, taps)], gates


def run(folder, args, layers=""):
    """Of ours: the report, and z and g of each tap."""
    args.layers = layers
    report, _, states = parity.run_ours(folder, args, SIDE, SIDE)
    return report["taps"], states


def check(name, args, folder):
    network, images = parity.make(name, SIDE, SIDE)
    torch.onnx.export(network, images[:1], str(folder / "model.onnx"), opset_version=13, input_names=["input"], output_names=["logits"])
    images.numpy().tofile(folder / "input.f32")
    taps, states = run(folder, args)
    z, mine = [z for z, _ in states], [g for _, g in states]
    exact, gates = differentiate(network.double(), images.double(), taps, z)

    nodes = onnx.load(str(folder / "model.onnx")).graph.node
    made = {output: i for i, node in enumerate(nodes) for output in node.output}
    rectified = [node.output[0] for node in nodes if node.op_type in ("Relu", "Clip")]
    assert len(rectified) == len(gates.found), "not all rectifiers are known"
    behind = [i for i, tensor in enumerate(rectified) if made[tensor] > min(made[tap["name"]] for tap in taps)]
    ours = [None] * len(rectified)
    named = ",".join(f"{tap['name']}={tap['pool']}" for tap in taps)
    for first in range(0, len(behind), AT_ONCE):
        part = behind[first : first + AT_ONCE]
        _, found = run(folder, args, ",".join([named, *(f"{rectified[i]}=none" for i in part)]))
        for i, (y, _) in zip(part, found[len(taps) :]):
            ours[i] = is_open(torch.from_numpy(y.copy()), gates.highs[i]).reshape(gates.found[i].shape)

    count = lambda others: sum(int((others[i] != gates.found[i]).sum()) for i in behind)
    gated, _ = differentiate(network, images.double(), taps, z, ours)
    rounded, float_gates = differentiate(network.float(), images, taps, z)
    print(f"{name} ({args.variant}): of {sum(gates.found[i].numel() for i in behind)} gates behind the earliest tap {count(ours)} differ from float64's, of PyTorch's float32 {count(float_gates.found)}")
    furthest = max((float(gates.distances[i][ours[i] != gates.found[i]].max()) for i in behind if not torch.equal(ours[i], gates.found[i])), default=0)
    print(f"  the furthest from its kink: {furthest:.0e} of its layer's largest preactivation")
    good = furthest <= ROUNDING
    for tap, ours_g, exact_g, gated_g, rounded_g in zip(taps, mine, exact, gated, rounded):
        print(f"  {tap['name']}: g differs by {parity.relative(ours_g, exact_g):.0e}, with the same gates by {parity.relative(ours_g, gated_g):.0e}; PyTorch's float32 by {parity.relative(rounded_g, exact_g):.0e}")
        good &= parity.relative(ours_g, gated_g) <= ARITHMETIC
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--variant", default="simd")
    args = parser.parse_args()
    args.rounds = 1
    warnings.filterwarnings("ignore")
    good = True
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            good &= check(name, args, pathlib.Path(folder))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
