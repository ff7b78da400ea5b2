"""Baselines by their authors' formulas in float64: writes tests/golden/baselines/parity.safetensors.

    OMP_NUM_THREADS=1 /usr/bin/python3 tests/oracle/baselines_oracle.py

Needs numpy, scikit-learn and PyTorch (Debian: python3-numpy python3-sklearn python3-torch).

Entropy and GEN are NumPy; 1 - p is the sum of the other probabilities, so that nothing cancels. GradNorm differentiates the
loss by the classifier's weights with PyTorch's autograd. KNN is scikit-learn's brute-force NearestNeighbors. ViM is the class of
OpenOOD's openood/postprocessors/vim_postprocessor.py written again: pinv, EmpiricalCovariance and numpy's eigenvectors.
"""

import pathlib

import numpy as np
import torch
from sklearn.covariance import EmpiricalCovariance
from sklearn.neighbors import NearestNeighbors

from oracle import save_safetensors

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "baselines" / "parity.safetensors"
GAMMA, M = 0.1, 100  # GEN
K, C = 10, 37        # classes; features, no multiple of a vector
REFERENCES, QUERIES, NEAREST = 200, 30, 50


def logsumexp(logits):
    top = logits.max(axis=-1)
    return top + np.log(np.exp(logits - top[..., None]).sum(axis=-1))


def softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def negative_entropy(logits):
    p = softmax(logits)
    # log p of the winner is -log1p(the rest): no digits are lost where it is nearly sure.
    log_p = logits - logsumexp(logits)[..., None]
    for row in range(len(p)):
        winner = logits[row].argmax()
        log_p[row, winner] = -np.log1p(np.delete(np.exp(logits[row] - logits[row].max()), winner).sum())
    return np.where(p > 0, p * log_p, 0).sum(axis=-1)


def gen(logits):
    scores = []
    for row in softmax(logits):
        rest = np.array([np.delete(row, k).sum() for k in range(len(row))])
        largest = np.argsort(-row, kind="stable")[:M]
        scores.append(-(row[largest] ** GAMMA * rest[largest] ** GAMMA).sum())
    return np.array(scores)


def grad_norm(features, weight, bias):
    scores = []
    for row in features:
        w = torch.tensor(weight, requires_grad=True)
        logits = w @ torch.tensor(row) + torch.tensor(bias)
        torch.nn.functional.kl_div(torch.log_softmax(logits, 0), torch.full((K,), 1 / K, dtype=torch.float64), reduction="sum").backward()
        scores.append(w.grad.abs().sum().item())
    return np.array(scores)


def knn(references, queries):
    unit = lambda x: x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-10)
    nearest = NearestNeighbors(n_neighbors=NEAREST, algorithm="brute").fit(unit(references))
    return -nearest.kneighbors(unit(queries))[0][:, -1]


def vim(references, queries, weight, bias):
    dimension = 1000 if C >= 2048 else 512 if C >= 768 else C // 2
    u = -np.linalg.pinv(weight) @ bias
    values, vectors = np.linalg.eigh(EmpiricalCovariance(assume_centered=True).fit(references - u).covariance_)
    null_space = vectors[:, np.argsort(-values)[dimension:]]
    residual = lambda x: np.linalg.norm((x - u) @ null_space, axis=-1)
    alpha = (references @ weight.T + bias).max(axis=-1).mean() / residual(references).mean()
    return logsumexp(queries @ weight.T + bias) - alpha * residual(queries)


def main():
    random = np.random.RandomState(3)
    scales = np.array([0, 0.1, 1, 5, 20, 60, 300])[:, None]
    few = (random.normal(0, 1, (7, K)) * scales).astype(np.float32)
    many = (random.normal(0, 1, (7, 300)) * scales).astype(np.float32)  # more classes than GEN looks at
    mixing = random.normal(0, 1, (8, C)) * 2
    def features(count, noise):
        x = np.maximum(random.normal(0, 1, (count, 8)) @ mixing + random.normal(0, noise, (count, C)), 0)
        x[:, 5] = 0  # a dead unit
        return x.astype(np.float32)
    references, queries = features(REFERENCES, 0.3), np.concatenate([features(QUERIES // 2, 0.3), features(QUERIES // 2, 3)])
    queries[3] = references[7]  # the same image again
    queries[4] = 0
    weight, bias = random.normal(0, 0.3, (K, C)).astype(np.float32), random.normal(0, 1, K).astype(np.float32)
    R, Q, W, b = (x.astype(np.float64) for x in (references, queries, weight, bias))
    tensors = {"few.logits": few, "many.logits": many, "references": references, "queries": queries, "weight": weight, "bias": bias}
    for name, logits in (("few", few.astype(np.float64)), ("many", many.astype(np.float64))):
        tensors |= {f"{name}.entropy": negative_entropy(logits), f"{name}.gen": gen(logits)}
    tensors |= {"gradNorm": grad_norm(Q, W, b), "knn": knn(R, Q), "vim": vim(R, Q, W, b)}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(OUT, dict(sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)), {"nearest": str(NEAREST)})
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
