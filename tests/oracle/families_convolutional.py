"""More families of convolutional classifiers that torchvision has not; a few blocks of each stage, of the authors' widths. See families.py."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def conv(inputs, outputs, kernel=1, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([act()] if act else []))


class Sum(nn.Module):
    """x + scale * f(x), with a scale for every channel where one is given."""

    def __init__(self, function, channels=None, scale=0.7):
        super().__init__()
        self.function, self.scale = function, nn.Parameter(torch.full((channels, 1, 1), scale)) if channels else None

    def forward(self, x):
        y = self.function(x)
        return x + (y if self.scale is None else y * self.scale)


class Pooled(nn.Module):
    """The mean of all pixels, and a dense layer."""

    def __init__(self, channels, classes):
        super().__init__()
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        return self.fc(x.mean((2, 3)))


class ImageNorm(nn.LayerNorm):
    """Layer normalisation of an image's channels."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def pointwise_mlp(channels, ratio=4):
    return nn.Sequential(nn.Conv2d(channels, ratio * channels, 1), nn.GELU(), nn.Conv2d(ratio * channels, channels, 1))


# ---- PoolFormer: what a mean of the neighbours adds ------------------------------------------------------


class Neighbours(nn.Module):
    def forward(self, x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x


def poolformer(widths, depths, classes):
    layers, inputs = [], 3
    for i, (width, depth) in enumerate(zip(widths, depths)):
        layers.append(nn.Conv2d(inputs, width, 7 if i == 0 else 3, 4 if i == 0 else 2, 2 if i == 0 else 1))
        for _ in range(depth):
            layers.append(Sum(nn.Sequential(nn.GroupNorm(1, width), Neighbours()), width))
            layers.append(Sum(nn.Sequential(nn.GroupNorm(1, width), pointwise_mlp(width)), width))
        inputs = width
    return nn.Sequential(*layers, nn.GroupNorm(1, inputs), Pooled(inputs, classes))


# ---- VAN: attention by large kernels, written as a depthwise, a dilated and a pointwise convolution ---------


class LargeKernel(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.last = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.gate = nn.Sequential(nn.Conv2d(channels, channels, 5, padding=2, groups=channels), nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels),
                                  nn.Conv2d(channels, channels, 1))

    def forward(self, x):
        y = F.gelu(self.first(x))
        return x + self.last(y * self.gate(y))


def van(widths, depths, classes):
    layers, inputs = [], 3
    for i, (width, depth) in enumerate(zip(widths, depths)):
        layers += [nn.Conv2d(inputs, width, 7 if i == 0 else 3, 4 if i == 0 else 2, 3 if i == 0 else 1), nn.BatchNorm2d(width)]
        for _ in range(depth):
            layers.append(Sum(nn.Sequential(nn.BatchNorm2d(width), LargeKernel(width)), width))
            layers.append(Sum(nn.Sequential(nn.BatchNorm2d(width), pointwise_mlp(width)), width))
        layers.append(ImageNorm(width))
        inputs = width
    return nn.Sequential(*layers, Pooled(inputs, classes))


# ---- FocalNet: contexts of growing windows, gated and summed -----------------------------------------------


class Focus(nn.Module):
    def __init__(self, channels, levels=3):
        super().__init__()
        self.channels, self.levels = channels, levels
        self.project, self.mix, self.out = nn.Conv2d(channels, 2 * channels + levels + 1, 1), nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.windows = nn.ModuleList(nn.Conv2d(channels, channels, 2 * i + 3, padding=i + 1, groups=channels, bias=False) for i in range(levels))

    def forward(self, x):
        query, context, gates = torch.split(self.project(x), [self.channels, self.channels, self.levels + 1], 1)
        total = 0
        for i, window in enumerate(self.windows):
            context = F.gelu(window(context))
            total = total + context * gates[:, i : i + 1]
        total = total + F.gelu(context.mean((2, 3), keepdim=True)) * gates[:, self.levels :]
        return self.out(query * self.mix(total))


def focalnet(widths, depths, classes):
    layers, inputs = [], 3
    for i, (width, depth) in enumerate(zip(widths, depths)):
        layers += [nn.Conv2d(inputs, width, 4 if i == 0 else 2, 4 if i == 0 else 2), ImageNorm(width)]
        for _ in range(depth):
            layers += [Sum(nn.Sequential(ImageNorm(width), Focus(width))), Sum(nn.Sequential(ImageNorm(width), pointwise_mlp(width)))]
        inputs = width
    return nn.Sequential(*layers, ImageNorm(inputs), Pooled(inputs, classes))


# ---- GhostNet: half of the features are cheap functions of the other half -----------------------------------


class Ghost(nn.Module):
    def __init__(self, inputs, outputs, act=nn.ReLU):
        super().__init__()
        half = (outputs + 1) // 2
        self.outputs, self.primary, self.cheap = outputs, conv(inputs, half, act=act), conv(half, half, 3, groups=half, act=act)

    def forward(self, x):
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], 1)[:, : self.outputs]


class Excitation(nn.Module):
    def __init__(self, channels, gate=nn.Hardsigmoid):
        super().__init__()
        self.reduce, self.expand, self.gate = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1), gate()

    def forward(self, x):
        return x * self.gate(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class GhostBottleneck(nn.Module):
    def __init__(self, inputs, middle, outputs, stride, excited):
        super().__init__()
        layers = [Ghost(inputs, middle)]
        if stride > 1:
            layers.append(conv(middle, middle, 3, stride, middle, None))
        if excited:
            layers.append(Excitation(middle))
        self.branch = nn.Sequential(*layers, Ghost(middle, outputs, None))
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else nn.Sequential(conv(inputs, inputs, 3, stride, inputs, None), conv(inputs, outputs, act=None))

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


def ghostnet(settings, classes):
    """settings: inner and outer width, stride and excitation of each block."""
    layers, inputs = [conv(3, 16, 3, 2)], 16
    for middle, outputs, stride, excited in settings:
        layers.append(GhostBottleneck(inputs, middle, outputs, stride, excited))
        inputs = outputs
    return nn.Sequential(*layers, conv(inputs, 960), Pooled(960, classes))


# ---- Res2Net: a block's channels in parts, each convolved with what came out of the last ----------------------


class Scales(nn.Module):
    def __init__(self, channels, parts=4):
        super().__init__()
        self.convolutions = nn.ModuleList(conv(channels // parts, channels // parts, 3) for _ in range(parts - 1))

    def forward(self, x):
        parts = torch.chunk(x, len(self.convolutions) + 1, 1)
        outputs, last = [], None
        for convolution, part in zip(self.convolutions, parts):
            last = convolution(part if last is None else part + last)
            outputs.append(last)
        return torch.cat([*outputs, parts[-1]], 1)


class Bottleneck(nn.Module):
    """ResNet's, around something in the middle that keeps the size."""

    def __init__(self, inputs, outputs, stride, middle):
        super().__init__()
        width = outputs // 4
        self.branch = nn.Sequential(conv(inputs, width), *([conv(width, width, 3, stride)] if stride > 1 else []), middle(width), conv(width, outputs, act=None))
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else conv(inputs, outputs, 1, stride, act=None)

    def forward(self, x):
        return F.relu(self.branch(x) + self.shortcut(x))


def res2net(widths, depths, classes):
    layers, inputs = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    for i, (width, depth) in enumerate(zip(widths, depths)):
        for j in range(depth):
            layers.append(Bottleneck(inputs, width, 2 if i > 0 and j == 0 else 1, Scales))
            inputs = width
    return nn.Sequential(*layers, Pooled(inputs, classes))


# ---- TResNet: pixels put into channels, and blurs where it halves -------------------------------------------


class PixelsToChannels(nn.Module):
    def forward(self, x):
        N, C, H, W = x.shape
        return x.view(N, C, H // 4, 4, W // 4, 4).permute(0, 3, 5, 1, 2, 4).contiguous().view(N, 16 * C, H // 4, W // 4)


class Blur(nn.Module):
    def __init__(self, channels):
        super().__init__()
        row = torch.tensor([1.0, 2, 1]) / 4
        self.register_buffer("kernel", (row[:, None] * row).expand(channels, 1, 3, 3).clone())

    def forward(self, x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), self.kernel, stride=2, groups=x.shape[1])


class BlurredBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        act = lambda: nn.LeakyReLU(1e-3)
        blur, mean = ([Blur(outputs)], [nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)]) if stride > 1 else ([], [])
        self.branch = nn.Sequential(conv(inputs, outputs, 3, act=act), *blur, conv(outputs, outputs, 3, act=None), Excitation(outputs, nn.Sigmoid))
        self.shortcut = nn.Sequential(*mean, *([conv(inputs, outputs, act=None)] if inputs != outputs else []))

    def forward(self, x):
        return F.relu(self.branch(x) + self.shortcut(x))


def tresnet(widths, depths, classes):
    layers, inputs = [PixelsToChannels(), conv(48, widths[0], 3)], widths[0]
    for i, (width, depth) in enumerate(zip(widths, depths)):
        for j in range(depth):
            layers.append(BlurredBlock(inputs, width, 2 if i > 0 and j == 0 else 1))
            inputs = width
    return nn.Sequential(*layers, Pooled(inputs, classes))


# ---- A U: down by convolutions, up by transposed ones, classified at the upper end ---------------------------


class UNet(nn.Module):
    def __init__(self, widths, classes):
        super().__init__()
        self.down = nn.ModuleList(nn.Sequential(conv(i, o, 3, 2), conv(o, o, 3)) for i, o in zip([3, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 3, 2, 1, 1) for i, o in zip(widths[:0:-1], widths[-2::-1]))
        self.join = nn.ModuleList(conv(2 * width, width, 3) for width in widths[-2::-1])
        self.head = Pooled(widths[0], classes)

    def forward(self, x):
        maps = []
        for stage in self.down:
            x = stage(x)
            maps.append(x)
        for up, join, below in zip(self.up, self.join, maps[-2::-1]):
            x = join(torch.cat([F.relu(up(x)), below], 1))
        return self.head(x)


GHOSTNET = [[16, 16, 1, False], [48, 24, 2, False], [72, 24, 1, False], [72, 40, 2, True], [120, 40, 1, True], [240, 80, 2, False], [184, 80, 1, False], [480, 112, 1, True],
            [672, 160, 2, True], [960, 160, 1, True]]
NETWORKS = {
    "poolformer_tiny": lambda: poolformer([64, 128, 320, 512], [1, 1, 2, 1], 1000),
    "van_b0": lambda: van([32, 64, 160, 256], [1, 1, 3, 1], 1000),
    "focalnet_tiny": lambda: focalnet([96, 192, 384], [1, 1, 2], 1000),
    "ghostnet_1_0": lambda: ghostnet(GHOSTNET, 1000),
    "res2net": lambda: res2net([128, 256, 512, 1024], [1, 1, 2, 1], 1000),
    "tresnet": lambda: tresnet([64, 128, 256], [1, 2, 1], 1000),
    "unet": lambda: UNet([32, 64, 128, 256], 1000),
}
