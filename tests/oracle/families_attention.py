"""More families of classifiers with attention that torchvision has not; a few blocks of each stage, of the authors' widths. See families.py."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from families_convolutional import Neighbours, Sum, conv
from families_tokens import Attention, Block


class ToTokens(nn.Module):
    def forward(self, x):
        return x.flatten(2).transpose(1, 2)


class PooledTokens(nn.Module):
    def __init__(self, width, classes, norm=nn.LayerNorm):
        super().__init__()
        self.norm, self.fc = norm(width), nn.Linear(width, classes)

    def forward(self, x):
        return self.fc(self.norm(x).mean(1))


def image_of(tokens):
    """[N, T, C] as a square image [N, C, H, W]."""
    N, T, C = tokens.shape
    side = math.isqrt(T)
    return tokens.transpose(1, 2).reshape(N, C, side, side)


def distances(side):
    """For each pair of pixels which of the distances (rows, columns) they have."""
    places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")).flatten(1)
    apart = (places[:, :, None] - places[:, None]).abs()
    return apart[0] * side + apart[1]


# ---- EfficientFormer: pools and convolutions first, attention with a bias for every distance last -------------


class BiasedAttention(nn.Module):
    def __init__(self, width, side, heads=8, keys=32, ratio=4):
        super().__init__()
        self.heads, self.parts = heads, [keys, keys, ratio * keys]
        self.qkv, self.proj = nn.Linear(width, heads * sum(self.parts)), nn.Linear(heads * ratio * keys, width)
        self.bias = nn.Parameter(torch.randn(heads, side * side) * 0.3)
        self.register_buffer("distances", distances(side))

    def forward(self, x):
        N, T, _ = x.shape
        q, k, v = self.qkv(x).reshape(N, T, self.heads, -1).permute(0, 2, 1, 3).split(self.parts, 3)
        weights = (q @ k.transpose(-2, -1) * self.parts[0] ** -0.5 + self.bias[:, self.distances]).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(N, T, -1))


class AttentionBlock(Block):
    """A pre-normalised block around an attention of another kind."""

    def __init__(self, width, attention, norm=nn.LayerNorm, mlp=None):
        super().__init__(width, 1)
        self.norm1, self.norm2, self.attn = norm(width), norm(width), attention
        self.mlp = mlp or self.mlp


def normalised_mlp(width):
    return nn.Sequential(conv(width, 4 * width, act=nn.GELU), conv(4 * width, width, act=None))


def efficientformer(widths, depths, attentive, classes):
    layers, inputs = [conv(3, widths[0] // 2, 3, 2), conv(widths[0] // 2, widths[0], 3, 2)], widths[0]
    for i, (width, depth) in enumerate(zip(widths, depths)):
        if i > 0:
            layers.append(conv(inputs, width, 3, 2, act=None))
        layers += [Sum(f, width) for _ in range(depth) for f in (Neighbours(), normalised_mlp(width))]
        inputs = width
    return nn.Sequential(*layers, ToTokens(), *(AttentionBlock(inputs, BiasedAttention(inputs, 7)) for _ in range(attentive)), PooledTokens(inputs, classes))


# ---- LeViT: linear layers with batch norms, attention that halves the image -----------------------------------


class NormalisedLinear(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear, self.norm = nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, momentum=1.0)

    def forward(self, x):
        x = self.linear(x)
        return self.norm(x.flatten(0, 1)).reshape_as(x)


class LeViTAttention(nn.Module):
    def __init__(self, inputs, outputs, side, heads, step=1, keys=16):
        super().__init__()
        self.heads, self.keys, self.side, self.step = heads, keys, side, step
        self.kv, self.q = NormalisedLinear(inputs, heads * 3 * keys), NormalisedLinear(inputs, heads * keys)
        self.proj = nn.Sequential(nn.Hardswish(), NormalisedLinear(2 * heads * keys, outputs))
        self.bias = nn.Parameter(torch.randn(heads, (-(-side // step)) ** 2, side * side) * 0.3)

    def forward(self, x):
        N, _, C = x.shape
        k, v = self.kv(x).view(N, -1, self.heads, 3 * self.keys).split([self.keys, 2 * self.keys], 3)
        chosen = x if self.step == 1 else x.view(N, self.side, self.side, C)[:, :: self.step, :: self.step].reshape(N, -1, C)
        q = self.q(chosen).view(N, -1, self.heads, self.keys).permute(0, 2, 1, 3)
        weights = (q @ k.permute(0, 2, 3, 1) * self.keys**-0.5 + self.bias).softmax(-1)
        return self.proj((weights @ v.permute(0, 2, 1, 3)).transpose(1, 2).reshape(N, -1, 2 * self.heads * self.keys))


class NormalisedHead(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.norm, self.fc = nn.BatchNorm1d(width, momentum=1.0), nn.Linear(width, classes)

    def forward(self, x):
        return self.fc(self.norm(x.mean(1)))


def levit(widths, depths, classes):
    mlp = lambda width: Sum(nn.Sequential(NormalisedLinear(width, 2 * width), nn.Hardswish(), NormalisedLinear(2 * width, width)))
    stem = [16, 32, 64, widths[0]]
    layers = [conv(i, o, 3, 2, act=nn.Hardswish) for i, o in zip([3, *stem], stem)] + [ToTokens()]
    for i, (width, depth) in enumerate(zip(widths, depths)):
        side = [14, 7, 4][i]
        layers += [layer for _ in range(depth) for layer in (Sum(LeViTAttention(width, width, side, width // 32)), mlp(width))]
        if i < len(widths) - 1:
            layers += [LeViTAttention(width, widths[i + 1], side, width // 16, step=2), mlp(widths[i + 1])]
    return nn.Sequential(*layers, NormalisedHead(widths[-1], classes))


# ---- Vision transformers with a class token and other blocks --------------------------------------------------


class Tokens(nn.Module):
    """Patches, a class token and positions; blocks; logits of the class token or of the others' mean."""

    def __init__(self, size, patch, width, blocks, classes, last=None, norm=nn.LayerNorm, mean=False):
        super().__init__()
        self.patch_embed, self.class_token = nn.Conv2d(3, width, patch, patch), nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1 + (size // patch) ** 2, width))
        self.blocks, self.norm, self.head, self.mean = nn.Sequential(*blocks), norm(last or width), nn.Linear(last or width, classes), mean

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = self.blocks(torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embedding)
        return self.head(self.norm(x[:, 1:].mean(1)) if self.mean else self.norm(x)[:, 0])


class RotaryAttention(Attention):
    """EVA-02's: queries and keys are turned by angles of their row and column, but for the class token's."""

    def __init__(self, width, heads, side):
        super().__init__(width, heads)
        line, frequencies = torch.linspace(-1, 1, side), torch.linspace(1, 5, width // heads // 4) * math.pi
        places = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).reshape(side * side, 2)
        angles = (places[..., None] * frequencies).flatten(1).repeat_interleave(2, -1)
        self.register_buffer("sine", angles.sin())
        self.register_buffer("cosine", angles.cos())

    def turn(self, x):
        token, x = x[:, :, :1], x[:, :, 1:]
        turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).reshape(x.shape)
        return torch.cat([token, x * self.cosine + turned * self.sine], 2)

    def parts(self, x):
        q, k, v = super().parts(x)
        return self.turn(q), self.turn(k), v


class GatedMlp(nn.Module):
    """SwiGLU."""

    def __init__(self, width, hidden, norm=nn.Identity):
        super().__init__()
        self.gate, self.values, self.norm, self.out = nn.Linear(width, hidden), nn.Linear(width, hidden), norm(hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.out(self.norm(F.silu(self.gate(x)) * self.values(x)))


class RootMeanSquare(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class TableAttention(Attention):
    """BEiT's: a number for each relative position, looked up in a table."""

    def __init__(self, width, heads, side):
        super().__init__(width, heads)
        count = (2 * side - 1) ** 2
        places = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")).flatten(1)
        apart = (places[:, :, None] - places[:, None]) + side - 1
        index = torch.full((side * side + 1,) * 2, count)  # of the class token
        index[1:, 1:] = apart[0] * (2 * side - 1) + apart[1]
        self.table = nn.Parameter(torch.randn(count + 1, heads) * 0.3)
        self.register_buffer("index", index)

    def forward(self, x):
        N, T, C = x.shape
        q, k, v = self.parts(x)
        bias = self.table[self.index.view(-1)].view(T, T, -1).permute(2, 0, 1)
        weights = (q @ k.transpose(-2, -1) * (C // self.heads) ** -0.5 + bias).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(N, T, C))


# ---- MViT v2: queries, keys and values are pooled by convolutions ----------------------------------------------


class PoolingAttention(nn.Module):
    def __init__(self, inputs, width, heads, step):
        super().__init__()
        self.heads, self.qkv, self.proj, each = heads, nn.Linear(inputs, 3 * width), nn.Linear(width, width), width // heads
        self.pools = nn.ModuleList(nn.Conv2d(each, each, 3, stride, 1, groups=each, bias=False) for stride in (step, 2, 2))
        self.norms = nn.ModuleList(nn.LayerNorm(each) for _ in range(3))

    def pool(self, x, pool, norm):
        token, x = x[:, :, :1], x[:, :, 1:]
        N, heads, T, each = x.shape
        x = pool(image_of(x.reshape(N * heads, T, each))).reshape(N, heads, each, -1).transpose(2, 3)
        return norm(torch.cat([token, x], 2))

    def forward(self, x):
        N, T, _ = x.shape
        parts = self.qkv(x).reshape(N, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        q, k, v = (self.pool(part, pool, norm) for part, pool, norm in zip(parts, self.pools, self.norms))
        y = (q * q.shape[3] ** -0.5 @ k.transpose(-2, -1)).softmax(-1) @ v + q
        return self.proj(y.transpose(1, 2).reshape(N, y.shape[2], -1))


class PoolingBlock(nn.Module):
    def __init__(self, inputs, width, heads, step):
        super().__init__()
        self.norm1, self.norm2, self.attn, self.step = nn.LayerNorm(inputs), nn.LayerNorm(width), PoolingAttention(inputs, width, heads, step), step
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.widen = nn.Linear(inputs, width) if inputs != width else None

    def forward(self, x):
        y = self.norm1(x)
        shortcut = x if self.widen is None else self.widen(y)
        if self.step > 1:
            shortcut = torch.cat([shortcut[:, :1], F.max_pool2d(image_of(shortcut[:, 1:]), 3, self.step, 1).flatten(2).transpose(1, 2)], 1)
        x = shortcut + self.attn(y)
        return x + self.mlp(self.norm2(x))


# ---- CoaT: attention whose sums run over the keys first, positions by convolutions ------------------------------


class FactorisedAttention(Attention):
    def __init__(self, width, heads):
        super().__init__(width, heads)
        self.windows = nn.ModuleList(nn.Conv2d(width // 2, width // 2, kernel, padding=kernel // 2, groups=width // 2) for kernel in (3, 5))

    def forward(self, x):
        N, T, C = x.shape
        q, k, v = self.parts(x)
        mixed = q @ (k.softmax(2).transpose(-1, -2) @ v) * (C // self.heads) ** -0.5
        image = image_of(v[:, :, 1:].transpose(1, 2).reshape(N, T - 1, C))
        near = torch.cat([window(part) for window, part in zip(self.windows, image.chunk(2, 1))], 1).flatten(2).transpose(1, 2)
        near = near.reshape(N, T - 1, self.heads, -1).transpose(1, 2) * q[:, :, 1:]
        return self.proj((mixed + F.pad(near, (0, 0, 1, 0, 0, 0))).transpose(1, 2).reshape(N, T, C))


class PositionByConvolution(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, 1, 1, groups=width)

    def forward(self, x):
        image = image_of(x[:, 1:])
        return torch.cat([x[:, :1], (self.convolution(image) + image).flatten(2).transpose(1, 2)], 1)


class CoaT(nn.Module):
    def __init__(self, widths, depth, heads, classes):
        super().__init__()
        self.embed, self.norms, self.tokens, self.stages, inputs = nn.ModuleList(), nn.ModuleList(), nn.ParameterList(), nn.ModuleList(), 3
        for i, width in enumerate(widths):
            self.embed.append(nn.Conv2d(inputs, width, 4 if i == 0 else 2, 4 if i == 0 else 2))
            self.norms.append(nn.LayerNorm(width))
            self.tokens.append(nn.Parameter(torch.randn(1, 1, width)))
            self.stages.append(nn.Sequential(*(layer for _ in range(depth) for layer in (PositionByConvolution(width), AttentionBlock(width, FactorisedAttention(width, heads))))))
            inputs = width
        self.norm, self.head = nn.LayerNorm(inputs), nn.Linear(inputs, classes)

    def forward(self, x):
        for i, stage in enumerate(self.stages):
            x = self.norms[i](self.embed[i](x).flatten(2).transpose(1, 2))
            x = stage(torch.cat([self.tokens[i].expand(x.shape[0], -1, -1), x], 1))
            if i < len(self.stages) - 1:
                x = image_of(x[:, 1:])
        return self.head(self.norm(x)[:, 0])


def eva02(width, heads, depth, classes):
    block = lambda: AttentionBlock(width, RotaryAttention(width, heads, 14), mlp=GatedMlp(width, width * 8 // 3, nn.LayerNorm))
    return Tokens(224, 16, width, [block() for _ in range(depth)], classes, mean=True)


def rms_vit(width, heads, depth, classes):
    block = lambda: AttentionBlock(width, Attention(width, heads), RootMeanSquare, GatedMlp(width, width * 8 // 3))
    return Tokens(224, 16, width, [block() for _ in range(depth)], classes, norm=RootMeanSquare)


MVIT = [[48, 96, 1, 1], [96, 96, 1, 1], [96, 192, 2, 2], [192, 192, 2, 1], [192, 384, 4, 2], [384, 384, 4, 1]]
NETWORKS = {
    "efficientformer": lambda: efficientformer([48, 96, 224, 448], [1, 1, 2, 1], 2, 1000),
    "levit_128": lambda: levit([128, 256, 384], [2, 2, 2], 1000),
    "eva02_tiny": lambda: eva02(192, 3, 6, 1000),
    "beit_tiny": lambda: Tokens(224, 16, 192, [AttentionBlock(192, TableAttention(192, 3, 14)) for _ in range(6)], 1000, mean=True),
    "vit_rms_swiglu": lambda: rms_vit(192, 3, 6, 1000),
    "mvit": lambda: Tokens(224, 8, 48, [PoolingBlock(*settings) for settings in MVIT], 1000, last=384),
    "coat_mini": lambda: CoaT([64, 128, 256], 1, 8, 1000),
}
