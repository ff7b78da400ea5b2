"""One ONNX operator against PyTorch autograd, as op_goldens.py says: what its families share."""

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

N, C, H, W = 2, 3, 5, 6

random = np.random.default_rng(2306_02879)
tensors, files, refused = {}, {}, []
X = random.standard_normal((N, C, H, W)).astype(np.float32)


def weights(*shape, scale=0.5):
    return (random.standard_normal(shape) * scale).astype(np.float32)


def floats(*numbers):
    return np.array(numbers, np.float32)


def ints(*numbers):
    return np.array(numbers, np.int64)


class Net:
    """Nodes and constants under construction: net("Conv", "x", w, pads=[...]) returns the output's name; arrays become constants."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def __call__(self, op, *inputs, outputs=1, **attributes):
        names = []
        for value in inputs:
            if not isinstance(value, str):
                self.constants.append(numpy_helper.from_array(np.asarray(value), f"c{len(self.constants)}"))
                value = self.constants[-1].name
            names.append(value)
        out = [f"{op.lower()}{len(self.nodes)}" + "_" * i for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, out, name=f"{op}_{len(self.nodes)}", **attributes))
        return out[0]

    def model(self, y, opset):
        self.nodes.append(helper.make_node("Flatten", [y], ["logits"], name="logits", axis=1))
        graph = helper.make_graph(
            self.nodes,
            "op",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [N, C, H, W])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
        return np.frombuffer(model.SerializeToString(), np.uint8)


def case(name, build, formula, opset=13):
    """build(net) -> name of y, whose first dim is N; formula(x) -> y in torch."""
    net = Net()
    files[f"{name}.onnx"] = net.model(build(net), opset)
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    logits = formula(x).reshape(N, -1)
    K = logits.shape[1]
    # -(1/K) sum log p, summed over the batch: its gradient at the logits is p - 1/K
    (-torch.log_softmax(logits, 1).mean(1)).sum().backward()
    assert torch.isfinite(logits).all() and torch.isfinite(x.grad).all(), name
    assert K < 1000, (name, K)
    tensors[f"{name}.logits"] = logits.detach().numpy().astype(np.float32)
    tensors[f"{name}.g"] = x.grad.numpy().astype(np.float32)


def refuse(name, build, opset=13):
    net = Net()
    files[f"{name}.onnx"] = net.model(build(net), opset)
    refused.append(name)


def t(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64)
