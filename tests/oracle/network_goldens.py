"""Whole networks against PyTorch autograd: writes tests/golden/networks/.

    /usr/bin/python3 tests/oracle/network_goldens.py [NAME...]

Needs PyTorch, torchvision, onnx and numpy (Debian: python3-torch python3-torchvision python3-onnx).

Small networks with random weights and calibrated batch norms, exported by torch.onnx.export, and for each the logits and the
pooled activation z and gradient g of every tap on the same 24 images. PyTorch computes in float64, so a difference from the goldens is
ours alone. `scores` are NAC-UE of the last 8 images under a profile of the first 16, by numpy.

Files: input.safetensors (U8 pixels, x = (pixel - 128) / 64), NAME.onnx, NAME.safetensors.
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn as nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.densenet import DenseNet
from torchvision.models.maxvit import MaxVit
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2
from torchvision.models.vision_transformer import VisionTransformer

from families import KerasMobileNetV2, ResNetV2, StandardisedConv, fed
from families_recurrent import ColumnGRU
from families_tokens import ClipViT, DeiT, XCiT
from oracle import export, pooled_states, randomise, save_safetensors, smooth_images, split_tap

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "networks"
IMAGES, PROFILE_IMAGES, SIZE, CLASSES = 24, 16, 32, 10
BINS, FILL = 50, 4.0


# ---- Networks ------------------------------------------------------------------------------------


class Block(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = None
        if stride != 1 or inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.down is None else self.down(x)))


class ResNet(nn.Module):
    """With the ImageNet stem: 7x7 stride 2 and an overlapping, padded max pool."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.layer1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16, 1))
        self.layer3 = nn.Sequential(Block(16, 32, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, CLASSES)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class VGG(nn.Module):
    """Convolutions with biases, max pools, and a classifier that flattens more than one pixel."""

    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for width in (8, 12, 16):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            inputs = width
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(nn.Linear(16 * 4 * 4, 24), nn.ReLU(), nn.Dropout())
        self.fc = nn.Linear(24, CLASSES)

    def forward(self, x):
        return self.fc(self.hidden(torch.flatten(self.features(x), 1)))


def make_densenet():
    return DenseNet(growth_rate=6, block_config=(2, 3, 2), num_init_features=8, bn_size=2, num_classes=CLASSES)


def make_mobilenet():
    settings = [[1, 8, 1, 1], [4, 12, 2, 2], [4, 16, 1, 2]]
    return MobileNetV2(num_classes=CLASSES, width_mult=0.25, inverted_residual_setting=settings, round_nearest=4)


def make_vit():
    return VisionTransformer(image_size=SIZE, patch_size=8, num_layers=3, num_heads=2, hidden_dim=24, mlp_dim=48, num_classes=CLASSES)


def make_swin():
    """Windows of 4 in maps of 16 and 8, those of the second block shifted and masked."""
    return SwinTransformer([2, 2], 12, [2, 1], [2, 4], [4, 4], num_classes=CLASSES)


def make_swin_v2():
    """Windows of 3 do not divide 16: the maps are padded."""
    return SwinTransformer([2, 2], 8, [2, 1], [2, 4], [3, 3], num_classes=CLASSES, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2)


def make_convnext():
    return ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, 24, 1), CNBlockConfig(24, None, 1)], num_classes=CLASSES)


def make_maxvit():
    return MaxVit((SIZE, SIZE), 8, 4, [8, 16], [1, 1], 4, 0.0, num_classes=CLASSES)


def make_bit():
    """Groups of two channels or more: of a group of one, which the norm centres, the gradient would sum to 0 but for rounding."""
    return ResNetV2([1, 1, 1], 4, CLASSES, lambda channels: nn.GroupNorm(2, channels), StandardisedConv)


def make_deit():
    return DeiT(SIZE, 8, 24, 3, 2, CLASSES)


def make_clip():
    """Tokens in front of the batch; taps on them are pooled as any others."""
    return ClipViT(SIZE, 8, 24, 3, 2, CLASSES)


def make_xcit():
    """Lengths of rows, tokens turned into images and back, and class attention over one token more than the blocks have."""
    return XCiT(3, 24, 2, 2, CLASSES)


def make_keras():
    return KerasMobileNetV2([[1, 8, 1, 1], [4, 12, 2, 2], [4, 16, 1, 2]], 8, 32, CLASSES)


def make_crnn():
    return ColumnGRU([6, 8, 12], 10, CLASSES)


# name -> (how to make it, the modules whose outputs are tapped, the opset; from 17 on the exporter writes LayerNormalization).
NETWORKS = {
    "resnet": (ResNet, ["avgpool", "layer3", "layer2", "layer1"], 13),
    "vgg": (VGG, ["hidden", "features.8", "features.5", "features.2"], 13),
    "densenet": (make_densenet, ["features.norm5", "features.denseblock2", "features.transition1"], 13),
    "mobilenetv2": (make_mobilenet, ["features.5.0", "features.4", "features.2.conv.1", "features.1"], 13),
    "vit": (make_vit, ["encoder.ln=cls", *(f"encoder.layers.encoder_layer_{i}.ln_2" for i in (2, 1, 0))], 13),
    "swin": (make_swin, ["avgpool", "features.1=nhwc"], 17),
    "swinv2": (make_swin_v2, ["avgpool", "features.1=nhwc"], 13),
    "convnext": (make_convnext, ["classifier.0", "features.3", "features.1"], 13),
    "maxvit": (make_maxvit, ["classifier.2", "blocks.0", "stem.1"], 17),
    "bit": (make_bit, ["pool", "stages.1", "stages.0", "stem.0"], 13),
    "deit": (make_deit, ["norm=cls", *(f"blocks.{i}.norm2" for i in (2, 1, 0))], 13),
    "clip": (make_clip, ["ln_post", *(f"blocks.{i}.ln_2" for i in (2, 1, 0))], 13),
    "xcit": (make_xcit, ["norm=cls", "class_blocks.1.norm2", "class_blocks.0.norm2", "blocks.1.norm2"], 13),
    "crnn": (make_crnn, ["features.11", "features.7", "features.3"], 13),
    "keras": (make_keras, ["pool", "blocks.2", "blocks.0"], 13),
}


# ---- Goldens -------------------------------------------------------------------------------------


def sigmoid(x):
    """In float32, as the authors' states are: overflows to 0 and saturates at 1."""
    with np.errstate(over="ignore"):
        return np.float32(1) / (np.float32(1) + np.exp(-x.astype(np.float32)))


def bin_edges(m):
    half = m // 2
    a = np.log(np.linspace(1, math.sqrt(1000), half)) / math.log(1000)
    edges = np.concatenate([a[:-1], (1 - a)[::-1]])
    edges[-1] += 0.01
    return np.append(edges, 1.2)


def nac_scores(states, alphas):
    """NAC-UE of the images behind the profile's: mean over layers of mean over neurons of Phi."""
    edges, layers = bin_edges(BINS), []
    for (z, g), alpha in zip(states.values(), alphas):
        x = np.float32(alpha) * (z.numpy().astype(np.float32) * g.numpy().astype(np.float32))
        s = sigmoid(x).astype(np.float64)
        index = np.searchsorted(edges, s, side="right") - 1
        counts = np.zeros((BINS - 1, s.shape[1]))
        for row in index[:PROFILE_IMAGES]:
            counts[row, np.arange(s.shape[1])] += 1
        phi = np.minimum(counts / FILL, 1)
        layers.append(np.stack([phi[row, np.arange(s.shape[1])].mean() for row in index[PROFILE_IMAGES:]]))
    return np.mean(layers, axis=0).astype(np.float32)


def main():
    torch.manual_seed(7)
    OUT.mkdir(parents=True, exist_ok=True)
    pixels = smooth_images(IMAGES, SIZE)
    save_safetensors(OUT / "input.safetensors", {"pixels": pixels.numpy()})
    images = (pixels.float() - 128) / 64
    for name in sys.argv[1:] or NETWORKS:
        make, taps, opset = NETWORKS[name]
        torch.manual_seed(11)
        network = make()
        inputs = fed(network, images)
        export(randomise(network, inputs), taps, inputs, OUT / f"{name}.onnx", opset)
        logits, states = pooled_states(network.double(), taps, inputs.double())
        # Half of the states beyond sigmoid(+-1): every kind of bin is met.
        alphas = [float(np.float32(1 / max(np.median(np.abs((z * g).numpy())), 1e-12))) for z, g in states.values()]
        tensors = {"logits": logits.numpy().astype(np.float32), "scores": nac_scores(states, alphas)}
        for tap, (z, g) in states.items():
            tensors[f"{tap}.z"] = z.numpy().astype(np.float32)
            tensors[f"{tap}.g"] = g.numpy().astype(np.float32)
        names, pools = zip(*map(split_tap, taps))
        metadata = {"taps": json.dumps(names), "pools": json.dumps(pools), "alphas": json.dumps(alphas), "bins": str(BINS), "fill": str(FILL), "profileImages": str(PROFILE_IMAGES)}
        save_safetensors(OUT / f"{name}.safetensors", tensors, metadata)
        print(name, (OUT / f"{name}.onnx").stat().st_size, {t: tuple(z.shape) for t, (z, _) in states.items()}, tensors["scores"].round(3))


if __name__ == "__main__":
    main()
