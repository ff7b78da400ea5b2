"""Makes the shifted test set: CIFAR-10's test images, each damaged once, in one of 4 ways at one of 5 strengths.

    node models/data.js cifar10
    /usr/bin/python3 models/corruptions.py

Noise, blur, contrast and JPEG with the parameters of CIFAR-10-C (Hendrycks & Dietterich, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", ICLR 2019; make_cifar_c.py of hendrycks/robustness). Unlike there, an
image appears once and not in every corruption: image i of a class gets the (i mod 20)-th. So the set is as large as the
test set, 500 images a corruption and strength, and its accuracy is the mean over them. The noise of an image is that of its seed, (class,
i): the files are the same every time, but for the JPEG encoder of the Pillow that runs this.

Result: .cache/data/cifar10-shifted/<class>/<corruption>-<strength>.32x32.png, 50 tiles each.
"""

import io

import numpy as np
from PIL import Image

from resnet import CLASSES
from tiles import DATA, load

STRENGTHS = 5


def noise(x, strength, random):
    return x + random.normal(0, (0.04, 0.06, 0.08, 0.09, 0.10)[strength], x.shape)


def blur(x, strength, random):
    """Gaussian, cut off at 4 standard deviations; beyond the edge the edge goes on, as in scikit-image."""
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[strength]
    radius = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        width = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(x, width, mode="edge")
        x = sum(k * np.take(padded, range(i, i + 32), axis=axis) for i, k in enumerate(kernel))
    return x


def contrast(x, strength, random):
    mean = x.mean(axis=(0, 1), keepdims=True)
    return (x - mean) * (0.75, 0.5, 0.4, 0.3, 0.15)[strength] + mean


def jpeg(x, strength, random):
    encoded = io.BytesIO()
    Image.fromarray(np.uint8(np.round(255 * x))).save(encoded, "JPEG", quality=(80, 65, 58, 50, 40)[strength])
    return np.asarray(Image.open(encoded)) / 255


CORRUPTIONS = (noise, blur, contrast, jpeg)


def damage(image, corruption, strength, seed):
    """uint8 [32, 32, 3] -> the same, cut to whole numbers as CIFAR-10-C's are."""
    x = corruption(image / 255, strength, np.random.RandomState(seed))
    return np.uint8(np.clip(x, 0, 1) * 255 + 1e-9)  # 1e-9: 3/255*255 is below 3


def main():
    images, labels = load("test")
    images, labels = images.permute(0, 2, 3, 1).numpy(), labels.numpy()
    pairs = [(corruption, strength) for corruption in CORRUPTIONS for strength in range(STRENGTHS)]
    for k, name in enumerate(CLASSES):
        folder = DATA / "cifar10-shifted" / name
        folder.mkdir(parents=True, exist_ok=True)
        of_class = images[labels == k]
        for c, (corruption, strength) in enumerate(pairs):
            tiles = [damage(of_class[i], corruption, strength, [k, i]) for i in range(c, len(of_class), len(pairs))]
            sheet = np.concatenate([np.concatenate(tiles[row:row + 10], axis=1) for row in range(0, len(tiles), 10)])
            Image.fromarray(sheet).save(folder / f"{corruption.__name__}-{strength + 1}.32x32.png")
    print(f"{DATA / 'cifar10-shifted'}: {len(images)} images, {len(pairs)} corruptions of {len(of_class) // len(pairs)} a class")


if __name__ == "__main__":
    main()
