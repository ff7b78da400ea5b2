"""Small networks of the families that differ in where a stage ends: writes tests/golden/taps/NAME.onnx for tests/unit/test_taps.c.

    /usr/bin/python3 tests/oracle/tap_goldens.py [NAME...]

Needs PyTorch and torchvision (Debian: python3-torch python3-torchvision).

torchvision's own classes where it has the family, written out here or in families.py and families_tokens.py where it has not. Only their structure is looked at, so the weights are
whatever makes the batch norms unlike a plain constant. Most are exported as torch.onnx.export does by itself, batch norms folded; those
called *_unfused keep them.
"""

import pathlib
import sys
from functools import partial

import torch
import torch.nn as nn
from torchvision.models.efficientnet import EfficientNet, FusedMBConvConfig, MBConvConfig
from torchvision.models.mnasnet import MNASNet
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

from families import ResNetV2
from families_attention import RootMeanSquare
from families_tokens import Block, DeiT, Mixer

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "taps"
SIZE, CLASSES = 64, 4


# ---- torchvision's -------------------------------------------------------------------------------


def make_mobilenet_v2():
    """The stage of 8x8 ends with a block that has no residual sum, as 4x4 does."""
    return MobileNetV2(CLASSES, 0.25, [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2], [6, 40, 2, 2]], 4)


def make_mobilenet_v3():
    """Squeeze and excitation, hard swish, and a stage (16x16) of one block without a sum."""
    config = partial(InvertedResidualConfig, width_mult=1)
    blocks = [config(8, 3, 8, 8, True, "RE", 2, 1), config(8, 3, 32, 12, False, "RE", 2, 1), config(12, 3, 40, 12, False, "RE", 1, 1), config(12, 5, 48, 16, True, "HS", 2, 1)]
    return MobileNetV3(blocks, 32, CLASSES)


def make_mnasnet():
    """With a narrow head; its own of 1280 channels would be most of the file."""
    network = MNASNet(0.1, CLASSES)
    network.layers[14] = nn.Conv2d(network.layers[14].in_channels, 32, 1, bias=False)
    network.layers[15], network.classifier = nn.BatchNorm2d(32), nn.Linear(32, CLASSES)
    return network


def make_efficientnet():
    blocks = [MBConvConfig(1, 3, 1, 8, 8, 1, 1, 1), MBConvConfig(6, 3, 2, 8, 16, 2, 1, 1), MBConvConfig(6, 5, 2, 16, 24, 1, 1, 1), MBConvConfig(6, 3, 2, 24, 32, 1, 1, 1)]
    return EfficientNet(blocks, 0.1, num_classes=CLASSES)


def make_efficientnet_v2():
    blocks = [FusedMBConvConfig(1, 3, 1, 8, 8, 1), FusedMBConvConfig(4, 3, 2, 8, 16, 2), MBConvConfig(4, 3, 2, 16, 24, 2), MBConvConfig(4, 3, 2, 24, 32, 1)]
    return EfficientNet(blocks, 0.1, num_classes=CLASSES, norm_layer=partial(nn.BatchNorm2d, eps=1e-3), last_channel=32)


# ---- Written out ---------------------------------------------------------------------------------


def conv(inputs, outputs, kernel=1, stride=1, depthwise=False, active=True):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=inputs if depthwise else 1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if active else []))


class Pooled(nn.Module):
    def __init__(self, features, channels):
        super().__init__()
        self.features, self.fc = features, nn.Linear(channels, CLASSES)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def make_squeezenet():
    """The classifier is a convolution whose maps of logits are pooled: as large as what it reads, which is what is worth a tap."""
    return nn.Sequential(conv(3, 8, 3, 2), nn.MaxPool2d(2), conv(8, 16, 3), conv(16, 24, 3, 2), conv(24, CLASSES), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def make_mobilenet_v1():
    """Depthwise separable blocks: the pointwise convolution in front of a depthwise one closes its block, even where it doubles the width."""
    separable = lambda inputs, outputs, stride: nn.Sequential(conv(inputs, inputs, 3, stride, True), conv(inputs, outputs))
    return Pooled(nn.Sequential(conv(3, 8, 3, 2), separable(8, 16, 1), separable(16, 32, 2), separable(32, 32, 1), separable(32, 48, 2)), 48)


class Universal(nn.Module):
    """MobileNetV4's inverted bottleneck, which begins with a depthwise convolution that nothing activates."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.start = conv(inputs, inputs, 3, 1, True, False)
        self.expand = conv(inputs, 4 * inputs)
        self.middle = conv(4 * inputs, 4 * inputs, 3, stride, True)
        self.project = conv(4 * inputs, outputs, active=False)
        self.sums = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.project(self.middle(self.expand(self.start(x))))
        return x + y if self.sums else y


def make_mobilenet_v4():
    return Pooled(nn.Sequential(conv(3, 8, 3, 2), Universal(8, 12, 2), Universal(12, 12, 1), Universal(12, 16, 2), Universal(16, 16, 1)), 16)


class Parts(nn.Module):
    """MobileViT's: a transformer on the pixels at the same place in blocks of 2x2; its tokens are of a part of an image, not of an image."""

    def __init__(self, channels):
        super().__init__()
        self.transformer = nn.Sequential(Block(channels, 2), Block(channels, 2))
        self.fuse = conv(2 * channels, channels, 3)

    def forward(self, x):
        N, C, H, W = x.shape
        y = x.reshape(N * C * H // 2, 2, W // 2, 2).transpose(1, 2).reshape(N, C, H * W // 4, 4).transpose(1, 3).reshape(N * 4, H * W // 4, C)
        y = self.transformer(y).reshape(N, 4, H * W // 4, C).transpose(1, 3).reshape(N * C * H // 2, W // 2, 2, 2).transpose(1, 2).reshape(N, C, H, W)
        return self.fuse(torch.cat([x, y], 1))


def make_mobilevit():
    return Pooled(nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), Parts(16), conv(16, 24, 3, 2), Parts(24), conv(24, 32, 3, 2)), 32)


class MixedDepthwise(nn.Module):
    """MixNet's: half of the channels by windows of 3x3, the others by 5x5."""

    def __init__(self, channels, stride):
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(channels // 2, channels // 2, kernel, stride, kernel // 2, groups=channels // 2) for kernel in (3, 5))

    def forward(self, x):
        return torch.cat([part(y) for part, y in zip(self.parts, x.chunk(2, 1))], 1)


def make_mixnet():
    bottleneck = lambda inputs, outputs, stride: nn.Sequential(conv(inputs, 4 * inputs), MixedDepthwise(4 * inputs, stride), nn.ReLU(), conv(4 * inputs, outputs, active=False))
    return Pooled(nn.Sequential(conv(3, 8, 3, 2), bottleneck(8, 12, 2), bottleneck(12, 12, 1), bottleneck(12, 16, 2), bottleneck(16, 16, 1)), 16)


class Sum(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def make_convmixer():
    """One resolution, and norms that are no layer norms."""
    block = lambda: nn.Sequential(Sum(nn.Conv2d(12, 12, 5, 1, 2, groups=12), nn.GELU(), nn.BatchNorm2d(12)), nn.Conv2d(12, 12, 1), nn.GELU(), nn.BatchNorm2d(12))
    return Pooled(nn.Sequential(nn.Conv2d(3, 12, 8, 8), nn.GELU(), nn.BatchNorm2d(12), block(), block(), block(), block()), 12)


def make_mixer():
    """Tokens are mixed behind the first norm of a block, channels behind the second; the pool reads the last norm's result."""
    return Mixer(SIZE, 8, 12, 4, CLASSES)


class Blurred(nn.Module):
    """The image is normalised inside, every stage ends with a mirrored frame for a blur, and pixels are put in a row for their mean."""

    def __init__(self):
        super().__init__()
        stage = lambda inputs, outputs, stride: nn.Sequential(conv(inputs, outputs, 3, stride), nn.ReflectionPad2d(1), nn.Conv2d(outputs, outputs, 3, 2, groups=outputs, bias=False))
        self.stages, self.fc = nn.Sequential(stage(3, 8, 2), stage(8, 12, 1), stage(12, 16, 1)), nn.Linear(16, CLASSES)
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))

    def forward(self, x):
        return self.fc(self.stages((x - self.mean) / 0.25).flatten(2).mean(2))


class Pyramid(nn.Module):
    """Tokens whose pixels are halved by leaving out every second one (LeViT), normalised as a batch, and pooled behind their channels (Swin of Hugging Face)."""

    def __init__(self):
        super().__init__()
        self.stem, self.first, self.second, self.fc = nn.Conv2d(3, 12, 8, 8), self.block(), self.block(), nn.Linear(12, CLASSES)

    @staticmethod
    def block():
        return nn.ModuleList([nn.Linear(12, 12), nn.BatchNorm1d(12)])

    def run(self, block, x):
        linear, norm = block
        return x + norm(linear(x).flatten(0, 1)).reshape_as(x)

    def forward(self, x):
        x = self.run(self.first, self.stem(x).flatten(2).transpose(1, 2))
        x = self.run(self.second, x.view(x.shape[0], 8, 8, 12)[:, ::2, ::2].reshape(x.shape[0], 16, 12))
        return self.fc(nn.functional.adaptive_avg_pool1d(x.transpose(1, 2), 1).flatten(1))


class HalvingAttention(nn.Module):
    """LeViT's: the queries are of every second pixel, and nothing is added: what its heads make is all that there is for a moment."""

    def __init__(self, channels, heads):
        super().__init__()
        self.heads, self.keys, self.values, self.queries, self.project = heads, *(nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x):
        N, T, C = x.shape
        side = int(T**0.5)
        split = lambda y: y.reshape(N, -1, self.heads, C // self.heads).transpose(1, 2)
        queries = split(self.queries(x.view(N, side, side, C)[:, ::2, ::2].reshape(N, -1, C)))
        y = (queries @ split(self.keys(x)).transpose(2, 3)).softmax(3) @ split(self.values(x))
        return self.project(nn.functional.hardswish(y.transpose(1, 2).reshape(N, -1, C)))


class Halved(nn.Module):
    def __init__(self):
        super().__init__()
        mlp = lambda: Sum(nn.Linear(12, 24), nn.Hardswish(), nn.Linear(24, 12))
        self.stem, self.stages, self.fc = nn.Conv2d(3, 12, 8, 8), nn.Sequential(mlp(), mlp(), HalvingAttention(12, 3), mlp(), mlp()), nn.Linear(12, CLASSES)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x).flatten(2).transpose(1, 2)).mean(1))


class NormalizerFree(nn.Module):
    """NFNet's: activated before it branches, without a norm; where it halves, the shortcut reads the activation, too."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        y = nn.functional.gelu(x) * 1.7
        return (x if self.shortcut is None else self.shortcut(y)) + 0.2 * self.conv2(nn.functional.gelu(self.conv1(y)))


def make_nfnet():
    return Pooled(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), NormalizerFree(8, 12, 2), NormalizerFree(12, 12, 1), NormalizerFree(12, 16, 2), NormalizerFree(16, 16, 1)), 16)


class Ensemble(nn.Module):
    """Two networks, whose probabilities are averaged: one by its pool, one by its class token."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Pooled(nn.Sequential(conv(3, 8, 3, 2), conv(8, 12, 3, 2)), 12), DeiT(SIZE, 16, 12, 2, 2, CLASSES, distilled=False)

    def forward(self, x):
        return torch.stack([self.first(x).softmax(1), self.second(x).softmax(1)]).mean(0)


class ShiftedNorm(nn.Module):
    """Layer normalisation as TensorFlow computes it, by the function that it has for batches."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(channels) + 0.5), nn.Parameter(torch.randn(channels))

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        centred = x - mean
        k = (1 / ((centred * centred).mean(-1, keepdim=True) + 1e-6).sqrt()) * self.weight
        return x * k + (self.bias - mean * k)


def make_vit(norm):
    """A vision transformer with other norms."""
    network = DeiT(SIZE, 16, 12, 4, 2, CLASSES, distilled=False)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.LayerNorm):
                setattr(module, name, norm(12))
    return network


class Prototypes(nn.Module):
    """The logits are distances: the last product makes features."""

    def __init__(self):
        super().__init__()
        self.features, self.prototypes = nn.Sequential(conv(3, 8, 3, 2), conv(8, 12, 3, 2)), nn.Parameter(torch.randn(CLASSES, 12))

    def forward(self, x):
        return -(self.features(x).mean((2, 3)).unsqueeze(1) - self.prototypes).pow(2).sum(2)


# name -> (how to make it, whether batch norms are folded)
NETWORKS = {
    "mobilenet_v1": (make_mobilenet_v1, True),
    "mobilenet_v2": (make_mobilenet_v2, True),
    "mobilenet_v2_unfused": (make_mobilenet_v2, False),
    "mobilenet_v3": (make_mobilenet_v3, True),
    "mobilenet_v3_unfused": (make_mobilenet_v3, False),
    "mobilenet_v4": (make_mobilenet_v4, True),
    "mobilevit": (make_mobilevit, True),
    "mixnet": (make_mixnet, True),
    "mixer": (make_mixer, True),
    "convmixer": (make_convmixer, True),
    "blurred": (Blurred, True),
    "pyramid": (Pyramid, True),
    "halved": (Halved, True),
    "rms_vit": (lambda: make_vit(RootMeanSquare), True),
    "tensorflow_vit": (lambda: make_vit(ShiftedNorm), True),
    "prototypes": (Prototypes, True),
    "ensemble": (Ensemble, True),
    "mnasnet": (make_mnasnet, True),
    "squeezenet": (make_squeezenet, True),
    "efficientnet": (make_efficientnet, True),
    "efficientnet_v2": (make_efficientnet_v2, False),
    "nfnet": (make_nfnet, True),
    "resnet_v2": (lambda: ResNetV2([2, 1, 1], 4, CLASSES, nn.BatchNorm2d, nn.Conv2d), True),
}


def export(name):
    make, folded = NETWORKS[name]
    torch.manual_seed(5)
    network = make()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(network.eval(), torch.zeros(1, 3, SIZE, SIZE), str(OUT / f"{name}.onnx"), training=mode, do_constant_folding=folded,
                      input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, opset_version=13)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        export(name)
        print(name, (OUT / f"{name}.onnx").stat().st_size)


if __name__ == "__main__":
    main()
