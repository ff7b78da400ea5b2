"""Families of classifiers that torchvision has not, written as timm and the authors write them: what matters is what the exporter makes of it.
Convolutional ones here, those made of tokens in families_tokens.py, more of either in families_convolutional.py and families_attention.py."""

import torch
import torch.nn as nn
import torch.nn.functional as F

import families_attention
import families_convolutional
import families_recurrent
from families_tokens import ClipViT, DeiT, Mixer, PvtV2, XCiT

# ---- BiT: ResNetV2 with group norms and standardised weights -------------------------------------------


class StandardisedConv(nn.Conv2d):
    """Its weights are standardised whenever it runs, by a batch norm in training mode, as timm does it."""

    def forward(self, x):
        weight = F.batch_norm(self.weight.reshape(1, self.out_channels, -1), None, None, training=True, momentum=0.0, eps=1e-8).reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class PreActivated(nn.Module):
    """ResNetV2's bottleneck: what is normalised and activated goes both to the branch and to the shortcut's convolution."""

    def __init__(self, inputs, outputs, stride, norm, convolution):
        super().__init__()
        middle = outputs // 4
        self.norm1, self.norm2, self.norm3 = norm(inputs), norm(middle), norm(middle)
        self.conv1 = convolution(inputs, middle, 1, bias=False)
        self.conv2 = convolution(middle, middle, 3, stride, 1, bias=False)
        self.conv3 = convolution(middle, outputs, 1, bias=False)
        self.downsample = convolution(inputs, outputs, 1, stride, bias=False) if stride > 1 or inputs != outputs else None

    def forward(self, x):
        y = F.relu(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(y)
        y = self.conv2(F.relu(self.norm2(self.conv1(y))))
        return self.conv3(F.relu(self.norm3(y))) + shortcut


class ResNetV2(nn.Module):
    """depths blocks a stage; the first stage makes 4 * width channels. The stem's pool is padded by hand, the head is a convolution."""

    def __init__(self, depths, width, classes, norm, convolution):
        super().__init__()
        self.stem = nn.Sequential(convolution(3, width, 7, 2, 3, bias=False), nn.ConstantPad2d(1, 0.0), nn.MaxPool2d(3, 2))
        self.stages, inputs = nn.Sequential(), width
        for i, depth in enumerate(depths):
            outputs = 4 * width * 2**i
            self.stages.append(nn.Sequential(*(PreActivated(inputs if b == 0 else outputs, outputs, 2 if b == 0 and i > 0 else 1, norm, convolution) for b in range(depth))))
            inputs = outputs
        self.norm, self.pool, self.head = norm(inputs), nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, classes, 1)

    def forward(self, x):
        return self.head(self.pool(F.relu(self.norm(self.stages(self.stem(x)))))).flatten(1)


# ---- MobileNetV2 as tf2onnx writes Keras' -------------------------------------------------------------


def far_padded(x):
    """Keras pads only the far sides where a convolution of 3x3 halves an even image."""
    return F.pad(x, (0, 1, 0, 1))


class KerasBottleneck(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        middle = inputs * expansion
        self.expand = nn.Sequential(nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU6()) if expansion > 1 else nn.Identity()
        self.stride, self.sums = stride, stride == 1 and inputs == outputs
        self.depthwise = nn.Sequential(nn.Conv2d(middle, middle, 3, stride, 2 - stride, groups=middle, bias=False), nn.BatchNorm2d(middle), nn.ReLU6())
        self.project = nn.Sequential(nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.expand(x)
        y = self.project(self.depthwise(far_padded(y) if self.stride == 2 else y))
        return x + y if self.sums else y


class PixelMean(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).mean((1, 2))


class KerasMobileNetV2(nn.Module):
    """Images lie channels-last: turned in front of the first convolution, and back for the mean over pixels; pads are nodes of their own."""

    channels_last = True

    def __init__(self, settings, stem, last, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU6())
        self.blocks, inputs = nn.Sequential(), stem
        for expansion, outputs, repeats, stride in settings:
            for i in range(repeats):
                self.blocks.append(KerasBottleneck(inputs, outputs, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.head = nn.Sequential(nn.Conv2d(inputs, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU6())
        self.pool, self.dense = PixelMean(), nn.Linear(last, classes)

    def forward(self, x):
        return self.dense(self.pool(self.head(self.blocks(self.stem(far_padded(x.permute(0, 3, 1, 2)))))))


# ---- ConvNeXt V2: global response normalisation ---------------------------------------------------------


class GlobalResponse(nn.Module):
    """Each channel by its length over the image against the mean of all channels' lengths; channels last."""

    def __init__(self, width):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(1, 1, 1, width)), nn.Parameter(torch.rand(1, 1, 1, width))

    def forward(self, x):
        length = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        return self.gamma * (x * (length / (length.mean(-1, keepdim=True) + 1e-6))) + self.beta + x


class ChannelNorm(nn.Module):
    """A layer norm over the channels of [N,C,H,W], written out, as the authors do."""

    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(width) + 0.5), nn.Parameter(torch.rand(width))

    def forward(self, x):
        centred = x - x.mean(1, keepdim=True)
        return self.weight[:, None, None] * (centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6)) + self.bias[:, None, None]


class ConvNeXtV2Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(width, width, 7, 1, 3, groups=width), nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), GlobalResponse(4 * width), nn.Linear(4 * width, width))

    def forward(self, x):
        return x + self.mlp(self.norm(self.dwconv(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class ConvNeXtV2(nn.Module):
    def __init__(self, depths, widths, classes):
        super().__init__()
        self.stages = nn.Sequential()
        for i, (depth, width) in enumerate(zip(depths, widths)):
            reduce = [nn.Conv2d(3, width, 4, 4), ChannelNorm(width)] if i == 0 else [ChannelNorm(widths[i - 1]), nn.Conv2d(widths[i - 1], width, 2, 2)]
            self.stages.append(nn.Sequential(*reduce, *(ConvNeXtV2Block(width) for _ in range(depth))))
        self.norm, self.head = nn.LayerNorm(widths[-1], eps=1e-6), nn.Linear(widths[-1], classes)

    def forward(self, x):
        return self.head(self.norm(self.stages(x).mean((-2, -1))))


# ---- HRNet: branches of several resolutions side by side ------------------------------------------------


def conv(inputs, outputs, kernel=1, stride=1, active=True):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), *([nn.ReLU()] if active else []))


class BasicBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = conv(width, width, 3), conv(width, width, 3, active=False)

    def forward(self, x):
        return F.relu(x + self.conv2(self.conv1(x)))


class Fusion(nn.Module):
    """Every branch gets the sum of all: finer ones by strided convolutions, coarser ones enlarged to the nearest pixel."""

    def __init__(self, widths):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(BasicBlock(width), BasicBlock(width)) for width in widths)
        self.paths = nn.ModuleList(nn.ModuleList(self.path(widths, i, j) for j in range(len(widths))) for i in range(len(widths)))

    @staticmethod
    def path(widths, i, j):
        if j > i:
            return nn.Sequential(conv(widths[j], widths[i], active=False), nn.Upsample(scale_factor=2 ** (j - i), mode="nearest"))
        return nn.Sequential(*(conv(widths[j], widths[j] if k < i - 1 else widths[i], 3, 2, k < i - 1) for k in range(j, i)))

    def forward(self, branches):
        branches = [blocks(x) for blocks, x in zip(self.branches, branches)]
        return [F.relu(sum(path(x) for path, x in zip(paths, branches))) for paths in self.paths]


class HRNet(nn.Module):
    """width: of the finest branch; each coarser one, which the coarsest so far begets, is twice as wide. Pixels are put in a row for their mean."""

    def __init__(self, width, branches, classes):
        super().__init__()
        widths = [width * 2**i for i in range(branches)]
        self.stem = nn.Sequential(conv(3, 64, 3, 2), conv(64, 64, 3, 2), BasicBlock(64))
        self.begin = nn.ModuleList([conv(64, widths[0], 3), conv(64, widths[1], 3, 2)])
        self.fusions = nn.ModuleList(Fusion(widths[:count]) for count in range(2, branches + 1))
        self.transitions = nn.ModuleList(conv(widths[i - 1], widths[i], 3, 2) for i in range(2, branches))
        self.heads = nn.ModuleList(conv(widths[i], 128 * 2**i) for i in range(branches))
        self.downs = nn.ModuleList(conv(128 * 2**i, 256 * 2**i, 3, 2) for i in range(branches - 1))
        self.final, self.classifier = conv(128 * 2 ** (branches - 1), 2048), nn.Linear(2048, classes)

    def forward(self, x):
        x = self.stem(x)
        branches = self.fusions[0]([begin(x) for begin in self.begin])
        for fusion, transition in zip(self.fusions[1:], self.transitions):
            branches = fusion([*branches, transition(branches[-1])])
        y = self.heads[0](branches[0])
        for head, down, branch in zip(self.heads[1:], self.downs, branches[1:]):
            y = head(branch) + down(y)
        return self.classifier(self.final(y).flatten(2).mean(2))


# ---- The named sizes ---------------------------------------------------------------------------------

MOBILENET_V2 = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
PVT_V2_B0 = [[32, 1, 8, 8, 2], [64, 2, 4, 8, 2], [160, 5, 2, 4, 2], [256, 8, 1, 4, 2]]
NETWORKS = {
    "resnetv2_50x1_bit": lambda: ResNetV2([3, 4, 6, 3], 64, 1000, lambda channels: nn.GroupNorm(32, channels), StandardisedConv),
    "resnetv2_50": lambda: ResNetV2([3, 4, 6, 3], 64, 1000, nn.BatchNorm2d, nn.Conv2d),
    "keras_mobilenet_v2": lambda: KerasMobileNetV2(MOBILENET_V2, 32, 1280, 1000),
    "convnextv2_atto": lambda: ConvNeXtV2([2, 2, 6, 2], [40, 80, 160, 320], 1000),
    "hrnet_w18_small": lambda: HRNet(18, 4, 1000),
    "clip_vit_tiny_16": lambda: ClipViT(224, 16, 192, 12, 3, 1000),
    "mixer_tiny_16": lambda: Mixer(224, 16, 256, 8, 1000),
    "xcit_nano_12_16": lambda: XCiT(4, 128, 12, 4, 1000),
    "pvt_v2_b0": lambda: PvtV2(PVT_V2_B0, 1000),
    "deit_tiny_distilled_16": lambda: DeiT(224, 16, 192, 12, 3, 1000),
    "vit_tiny_16": lambda: DeiT(224, 16, 192, 12, 3, 1000, distilled=False),
    **families_convolutional.NETWORKS,
    **families_attention.NETWORKS,
    **families_recurrent.NETWORKS,
}


def fed(network, images):
    """Images [N,3,H,W] as the network takes them."""
    return images.permute(0, 2, 3, 1).contiguous() if getattr(network, "channels_last", False) else images
