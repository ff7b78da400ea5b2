"""Families of classifiers that torchvision has not, written as timm and the authors write them: what matters is what the exporter makes of it."""

import torch
import torch.nn as nn
import torch.nn.functional as F

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


# ---- DeiT: a vision transformer with a class token and a distillation token ------------------------------


class Attention(nn.Module):
    """q, k and v from one product, taken apart by unbind."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        N, T, C = x.shape
        q, k, v = self.qkv(x).reshape(N, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * (C // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(N, T, C))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = Attention(width, heads), nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class DeiT(nn.Module):
    """The two tokens have a head each, whose logits are averaged; without `distilled` it is a plain ViT."""

    def __init__(self, size, patch, width, depth, heads, classes, distilled=True):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1 + distilled, width))
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1 + distilled + (size // patch) ** 2, width))
        self.blocks, self.norm = nn.Sequential(*(Block(width, heads) for _ in range(depth))), nn.LayerNorm(width, eps=1e-6)
        self.heads = nn.ModuleList(nn.Linear(width, classes) for _ in range(1 + distilled))

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embedding
        x = self.norm(self.blocks(x))
        return sum(head(x[:, i]) for i, head in enumerate(self.heads)) / len(self.heads)


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


# ---- The named sizes ---------------------------------------------------------------------------------

MOBILENET_V2 = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
NETWORKS = {
    "resnetv2_50x1_bit": lambda: ResNetV2([3, 4, 6, 3], 64, 1000, lambda channels: nn.GroupNorm(32, channels), StandardisedConv),
    "resnetv2_50": lambda: ResNetV2([3, 4, 6, 3], 64, 1000, nn.BatchNorm2d, nn.Conv2d),
    "keras_mobilenet_v2": lambda: KerasMobileNetV2(MOBILENET_V2, 32, 1280, 1000),
    "deit_tiny_distilled_16": lambda: DeiT(224, 16, 192, 12, 3, 1000),
    "vit_tiny_16": lambda: DeiT(224, 16, 192, 12, 3, 1000, distilled=False),
}


def fed(network, images):
    """Images [N,3,H,W] as the network takes them."""
    return images.permute(0, 2, 3, 1).contiguous() if getattr(network, "channels_last", False) else images
