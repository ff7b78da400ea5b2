"""Trains the bundled CIFAR-10 model on a CPU and keeps the weights of every epoch.

    node models/data.js cifar10
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 /usr/bin/python3 models/train.py --out .cache/train

Plain cross-entropy, because a detector that reads activations and logits should meet an ordinary network:
no label smoothing, no mixup. SGD with Nesterov momentum; the rate rises linearly over --warmup epochs and
falls linearly to 0. Weight decay spares BatchNorm and biases. Images are cropped at random (24 pixels out of the 32
at first, 32 out of 40 with 4 of reflected padding a side in the last epochs), lose a square of a quarter of
their side (DeVries & Taylor, arXiv 1708.04552), and are flipped every other epoch, half of them in the even ones and
the other half in the odd ones, so that two epochs show each image both ways (Jordan, arXiv 2404.00498).

What makes it quick, measured on two cores with AMX: channels-last and bfloat16 autocast; crops of 24 pixels in the first
epochs, which cost 0.7 of an epoch at 32 and which the pooling head allows; huge pages for the allocator (6 %; the
variable above); and weight gradients as one matrix product where images are small (`WeightGradient`, 14 %).
Each thread works on its own part of a batch with single-threaded operators (gradients are averaged; BatchNorm
sees the part), meeting the others once a step: operators that share out their loops meet hundreds of
times a step, and on a machine whose cores are also compiling something that was measured up to 10 times slower.

Nothing is chosen on the test images, which this script never opens: the log shows the holdout's accuracy after
each epoch (in bfloat16), and the last epoch's weights are the result. `export.py --eval test` measures them.

Interrupted, the same command goes on after the last whole epoch; ended, one with more --epochs goes on with the rate that
a run of so many would have there, which falls to 0 a second time (average.py). Files in --out: epoch-NN.pt (weights of
each), state.pt (weights, optimiser, random state, epoch), log.jsonl (one object an epoch).
"""

import argparse
import copy
import json
import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: see above

import torch
import torch.nn.functional as F
from torch import nn

import tiles
from resnet import ResNet18

BATCH = 128
PAD = 4
# Without the instructions PyTorch emulates them, slower than float32.
BFLOAT16 = "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--width", type=int, default=64, help="channels of the first stage")
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--small-epochs", type=int, default=14, help="first epochs, on 24-pixel crops")
    p.add_argument("--peak", type=float, default=0.1, help="learning rate after warm-up")
    p.add_argument("--warmup", type=float, default=3, help="epochs")
    p.add_argument("--decay", type=float, default=5e-4, help="weight decay of convolutions and the classifier")
    p.add_argument("--threads", type=int, default=2, help="parts of a batch; a divisor of 128")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


class WeightGradient(torch.autograd.Function):
    """A 3x3 convolution whose weight gradient is one matrix product over unfolded images.

    x [N, C, H, W], weight [K, C, 3, 3], padding 1. oneDNN's own weight gradient at 4x4 pixels and 512 channels
    runs at an eighth of the speed of its forward pass; the product, unfolding included, at its full speed.
    """

    @staticmethod
    def forward(ctx, x, weight, stride):
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, 1)

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        s = ctx.stride
        dx, _, _ = torch.ops.aten.convolution_backward(
            dy, x, weight, None, [s, s], [1, 1], [1, 1], False, [0, 0], 1, [True, False, False])
        n, k, h, w = dy.shape
        c = x.shape[1]
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        image, row, column, _ = padded.stride()
        windows = padded.as_strided((n, h, w, 3, 3, c), (image, row * s, column * s, row, column, 1))
        product = dy.permute(0, 2, 3, 1).reshape(-1, k).t() @ windows.reshape(-1, 9 * c)
        return dx, product.view(k, 3, 3, c).permute(0, 3, 1, 2), None


class SmallConv2d(nn.Conv2d):
    """The same layer, with that gradient: for images of 8x8 pixels and fewer."""

    def forward(self, x):
        return WeightGradient.apply(x.bfloat16(), self.weight.bfloat16(), self.stride[0])


def quicken(model):
    """Gives the 3x3 convolutions of the last two stages the quicker gradient; the parameters stay as they are."""
    for block in (*model.layer3, *model.layer4):
        for layer in (block.conv1, block.conv2):
            layer.__class__ = SmallConv2d


def augment(images, flip, size, generator):
    """Crop, cutout and flip: uint8 [N, 3, 32, 32], bool [N] -> float32 [N, 3, size, size], normalised.

    One gather for the whole batch: each image's rows and columns are picked out of its padded self.
    """
    n = len(images)
    pad = PAD if size == 32 else 0  # a smaller crop has room to move without

    def anywhere(room):
        return torch.randint(room + 1, (n, 1), generator=generator)

    padded = F.pad(tiles.normalise(images), (pad,) * 4, mode="reflect")
    room = 32 + 2 * pad - size
    steps = torch.arange(size).view(1, size)
    rows = anywhere(room) + steps
    columns = anywhere(room) + torch.where(flip.view(n, 1), size - 1 - steps, steps)
    pixels = padded.permute(0, 2, 3, 1)[torch.arange(n).view(n, 1, 1), rows.unsqueeze(2), columns.unsqueeze(1)]

    def covered():
        before = steps - anywhere(size - size // 4)
        return (before >= 0) & (before < size // 4)

    hole = covered().view(n, size, 1, 1) & covered().view(n, 1, size, 1)
    return pixels.masked_fill_(hole, 0.0).permute(0, 3, 1, 2)  # channels last already


def optimiser(model, decay):
    with_decay = [p for p in model.parameters() if p.ndim > 1]
    without = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": with_decay, "weight_decay": decay}, {"params": without, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)


def rate_at(epoch, args):
    """Learning rate at a fractional epoch: linear to the peak, then linear to 0 at the end."""
    if epoch < args.warmup:
        return args.peak * (epoch + 0.01) / args.warmup
    return args.peak * max(0.0, (args.epochs - epoch) / (args.epochs - args.warmup))


def bfloat16():
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=BFLOAT16)


class Replicas:
    """The model once a thread: parameters are shared, gradients and BatchNorm statistics are not.

    The first replica is the model itself, so the running statistics that are kept are those of its part.
    """

    def __init__(self, model, threads):
        self.models = [model] + [copy.deepcopy(model) for _ in range(threads - 1)]
        for other in self.models[1:]:
            for p, q in zip(model.parameters(), other.parameters()):
                q.data = p.data
        self.pool = ThreadPoolExecutor(threads)

    def part(self, model, x, y):
        """Leaves the gradients of one part in that replica; returns its loss in nats and its right answers."""
        model.train()
        for p in model.parameters():
            p.grad = None
        with bfloat16():
            logits = model(x)
        loss = F.cross_entropy(logits.float(), y)
        loss.backward()
        return loss.item(), (logits.argmax(1) == y).sum().item()

    def gradients(self, x, y):
        """Leaves the batch's mean gradient in the model; returns the mean loss and the right answers."""
        n = len(self.models)
        results = list(self.pool.map(self.part, self.models, x.chunk(n), y.chunk(n)))
        for p, *others in zip(*(m.parameters() for m in self.models)):
            for q in others:
                p.grad.add_(q.grad)
            p.grad.mul_(1 / n)
        return sum(loss for loss, _ in results) / n, sum(right for _, right in results)


def run_epoch(replicas, sgd, images, labels, flips, epoch, args, generator):
    """One pass, with the images of `flips` (bool [N]) flipped; returns the mean loss in nats and the share of right
    answers on augmented images."""
    size = 24 if epoch < args.small_epochs else 32
    order = torch.randperm(len(images), generator=generator)
    steps = len(order) // BATCH
    loss_sum, right_sum = 0.0, 0
    for step in range(steps):
        rate = rate_at(epoch + step / steps, args)
        for group in sgd.param_groups:
            group["lr"] = rate
        pick = order[step * BATCH:(step + 1) * BATCH]
        loss, right = replicas.gradients(augment(images[pick], flips[pick], size, generator), labels[pick])
        sgd.step()
        loss_sum += loss
        right_sum += right
        if step % 50 == 0:
            print(f"epoch {epoch + 1} step {step}/{steps} loss {loss:.3f}", flush=True)
    return loss_sum / steps, right_sum / (steps * BATCH)


def save(path, value):
    """Through a second name, so that an interruption never leaves a half file."""
    torch.save(value, f"{path}.part")
    os.replace(f"{path}.part", path)


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    images, labels = tiles.load("train")
    holdout = tiles.load("holdout")
    flips = torch.randint(2, (len(images),), generator=generator).bool()
    model = ResNet18(width=args.width).to(memory_format=torch.channels_last)
    if BFLOAT16:
        quicken(model)
    replicas = Replicas(model, args.threads)
    sgd = optimiser(model, args.decay)
    start = 0
    if (args.out / "state.pt").exists():
        state = torch.load(args.out / "state.pt")
        model.load_state_dict(state["model"])
        sgd.load_state_dict(state["sgd"])
        generator.set_state(state["generator"])
        start = state["epoch"]

    for epoch in range(start, args.epochs):
        began = time.time()
        loss, train = run_epoch(replicas, sgd, images, labels, flips ^ bool(epoch % 2), epoch, args, generator)
        seconds = time.time() - began
        with bfloat16():
            held = tiles.accuracy(model, *holdout)
        save(args.out / f"epoch-{epoch + 1:02d}.pt", model.state_dict())
        save(args.out / "state.pt", {"model": model.state_dict(), "sgd": sgd.state_dict(),
                                     "generator": generator.get_state(), "epoch": epoch + 1})
        entry = json.dumps({
            "epoch": epoch + 1, "of": args.epochs, "crop": 24 if epoch < args.small_epochs else 32,
            "loss": round(loss, 4), "train": round(train, 4), "holdout": held,
            "rate": round(sgd.param_groups[0]["lr"], 5), "seconds": round(seconds)})
        print(entry, flush=True)
        with open(args.out / "log.jsonl", "a") as log:
            log.write(entry + "\n")


if __name__ == "__main__":
    main()
