"""Reads the sprites that data.js writes: .cache/data/cifar10/<split>/<class>/tiles.32x32.png."""

import pathlib

import numpy as np
import torch
from PIL import Image

from resnet import CLASSES, MEAN, STD

DATA = pathlib.Path(__file__).resolve().parent.parent / ".cache" / "data"


def load(split):
    """One split of CIFAR-10: images uint8 [N, 3, 32, 32], labels int64 [N], class by class."""
    images, labels = [], []
    for k, name in enumerate(CLASSES):
        path = DATA / "cifar10" / split / name / "tiles.32x32.png"
        if not path.exists():
            raise SystemExit(f"{path} is missing: run `node models/data.js cifar10` first")
        sprite = np.asarray(Image.open(path).convert("RGB"))
        rows, columns = sprite.shape[0] // 32, sprite.shape[1] // 32
        tiles = sprite.reshape(rows, 32, columns, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32)
        images.append(torch.from_numpy(tiles.copy()))
        labels.append(torch.full((len(tiles),), k, dtype=torch.int64))
    return torch.cat(images), torch.cat(labels)


def normalise(images):
    """uint8 [N, 3, H, W] -> float32, scaled to 0..1, then (x - mean) / std per channel; channels last."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    std = torch.tensor(STD).view(1, 3, 1, 1)
    x = (images.float() / 255 - mean) / std
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(model, images, labels, batch=500):
    """Share of images (uint8 [N, 3, 32, 32]) whose largest logit is the label's, 0..1, in float32."""
    model.eval()
    right = 0
    for i in range(0, len(images), batch):
        logits = model(normalise(images[i:i + batch]))
        right += (logits.argmax(1) == labels[i:i + batch]).sum().item()
    return right / len(images)
