"""Trains the bundled CIFAR-10 model on a CPU and keeps the weights of every epoch.

    node models/data.js cifar10
    /usr/bin/python3 models/train.py --out .cache/train

Plain cross-entropy, because a detector that reads activations and logits should meet an ordinary network:
no label smoothing, no mixup. SGD with Nesterov momentum; the rate rises linearly over --warmup epochs and
falls linearly to 0. Weight decay spares BatchNorm and biases. Images are flipped at random and cropped:
24 pixels out of the 32 at first, 32 out of 40 (4 of reflected padding a side) in the last epochs.

What makes it quick: channels-last and, on a CPU with avx512_bf16, bfloat16 autocast (together 2.1 times the speed
of plain float32), and crops of 24 pixels in the first epochs, which cost 0.7 of an epoch at 32 and
which the pooling head allows. Each thread works on its own part of a batch with single-threaded operators
(gradients are averaged; BatchNorm sees the part), meeting the others once a step: operators that share out
their loops meet hundreds of times a step, and on a machine whose cores are also compiling something that
was measured up to 10 times slower.

Nothing is chosen on the test images: the log shows the holdout's accuracy after each epoch, the last
epoch's weights are the model, and the test images are met once, after it.

--start MODEL.onnx goes on from a file that export.py wrote instead of from random weights, with a schedule of its
own: for training in rounds where no machine is free for all of it at once.

Interrupted, the same command goes on after the last whole epoch. Files in --out: epoch-NN.pt (weights of
each), state.pt (weights, optimiser, random state, epoch), log.jsonl (one object an epoch, then one for the end).
"""

import argparse
import copy
import json
import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: see above

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
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
    p.add_argument("--start", type=pathlib.Path, help="a model file to go on from; random weights without it")
    p.add_argument("--epochs", type=int, default=16)
    p.add_argument("--small-epochs", type=int, default=11, help="first epochs, on 24-pixel crops")
    p.add_argument("--peak", type=float, default=0.1, help="learning rate after warm-up")
    p.add_argument("--warmup", type=float, default=3, help="epochs")
    p.add_argument("--decay", type=float, default=5e-4, help="weight decay of convolutions and the classifier")
    p.add_argument("--threads", type=int, default=2, help="parts of a batch; a divisor of 128")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


def augment(images, size, generator):
    """Random crop and flip: uint8 [N, 3, 32, 32] -> float32 [N, 3, size, size], normalised.

    One gather for the whole batch: each image's rows and columns are picked out of its padded self.
    """
    n = len(images)
    pad = PAD if size == 32 else 0  # a smaller crop has room to move without
    padded = F.pad(tiles.normalise(images), (pad,) * 4, mode="reflect")
    span = 32 + 2 * pad - size + 1
    top = torch.randint(span, (n, 1), generator=generator)
    left = torch.randint(span, (n, 1), generator=generator)
    flip = torch.randint(2, (n, 1), generator=generator).bool()
    steps = torch.arange(size).view(1, size)
    rows = top + steps
    columns = left + torch.where(flip, size - 1 - steps, steps)
    pixels = padded.permute(0, 2, 3, 1)[torch.arange(n).view(n, 1, 1), rows.unsqueeze(2), columns.unsqueeze(1)]
    return pixels.permute(0, 3, 1, 2)  # channels last already


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


@torch.no_grad()
def unfold(model, path, images):
    """Loads a file of export.py, whose BatchNorms are folded away, into a model that has them.

    Each filter is scaled to norm 1 and its BatchNorm, which from here on sees batches, takes over the file's
    scale and bias: its mean and variance are measured on `images` (uint8 [N, 3, 32, 32]) on the way through.
    """
    values = {t.name.removesuffix(".f16"): torch.from_numpy(numpy_helper.to_array(t).copy()).float()
              for t in onnx.load(path).graph.initializer}
    hooks = []

    def take_over(scale, bias):
        def hook(bn, inputs):
            variance, mean = torch.var_mean(inputs[0], (0, 2, 3), unbiased=False)
            bn.running_mean.copy_(mean)
            bn.running_var.copy_(variance)
            bn.weight.copy_(scale * (variance + bn.eps).sqrt())
            bn.bias.copy_(bias + scale * mean)
        return hook

    before = None
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = values[f"{name}.weight"]
            scale = weight.flatten(1).norm(dim=1)
            module.weight.copy_(weight / scale.view(-1, 1, 1, 1))
            before = take_over(scale, values[f"{name}.bias"])
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(before))
    model.fc.weight.copy_(values["fc.weight"])
    model.fc.bias.copy_(values["fc.bias"])
    model.eval()(tiles.normalise(images))
    for hook in hooks:
        hook.remove()


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
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=BFLOAT16):
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


def run_epoch(replicas, sgd, images, labels, epoch, args, generator):
    """One pass; returns the mean loss in nats and the share of right answers on augmented images."""
    size = 24 if epoch < args.small_epochs else 32
    order = torch.randperm(len(images), generator=generator)
    steps = len(order) // BATCH
    loss_sum, right_sum = 0.0, 0
    for step in range(steps):
        rate = rate_at(epoch + step / steps, args)
        for group in sgd.param_groups:
            group["lr"] = rate
        pick = order[step * BATCH:(step + 1) * BATCH]
        loss, right = replicas.gradients(augment(images[pick], size, generator), labels[pick])
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
    model = ResNet18().to(memory_format=torch.channels_last)
    if args.start:
        unfold(model, args.start, images[::len(images) // 500])
        print(f"{args.start}: holdout accuracy {tiles.accuracy(model, *holdout):.4f}", flush=True)
    replicas = Replicas(model, args.threads)
    sgd = optimiser(model, args.decay)
    start = 0
    if (args.out / "state.pt").exists():
        state = torch.load(args.out / "state.pt")
        model.load_state_dict(state["model"])
        sgd.load_state_dict(state["sgd"])
        generator.set_state(state["generator"])
        start = state["epoch"]

    def log(**entry):
        with open(args.out / "log.jsonl", "a") as f:
            f.write(json.dumps(entry) + "\n")
        print(json.dumps(entry), flush=True)

    for epoch in range(start, args.epochs):
        began = time.time()
        loss, train = run_epoch(replicas, sgd, images, labels, epoch, args, generator)
        seconds = time.time() - began
        held = tiles.accuracy(model, *holdout)
        save(args.out / f"epoch-{epoch + 1:02d}.pt", model.state_dict())
        save(args.out / "state.pt", {"model": model.state_dict(), "sgd": sgd.state_dict(),
                                     "generator": generator.get_state(), "epoch": epoch + 1})
        log(epoch=epoch + 1, of=args.epochs, crop=24 if epoch < args.small_epochs else 32, loss=round(loss, 4),
            train=round(train, 4), holdout=held, rate=round(sgd.param_groups[0]["lr"], 5), seconds=round(seconds))
    log(test=tiles.accuracy(model, *tiles.load("test")), holdout=tiles.accuracy(model, *holdout))


if __name__ == "__main__":
    main()
