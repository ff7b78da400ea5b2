"""The average of checkpoints, with BatchNorm's statistics measured anew.

    /usr/bin/python3 models/average.py .cache/train/average.pt .cache/train/epoch-30.pt .cache/train/epoch-40.pt

The ends of two falls of the learning rate lie at the rim of the same flat region, and their mean is nearer to its middle
(Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, 2018). The running
statistics of either network do not fit the mean, so they are measured on all training images, as they are.

Prints the accuracy on the holdout of every checkpoint and of the average.
"""

import argparse
import pathlib

import torch
from torch import nn

import tiles
from resnet import ResNet18

BATCH = 500


def average(states):
    """The mean of state dicts; of integers (BatchNorm's counts of batches) the first."""
    first = states[0]
    return {k: sum(s[k] for s in states) / len(states) if v.is_floating_point() else v for k, v in first.items()}


def network(state):
    model = ResNet18(width=len(state["conv1.weight"])).to(memory_format=torch.channels_last)
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def measure_statistics(model, images):
    """Mean and variance of every BatchNorm over uint8 [N, 3, 32, 32], batches weighing alike."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean of all batches
    model.train()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))  # the file is sorted by class
    for pick in order.split(BATCH):
        model(tiles.normalise(images[pick]))
    model.eval()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("checkpoints", type=pathlib.Path, nargs="+")
    args = p.parse_args()

    holdout = tiles.load("holdout")
    states = [torch.load(path) for path in args.checkpoints]
    for path, state in zip(args.checkpoints, states):
        print(f"{path.name}: holdout {tiles.accuracy(network(state), *holdout):.4f}", flush=True)
    model = network(average(states))
    measure_statistics(model, tiles.load("train")[0])
    print(f"average: holdout {tiles.accuracy(model, *holdout):.4f}")
    torch.save(model.state_dict(), args.out)


if __name__ == "__main__":
    main()
