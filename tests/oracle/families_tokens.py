"""Families of classifiers made of tokens that torchvision has not, written as timm and the authors write them. See families.py."""

import torch
import torch.nn as nn
import torch.nn.functional as F

# ---- DeiT: a vision transformer with a class token and a distillation token ------------------------------


class Attention(nn.Module):
    """q, k and v from one product, taken apart by unbind."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def parts(self, x):
        """q, k and v, each [N, heads, T, C / heads], of x [N, T, C]."""
        N, T, C = x.shape
        return self.qkv(x).reshape(N, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x):
        N, T, C = x.shape
        q, k, v = self.parts(x)
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


# ---- CLIP: tokens in front of the batch, as nn.MultiheadAttention has it by default --------------------


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class SequenceFirstBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn, self.ln_1, self.ln_2 = nn.MultiheadAttention(width, heads), nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class ClipViT(nn.Module):
    """A norm in front of the first block, and the last one on the class token alone."""

    def __init__(self, size, patch, width, depth, heads, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * 0.5)
        self.positional_embedding = nn.Parameter(torch.randn(1 + (size // patch) ** 2, width) * 0.5)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks, self.head = nn.Sequential(*(SequenceFirstBlock(width, heads) for _ in range(depth))), nn.Linear(width, classes)

    def forward(self, x):
        x = self.conv1(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.class_embedding + torch.zeros(x.shape[0], 1, x.shape[-1], dtype=x.dtype), x], 1) + self.positional_embedding
        x = self.blocks(self.ln_pre(x).permute(1, 0, 2)).permute(1, 0, 2)
        return self.head(self.ln_post(x[:, 0, :]))


# ---- MLP-Mixer ---------------------------------------------------------------------------------------


def mlp(width, hidden):
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class MixerBlock(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.norm1, self.mlp_tokens, self.norm2, self.mlp_channels = nn.LayerNorm(width), mlp(tokens, width // 2), nn.LayerNorm(width), mlp(width, 4 * width)

    def forward(self, x):
        x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mlp_channels(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, size, patch, width, depth, classes):
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(3, width, patch, patch), nn.Sequential(*(MixerBlock((size // patch) ** 2, width) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.stem(x).flatten(2).transpose(1, 2))).mean(1))


# ---- XCiT: attention between channels ------------------------------------------------------------------


class CrossCovariance(nn.Module):
    """Queries and keys of length 1 along the tokens, and a temperature for each head."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.temperature = heads, nn.Parameter(torch.full((heads, 1, 1), 2.0))
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        N, T, C = x.shape
        q, k, v = self.qkv(x).reshape(N, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 4, 1).unbind(0)
        weights = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature).softmax(-1)
        return self.proj((weights @ v).permute(0, 3, 1, 2).reshape(N, T, C))


class LocalPatches(nn.Module):
    """Tokens are laid out as an image again, for two depthwise convolutions."""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn, self.conv2 = nn.Conv2d(width, width, 3, 1, 1, groups=width), nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, 1, 1, groups=width)

    def forward(self, x, H, W):
        N, T, C = x.shape
        return self.conv2(self.bn(F.gelu(self.conv1(x.permute(0, 2, 1).reshape(N, C, H, W))))).reshape(N, C, T).permute(0, 2, 1)


class XCiTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.local_mp, self.mlp = CrossCovariance(width, heads), LocalPatches(width), mlp(width, 4 * width)
        self.gamma1, self.gamma2, self.gamma3 = (nn.Parameter(torch.rand(width) + 0.5) for _ in range(3))

    def forward(self, x, H, W):
        x = x + self.gamma1 * self.attn(self.norm1(x))
        x = x + self.gamma3 * self.local_mp(self.norm3(x), H, W)
        return x + self.gamma2 * self.mlp(self.norm2(x))


class ClassAttention(Attention):
    """CaiT's: the class token alone asks."""

    def forward(self, x):
        N, _, C = x.shape
        q, k, v = self.parts(x)
        weights = ((q[:, :, :1] * k).sum(-1) * (C // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights.unsqueeze(2) @ v).transpose(1, 2).reshape(N, 1, C))


class ClassBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2, self.attn, self.mlp = nn.LayerNorm(width), nn.LayerNorm(width), ClassAttention(width, heads), mlp(width, 4 * width)
        self.gamma1, self.gamma2 = nn.Parameter(torch.rand(width) + 0.5), nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        y = self.norm1(x)
        x = self.norm2(x + self.gamma1 * torch.cat([self.attn(y), y[:, 1:]], 1))
        return x + torch.cat([self.gamma2 * self.mlp(x[:, :1]), x[:, 1:]], 1)


class XCiT(nn.Module):
    """Patches by convolutions that halve the image; the class token comes for the last two blocks only."""

    def __init__(self, halvings, width, depth, heads, classes):
        super().__init__()
        widths = [3, *(width >> i for i in reversed(range(halvings)))]
        self.patch_embed = nn.Sequential(*(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.GELU()) for a, b in zip(widths, widths[1:])))
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks, self.class_blocks = nn.ModuleList(XCiTBlock(width, heads) for _ in range(depth)), nn.Sequential(*(ClassBlock(width, heads) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.patch_embed(x)
        H, W = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x, H, W)
        return self.head(self.norm(self.class_blocks(torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1)))[:, 0])


# ---- PVT v2: a pyramid whose keys and values are reduced by convolutions ----------------------------------


class ReducedAttention(nn.Module):
    def __init__(self, width, heads, reduction):
        super().__init__()
        self.heads, self.q, self.kv, self.proj = heads, nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.sr, self.norm = (nn.Conv2d(width, width, reduction, reduction), nn.LayerNorm(width)) if reduction > 1 else (None, None)

    def forward(self, x, H, W):
        N, T, C = x.shape
        q = self.q(x).reshape(N, T, self.heads, C // self.heads).permute(0, 2, 1, 3)
        y = x if self.sr is None else self.norm(self.sr(x.permute(0, 2, 1).reshape(N, C, H, W)).reshape(N, C, -1).permute(0, 2, 1))
        k, v = self.kv(y).reshape(N, -1, 2, self.heads, C // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(((q @ k.transpose(-2, -1) * (C // self.heads) ** -0.5).softmax(-1) @ v).transpose(1, 2).reshape(N, T, C))


class ConvolutionalMlp(nn.Module):
    def __init__(self, width, ratio):
        super().__init__()
        self.fc1, self.dwconv, self.fc2 = nn.Linear(width, ratio * width), nn.Conv2d(ratio * width, ratio * width, 3, 1, 1, groups=ratio * width), nn.Linear(ratio * width, width)

    def forward(self, x, H, W):
        x = self.fc1(x)
        N, T, C = x.shape
        return self.fc2(F.gelu(self.dwconv(x.transpose(1, 2).view(N, C, H, W)).flatten(2).transpose(1, 2)))


class PvtBlock(nn.Module):
    def __init__(self, width, heads, reduction, ratio):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = ReducedAttention(width, heads, reduction), ConvolutionalMlp(width, ratio)

    def forward(self, x, H, W):
        x = x + self.attn(self.norm1(x), H, W)
        return x + self.mlp(self.norm2(x), H, W)


class PvtV2(nn.Module):
    """settings: width, heads, reduction of keys, widening of the MLP and number of blocks of each stage."""

    def __init__(self, settings, classes):
        super().__init__()
        self.patch_embed, self.patch_norm, self.stages, self.norms, inputs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList(), nn.ModuleList(), 3
        for i, (width, heads, reduction, ratio, depth) in enumerate(settings):
            self.patch_embed.append(nn.Conv2d(inputs, width, 7 if i == 0 else 3, 4 if i == 0 else 2, 3 if i == 0 else 1))
            self.patch_norm.append(nn.LayerNorm(width))
            self.stages.append(nn.ModuleList(PvtBlock(width, heads, reduction, ratio) for _ in range(depth)))
            self.norms.append(nn.LayerNorm(width, eps=1e-6))
            inputs = width
        self.head = nn.Linear(inputs, classes)

    def forward(self, x):
        for i, stage in enumerate(self.stages):
            x = self.patch_embed[i](x)
            N, _, H, W = x.shape
            x = self.patch_norm[i](x.flatten(2).transpose(1, 2))
            for block in stage:
                x = block(x, H, W)
            x = self.norms[i](x)
            if i < len(self.stages) - 1:
                x = x.reshape(N, H, W, -1).permute(0, 3, 1, 2).contiguous()
        return self.head(x.mean(1))
