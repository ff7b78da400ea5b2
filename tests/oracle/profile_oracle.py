"""States, bins, counts, scores and metrics by the authors' formulas in NumPy: writes tests/golden/profile/.

    /usr/bin/python3 tests/oracle/profile_oracle.py

Needs numpy and scikit-learn (Debian: python3-numpy python3-sklearn).

The formulas are those of BierOne/ood_coverage, openood/postprocessors/nac/{utils,coverage}.py and nac/coverage.py (NAC-ME), written
with the same broadcast comparisons: slow, and nothing to get wrong. Metrics are scikit-learn's.

One deviation. Two libraries' float32 exp differ in the last place, and a state next to an edge could then fall in either
bin. The exponential is taken in float64 and rounded here, and (z, g) whose state lies within 4 float32 steps of an edge are replaced,
except where the state is exactly 0, 0.5 or 1, on which all libraries agree. So counts must be equal, not nearly.
"""

import json
import pathlib
import struct

import numpy as np
from sklearn import metrics

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "profile"
FIT, SCORED = 30, 10  # images
# M, alpha, O, neurons; O both below and above the number of images
LAYERS = [(50, 100.0, 10.0, 24), (500, 10.0, 2.0, 8), (4, 1.0, 50.0, 8), (1000, 0.001, 3.0, 4)]


# ---- The authors' formulas ---------------------------------------------------------------------------


def logspace(base, num):
    num = int(num / 2)
    x = np.linspace(1, np.sqrt(base), num=num)
    x_l = np.emath.logn(base, x)
    x_r = (1 - x_l)[::-1]
    x = np.concatenate([x_l[:-1], x_r])
    x[-1] += 1e-2
    return np.append(x, 1.2)


def states(z, g, alpha):
    """1 / (1 + exp(-alpha * (z * g))), every step in float32."""
    with np.errstate(over="ignore", under="ignore"):
        x = np.float32(alpha) * (z * g)
        e = np.exp(-x.astype(np.float64)).astype(np.float32)
        return np.float32(1) / (np.float32(1) + e)


def hits(s, edges):
    """[images, M-1, neurons]: the comparison of Estimator.update, in float64."""
    s = s.astype(np.float64)[:, None, :]
    return (s >= edges[:-1][None, :, None]) & (s < edges[1:][None, :, None])


def phi(counts, O):
    return np.minimum(counts / O, 1.0)


def layer_scores(s, edges, counts, O):
    return (hits(s, edges) * phi(counts, O)[None]).sum(axis=1).mean(axis=1)


# ---- Inputs --------------------------------------------------------------------------------------------


def near_an_edge(s, edges):
    exact = (s == 0) | (s == 0.5) | (s == 1)
    distance = np.abs(s.astype(np.float64)[..., None] - edges).min(axis=-1)
    return ~exact & (distance <= 4 * np.spacing(np.maximum(s, np.float32(1e-30))))


def pairs(random, images, neurons, alpha, edges):
    """z, g [images, neurons]: dead units, wide and narrow spreads, overflow, underflow, subnormals."""
    extremes = [0.0, -0.0, 1e-45, 1e-38, 1e-20, 1e-7, 1.0, -1.0, 1e7, 1e20, 3e38, -3e38]
    def draw():
        z = np.exp(random.normal(0, 1.5, (images, neurons)))
        g = random.normal(0, 1, (images, neurons)) * np.exp(random.normal(-1, 2, (images, neurons))) / alpha
        z[random.random(z.shape) < 0.2] = 0
        odd = random.random(z.shape) < 0.1
        z[odd] = random.choice(extremes, odd.sum())
        odd = random.random(z.shape) < 0.1
        g[odd] = random.choice(extremes, odd.sum())
        return z.astype(np.float32), g.astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        z, g = draw()
        while True:
            bad = near_an_edge(states(z, g, alpha), edges)
            if not bad.any():
                return z, g
            new_z, new_g = draw()
            z[bad], g[bad] = new_z[bad], new_g[bad]


# ---- Metrics -------------------------------------------------------------------------------------------


def measure(in_scores, ood_scores):
    scores = np.concatenate([in_scores, ood_scores]).astype(np.float64)
    is_ood = np.concatenate([np.zeros(len(in_scores)), np.ones(len(ood_scores))])
    def fpr95(positive, score):
        # All thresholds: dropping collinear ones, as is the default, can skip the one that reaches 0.95.
        fpr, tpr, _ = metrics.roc_curve(positive, score, drop_intermediate=False)
        return fpr[np.argmax(tpr >= 0.95)]
    return [metrics.roc_auc_score(is_ood, -scores), fpr95(is_ood, -scores), fpr95(1 - is_ood, scores),
            metrics.average_precision_score(1 - is_ood, scores), metrics.average_precision_score(is_ood, -scores)]


# ---- File ------------------------------------------------------------------------------------------------


def save(path, tensors, metadata):
    names = {"float64": "F64", "float32": "F32", "uint32": "U32", "int32": "I32"}
    header, data = {"__metadata__": metadata}, b""
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": names[str(array.dtype)], "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    random = np.random.RandomState(1)
    tensors = {f"edges.{M}": logspace(1e3, M) for M in (4, 50, 500, 1000)}
    tensors["linear.50"] = np.linspace(0, 1, 50)
    total = np.zeros(SCORED)
    for l, (M, alpha, O, neurons) in enumerate(LAYERS):
        edges = logspace(1e3, M)
        assert len(edges) == M and edges[M // 2 - 1] == 0.5
        z, g = pairs(random, FIT + SCORED, neurons, alpha, edges)
        s = states(z, g, alpha)
        counts = hits(s[:FIT], edges).sum(axis=0)
        score = layer_scores(s[FIT:], edges, counts, O)
        total += score / len(LAYERS)
        tensors[f"{l}.z"], tensors[f"{l}.g"], tensors[f"{l}.states"] = z, g, s
        tensors[f"{l}.counts"], tensors[f"{l}.scores"] = counts.astype(np.uint32), score
    tensors["scores"] = total

    z, g = pairs(random, FIT, 16, 0.1, tensors["linear.50"])
    s = states(z, g, 0.1)
    assert (s == 1).any()
    counts = hits(s, tensors["linear.50"]).sum(axis=0)
    tensors["me.z"], tensors["me.g"], tensors["me.counts"] = z, g, counts.astype(np.uint32)
    tensors["me.value"] = np.array([(phi(counts, 5.0).sum(axis=0) / 50).mean()])

    for c, (ids, oods, levels) in enumerate([(57, 43, 0), (200, 100, 12), (20, 400, 3), (1, 1, 0), (100, 100, 0)]):
        a, b = random.normal(0.6, 0.2, ids), random.normal(0.4, 0.2, oods)
        if levels:  # few distinct scores: many ties within and between the sets
            a, b = np.round(a * levels) / levels, np.round(b * levels) / levels
        a, b = a.astype(np.float32), b.astype(np.float32)
        tensors[f"metrics.{c}.id"], tensors[f"metrics.{c}.ood"] = a, b
        tensors[f"metrics.{c}.values"] = np.array(measure(a, b))

    logits = (random.normal(0, 1, (6, 10)) * np.array([0, 0.1, 1, 10, 100, 1000])[:, None] + 50).astype(np.float32)
    wide = logits.astype(np.float64)
    p = np.exp(wide - wide.max(axis=1, keepdims=True))
    tensors["baselines.logits"] = logits
    tensors["baselines.energy"] = wide.max(axis=1) + np.log(p.sum(axis=1))
    tensors["baselines.probabilities"] = p / p.sum(axis=1, keepdims=True)

    layers = [{"M": M, "alpha": alpha, "O": O, "neurons": neurons} for M, alpha, O, neurons in LAYERS]
    OUT.mkdir(parents=True, exist_ok=True)
    save(OUT / "parity.safetensors", tensors, {"fit": str(FIT), "scored": str(SCORED), "layers": json.dumps(layers)})
    print(OUT / "parity.safetensors", (OUT / "parity.safetensors").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
