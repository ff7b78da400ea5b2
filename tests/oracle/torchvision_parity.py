"""torchvision's classifiers, with the taps that auto chooses, against PyTorch autograd.

    /usr/bin/python3 tests/oracle/torchvision_parity.py [--variant simd|relaxed] [--opset 13] [--size PIXELS] [--markdown] resnet18 vit_b_16 ...

Each network is torchvision's class with random weights (calibrated batch norms; see oracle.py), exported by plain torch.onnx.export and
run by tests/oracle/run_network.js on two images. No names are matched: every tensor that PyTorch computes on the way is
recorded, the one whose pooled values are a tap's z is that tap, and autograd's gradient there is what g must be. The reference is float64.

Printed are the largest difference over the largest value, for logits, z and g, and the share of states in another of 50 bins; and, in
parentheses, how far PyTorch's own float32 is from its float64. That is not nothing: where a preactivation lies within a rounding error
of 0, float32 and float64 disagree about ReLU's mask, and the gradient jumps by a whole path. A difference is accepted below
1e-4 for logits, 1e-3 for z and g, 0.5 % for bins, or below five times PyTorch's own. Exits 1 when one is larger.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision
from torch.overrides import TorchFunctionMode

import oracle  # noqa: F401  also teaches the exporter what it does not know
from network_goldens import bin_edges, sigmoid
from oracle import POOLS, randomise, smooth_images

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IMAGES = 2
# The input sizes that are not 224; MaxViT and ViT know no other, Swin v2's windows of 8 want 256.
SIZES = {"inception_v3": 299, "swin_v2_t": 256, "swin_v2_s": 256, "swin_v2_b": 256}
OPTIONS = {"googlenet": {"transform_input": False, "aux_logits": False, "init_weights": False}, "inception_v3": {"transform_input": False, "init_weights": False}}


class Recorder(TorchFunctionMode):
    """Keeps every tensor that a function returns, in order. What works in place returns its argument again: that is recorded once."""

    def __init__(self):
        super().__init__()
        self.tensors = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple) else [result]:
            if isinstance(tensor, torch.Tensor) and tensor.requires_grad and tensor.dim() >= 2 and not any(tensor is known for known in self.tensors[-4:]):
                self.tensors.append(tensor)
        return result


def record(network, images):
    """logits, and everything computed on the way to them."""
    with Recorder() as recorder:
        logits = network(images)
    return logits, recorder.tensors


def states_at(logits, tensors, places, taps):
    """z and g of each tap, all from one sweep back; places: the taps' indices among the tensors."""
    loss = -torch.log_softmax(logits, 1).mean(1).sum()
    gradients = torch.autograd.grad(loss, [tensors[place] for place in places])
    return [(pooled(tensors[place], tap["pool"]), pooled(g, tap["pool"])) for place, g, tap in zip(places, gradients, taps)]


def relative(a, b):
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))


def pooled(tensor, pool):
    if pool == "cls" and tensor.dim() != 3 or pool == "nhwc" and tensor.dim() != 4 or tensor.shape[0] != IMAGES:
        return None
    return POOLS[pool](tensor).detach().flatten(1).numpy()


def find(tensors, pool, z):
    """Index of the tensor that pools to z."""
    best, found = np.inf, None
    for i, tensor in enumerate(tensors):
        mine = pooled(tensor, pool)
        if mine is not None and mine.shape == z.shape and relative(z, mine) < best:
            best, found = relative(z, mine), i
    return found


def share_of_other_bins(a, b):
    """Of sigmoid(alpha x) for 50 edges, alpha chosen so that half of the states lie beyond sigmoid(+-1)."""
    alpha = np.float32(1 / max(np.median(np.abs(b)), 1e-30))
    bins = [np.searchsorted(bin_edges(50), sigmoid(alpha * x), side="right") for x in (a, b)]
    return float((bins[0] != bins[1]).mean())


def run_ours(folder, args, size):
    command = ["node", "--experimental-wasm-relaxed-simd", str(ROOT / "tests/oracle/run_network.js"), str(folder / "model.onnx"), str(folder / "input.f32"), f"{IMAGES},3,{size},{size}",
               str(folder / "out.f32"), "--variant", args.variant, "--rounds", str(args.rounds)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    numbers, at = np.fromfile(folder / "out.f32", np.float32), 0

    def take(columns):
        nonlocal at
        at += IMAGES * columns
        return numbers[at - IMAGES * columns : at].reshape(IMAGES, columns)

    logits = take(report["classes"])
    return report, logits, [(take(tap["neurons"]), take(tap["neurons"])) for tap in report["taps"]]


def make(name, size):
    torch.manual_seed(3)
    images = (smooth_images(8, size).float() - 128) / 64
    network = getattr(torchvision.models, name)(**OPTIONS.get(name, {}))
    return randomise(network, images), images[:IMAGES]


def compare(logits, states, exact_logits, exact_states):
    error = {"logits": relative(logits, exact_logits), "z": 0.0, "g": 0.0, "bins": 0.0}
    for (z, g), (exact_z, exact_g) in zip(states, exact_states):
        error["z"] = max(error["z"], relative(z, exact_z))
        error["g"] = max(error["g"], relative(g, exact_g))
        error["bins"] = max(error["bins"], share_of_other_bins(z * g, exact_z * exact_g))
    return error


def check(name, args, folder):
    size = args.size or SIZES.get(name, 224)
    network, images = make(name, size)
    torch.onnx.export(network, images[:1], str(folder / "model.onnx"), opset_version=args.opset, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
    images.numpy().tofile(folder / "input.f32")
    report, logits, states = run_ours(folder, args, size)

    taps = report["taps"]
    exact_logits, tensors = record(network.double(), images.double())
    places = [find(tensors, tap["pool"], z) for tap, (z, _) in zip(taps, states)]
    if None in places:
        print(f"{name:20} tap {taps[places.index(None)]['name']} is no tensor of PyTorch's", flush=True)
        return False
    exact_states, exact_logits = states_at(exact_logits, tensors, places, taps), exact_logits.detach().numpy()
    error = compare(logits, states, exact_logits, exact_states)
    float_logits, tensors = record(network.float(), images)
    own = compare(float_logits.detach().numpy(), states_at(float_logits, tensors, places, taps), exact_logits, exact_states)

    limits = {"logits": 1e-4, "z": 1e-3, "g": 1e-3, "bins": 5e-3}
    good = all(error[key] <= max(limits[key], 5 * own[key]) for key in limits)
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    names = [tap["name"] + ("" if tap["pool"] == "sum" else "=" + tap["pool"]) for tap in taps]
    speed, memory = f"{report['forwardMs']:.0f} + {report['backwardMs']:.0f}", report["heapBytes"] / 2**20
    agreement = [f"{error[key]:.0e} ({own[key]:.0e})" for key in ("logits", "z", "g")]
    agreement.append(f"{100 * (1 - error['bins']):.2f} % ({100 * (1 - own['bins']):.2f} %)")
    if args.markdown:
        short = ", ".join("`" + tap.replace("_output_0", "") + "`" for tap in names)
        print(f"| {name} | {parameters:.1f} | {short} | {' | '.join(agreement)} | {speed} | {memory:.0f} |{'' if good else ' OVER |'}", flush=True)
    else:
        print(f"{name:20} {parameters:6.1f} M  logits {agreement[0]}  z {agreement[1]}  g {agreement[2]}  bins {agreement[3]}  {speed} ms  "
              f"{memory:.0f} MiB  {'ok' if good else 'OVER'}\n{'':20} {', '.join(names)}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--variant", default="simd")
    parser.add_argument("--size", type=int, help="of the input; the network's own by default")
    parser.add_argument("--opset", type=int, default=13)
    parser.add_argument("--rounds", type=int, default=1, help="runs of each image, of which the fastest is reported")
    parser.add_argument("--markdown", action="store_true", help="rows of the table in models/ZOO.md")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    good = True
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                good &= check(name, args, pathlib.Path(folder))
            except subprocess.CalledProcessError as failure:
                print(f"{name:20} failed with exit code {failure.returncode}", flush=True)
                good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
