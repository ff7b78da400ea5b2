"""torchvision's classifiers through `nac states` against PyTorch autograd.

    /usr/bin/python3 tests/oracle/torchvision_parity.py [--variant simd|relaxed] [--size 224] resnet18 mobilenet_v2 ...

For each: random weights with calibrated batch norms, exported by torch.onnx.export, run by the command line tool on two images, and
compared with PyTorch in float64. Prints the largest difference over the largest value, for logits, z and g, and
the share of states in the same of 50 bins; and, in parentheses, how far PyTorch's own float32 is from its float64. That is not
nothing: where a preactivation lies within a rounding error of 0, float32 and float64 disagree about ReLU's mask, and the gradient
jumps by a whole path. Exits 1 when logits or z are off by more than 1e-4, or g by more than 1e-4 and more than five times PyTorch's own error,
or bins by more than 0.1 % and more than five times PyTorch's own share (the flips are few, so their number varies much).
"""

import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision

from oracle import export, pooled_states, randomise, smooth_images

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

RESNET = ["avgpool", "layer3", "layer2", "layer1"]
TAPS = {
    "resnet": RESNET, "resnext": RESNET, "wide_resnet": RESNET,
    "mobilenet_v2": ["features.18", "features.13", "features.6", "features.3"],
    "mobilenet_v3": ["avgpool", "features.6", "features.3"],
    "vgg": ["classifier.4", "features.16", "features.9"], "alexnet": ["classifier.5", "features.5"],
    "densenet": ["features.norm5", "features.denseblock3", "features.transition2", "features.transition1"],
    "squeezenet": ["features.12", "features.7"], "googlenet": ["avgpool", "inception4e", "inception3b"],
    "shufflenet": ["conv5", "stage3", "stage2"], "mnasnet": ["layers.16", "layers.10"], "regnet": ["avgpool", "trunk_output.block3", "trunk_output.block2"],
    "efficientnet": ["avgpool", "features.5", "features.3"],
}


def load_safetensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    data = raw[8 + length :]
    return {k: np.frombuffer(data[v["data_offsets"][0] : v["data_offsets"][1]], np.float32).reshape(v["shape"]) for k, v in header.items()}


def same_bins(a, b):
    """Share of equal bins of sigmoid(alpha x) for 50 edges, alpha chosen so that half of the states lie beyond sigmoid(+-1)."""
    from network_goldens import bin_edges, sigmoid

    alpha = np.float32(1 / max(np.median(np.abs(b)), 1e-30))
    bins = [np.searchsorted(bin_edges(50), sigmoid(alpha * x), side="right") for x in (a, b)]
    return (bins[0] == bins[1]).mean()


def differences(actual, expected):
    """Largest difference over the largest value, and the share of states that fall in another bin."""
    relative = lambda a, b: float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))
    taps = expected[1]
    return {
        "logits": relative(actual[0], expected[0]),
        "z": max(relative(actual[1][tap][0], taps[tap][0]) for tap in taps),
        "g": max(relative(actual[1][tap][1], taps[tap][1]) for tap in taps),
        "bins": max(1 - same_bins(np.prod(actual[1][tap], axis=0), np.prod(taps[tap], axis=0)) for tap in taps),
    }


def check(name, args, folder):
    torch.manual_seed(3)
    family = max((k for k in TAPS if name.startswith(k)), key=len)
    options = {"transform_input": False, "aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    pixels = smooth_images(8, args.size)
    images = (pixels.float() - 128) / 64
    network = randomise(getattr(torchvision.models, name)(**options), images)
    export(network, TAPS[family], images, folder / "model.onnx", args.opset)
    images = images[:2]
    logits32, states32 = pooled_states(network, TAPS[family], images)
    logits, states = pooled_states(network.double(), TAPS[family], images.double())
    images.numpy().tofile(folder / "input.f32")
    command = ["node", str(ROOT / "wasm/cli/nac.js"), "states", "--model", str(folder / "model.onnx"), "--tensor", str(folder / "input.f32"), "--variant", args.variant,
               "--shape", f"2,3,{args.size},{args.size}", "--layers", ",".join(TAPS[family]), "--out", str(folder / "out.safetensors")]
    subprocess.run(command, check=True, stdout=sys.stderr)
    ours = load_safetensors(folder / "out.safetensors")

    ours = (ours["logits"], {tap: (ours[f"{tap}.z"], ours[f"{tap}.g"]) for tap in states})
    theirs = (logits32.numpy(), {tap: (z.numpy(), g.numpy()) for tap, (z, g) in states32.items()})
    exact = (logits.numpy(), {tap: (z.numpy(), g.numpy()) for tap, (z, g) in states.items()})
    error, own = differences(ours, exact), differences(theirs, exact)
    good = error["logits"] <= 1e-4 and error["z"] <= 1e-4 and error["g"] <= max(1e-4, 5 * own["g"]) and error["bins"] <= max(1e-3, 5 * own["bins"])
    columns = "  ".join(f"{key} {error[key]:.1e} ({own[key]:.1e})" for key in error)
    print(f"{name:20} {columns}  {'ok' if good else 'OVER'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--variant", default="simd")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--opset", type=int, default=13)
    args = parser.parse_args()
    good = True
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                good &= check(name, args, pathlib.Path(folder))
            except subprocess.CalledProcessError as failure:
                print(f"{name:20} nac states failed with exit code {failure.returncode}")
                good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
