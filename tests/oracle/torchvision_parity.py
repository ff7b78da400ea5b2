"""torchvision's classifiers and those of families.py, with the taps that auto chooses, against PyTorch autograd.

    /usr/bin/python3 tests/oracle/torchvision_parity.py [--variant simd|relaxed] [--backend xnnpack|reference] [--opset 13] [--size PIXELS|HxW] [--unfused] [--fixed-batch] [--markdown] resnet18 vit_b_16 ...

Each network has random weights that keep it well conditioned (see `make`), is exported by plain torch.onnx.export and run by
tests/oracle/run_network.js on two images. No names are matched: every tensor that PyTorch computes on the way is recorded, the one whose pooled
values are a tap's z is that tap, and autograd's gradient there is what g must be. The reference is float64.

Printed are the largest difference over the largest value of a tap, for logits, z and g, and the share of all states in the same of 50 bins;
and, in parentheses, how far PyTorch's own float32 is from its float64. That is not nothing: where a preactivation lies within a rounding error
of 0, float32 and float64 disagree about ReLU's mask, and the gradient jumps by a whole path. A difference is accepted up to 1e-4 for
logits, 1e-3 for z and g, 0.5 % of the bins. Exits 1 when one is larger; but of a larger g, on which one such unit in a million has a say,
kinks.py judges, which finds that unit or fails.
"""

import argparse
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torch.nn as nn
import torchvision
from torch.overrides import TorchFunctionMode

import families
from network_goldens import bin_edges, sigmoid
from oracle import POOLS, batch_first, randomise, smooth_images  # oracle also teaches the exporter what it does not know

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
    tensor = batch_first(tensor, IMAGES)
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


def other_bins(a, b):
    """Which states of sigmoid(alpha x) fall in another of 50 bins, alpha chosen so that half of them lie beyond sigmoid(+-1)."""
    alpha = np.float32(1 / max(np.median(np.abs(b)), 1e-30))
    bins = [np.searchsorted(bin_edges(50), sigmoid(alpha * x), side="right") for x in (a, b)]
    return (bins[0] != bins[1]).ravel()


def run_ours(folder, args, height, width):
    command = ["node", "--experimental-wasm-relaxed-simd", str(ROOT / "tests/oracle/run_network.js"), str(folder / "model.onnx"), str(folder / "input.f32"), f"{IMAGES},3,{height},{width}",
               str(folder / "out.f32"), "--variant", args.variant, "--backend", getattr(args, "backend", "xnnpack"), "--rounds", str(args.rounds), "--layers", getattr(args, "layers", "")]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    numbers, at = np.fromfile(folder / "out.f32", np.float32), 0

    def take(columns):
        nonlocal at
        at += IMAGES * columns
        return numbers[at - IMAGES * columns : at].reshape(IMAGES, columns)

    logits = take(report["classes"])
    return report, logits, [(take(tap["neurons"]), take(tap["neurons"])) for tap in report["taps"]]


def make(name, height, width):
    """Behind a batch norm around 0, every ReLU makes a difference 1.2 times as large against what is left (Yang et al., A Mean Field
    Theory of Batch Normalization, 2019): 50 layers of random weights make ten thousand of it, as no trained network does, and rounding errors reach
    ReLU's kinks. So biases of norms are positive here (a few units in a hundred are still cut off), and logits have a standard deviation of 2."""
    torch.manual_seed(3)
    images = (smooth_images(8, max(height, width))[:, :, :height, :width].float() - 128) / 64
    network = families.NETWORKS[name]() if name in families.NETWORKS else getattr(torchvision.models, name)(**OPTIONS.get(name, {}))
    images = families.fed(network, images)
    randomise(network, images, scale=(0.5, 1), bias=(1, 2))
    with torch.no_grad():
        logits = network(images)
        for module in network.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)) and module.weight.shape[0] == logits.shape[1]:
                module.weight.mul_(2 / logits.std())
    return network, images[:IMAGES]


def compare(logits, states, exact_logits, exact_states):
    pairs = [(z, g, exact_z, exact_g) for (z, g), (exact_z, exact_g) in zip(states, exact_states)]
    return {
        "logits": relative(logits, exact_logits),
        "z": max(relative(z, exact_z) for z, _, exact_z, _ in pairs),
        "g": max(relative(g, exact_g) for _, g, _, exact_g in pairs),
        "bins": float(np.concatenate([other_bins(z * g, exact_z * exact_g) for z, g, exact_z, exact_g in pairs]).mean()),
    }


def at_a_kink(name, args, folder):
    """Whether rectifiers within rounding of their kinks make the difference in g; False where kinks.py cannot tell."""
    import kinks  # which imports this

    if args.size or args.unfused or name in SIZES:
        print(f"{name}: g differs by more than 1e-3, and kinks.py knows only networks of 224 pixels as they are exported by default", file=sys.stderr)
        return False
    (folder / "kinks").mkdir()
    with contextlib.redirect_stdout(sys.stderr):
        return kinks.check(name, argparse.Namespace(**vars(args)), folder / "kinks")


def check(name, args, folder):
    height, width = args.size or [SIZES.get(name, 224)] * 2
    network, images = make(name, height, width)
    batch = {} if args.fixed_batch else {"input": {0: "N"}, "logits": {0: "N"}}
    mode = torch.onnx.TrainingMode.PRESERVE if args.unfused else torch.onnx.TrainingMode.EVAL
    exported = torch.jit.script(network) if getattr(network, "scripted", False) else network
    torch.onnx.export(exported, images[:1], str(folder / "model.onnx"), opset_version=args.opset, input_names=["input"], output_names=["logits"],
                      dynamic_axes=batch, training=mode, do_constant_folding=not args.unfused)
    (images.permute(0, 3, 1, 2) if images.shape[-1] == 3 else images).numpy().tofile(folder / "input.f32")
    report, logits, states = run_ours(folder, args, height, width)

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

    good = error["logits"] <= 1e-4 and error["z"] <= 1e-3 and error["bins"] <= 5e-3
    if error["g"] > 1e-3:
        good &= at_a_kink(name, args, folder)
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
    parser.add_argument("--backend", default="xnnpack", help="reference: plain loops, 10 to 40 times slower")
    parser.add_argument("--size", type=lambda text: [int(side) for side in text.split("x")] * (1 if "x" in text else 2), help="of the input, PIXELS or HxW; the network's own by default")
    parser.add_argument("--unfused", action="store_true", help="keep batch norms as nodes of their own")
    parser.add_argument("--fixed-batch", action="store_true", help="a batch of 1 instead of a free one")
    parser.add_argument("--opset", type=int, default=13)
    parser.add_argument("--rounds", type=int, default=1, help="runs of each image, of which the fastest is reported")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="where to leave NAME.onnx")
    parser.add_argument("--markdown", action="store_true", help="rows of the table in models/ZOO.md")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    good = True
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                good &= check(name, args, pathlib.Path(folder))
                if args.keep:
                    shutil.copy(f"{folder}/model.onnx", args.keep / f"{name}.onnx")
            except subprocess.CalledProcessError as failure:
                print(f"{name:20} failed with exit code {failure.returncode}", flush=True)
                good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
