"""Networks to measure with: torchvision's, random weights with calibrated batch norms, as ONNX; NAME.backward.onnx has the
backward pass written out.

    /usr/bin/python3 bench/models.py .cache/bench/models resnet18 resnet50 mobilenet_v2

Speed depends on weights only by how much of what ReLUs put out is zero. Here, with calibrated batch norms, it is a half inside of blocks and a
quarter to a half behind their sums; trained networks have about as many, some fewer.
Needs PyTorch, torchvision and onnx (Debian: python3-torch python3-torchvision python3-onnx).
"""

import pathlib
import sys

import onnx
import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "oracle"))
from backward import write_backward  # noqa: E402
from oracle import export, randomise, smooth_images  # noqa: E402

RESNET = ["avgpool", "layer3", "layer2", "layer1"]
TAPS = {"resnet18": RESNET, "resnet50": RESNET, "mobilenet_v2": ["features.18", "features.13", "features.6", "features.3"]}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        torch.manual_seed(5)
        images = (smooth_images(8, 224).float() - 128) / 64
        network = randomise(getattr(torchvision.models, name)(), images)
        partial = folder / f"{name}.part"
        export(network, TAPS[name], images, partial)
        onnx.save(write_backward(onnx.load(str(partial)), TAPS[name]), str(folder / f"{name}.backward.onnx"))
        partial.rename(folder / f"{name}.onnx")
        print(name, (folder / f"{name}.onnx").stat().st_size, file=sys.stderr)


if __name__ == "__main__":
    main()
