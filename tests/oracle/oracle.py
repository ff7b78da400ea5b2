"""What the oracle scripts share: networks made sane, exported with named taps, and differentiated by PyTorch autograd."""

import json
import struct

import numpy as np
import onnx
import torch
import torch.nn as nn
from torch.onnx import register_custom_op_symbolic

# PyTorch 1.13 cannot export x.zero_(), by which Swin v2 drops the bias of its keys; later versions write the same.
register_custom_op_symbolic("aten::zero", lambda g, x: g.op("Mul", x, g.op("Constant", value_t=torch.tensor(0.0))), 9)


def save_safetensors(path, tensors, metadata=None):
    """The container is 8 bytes of header length, a JSON header, then the tensors: too small to need a library."""
    names = {np.dtype("float32"): "F32", np.dtype("uint8"): "U8", np.dtype("float64"): "F64", np.dtype("int32"): "I32"}
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(np.ascontiguousarray(a).tobytes() for a in tensors.values()))


def randomise_transformer(network):
    """torchvision's own initialisation makes attention uniform and layer scales next to nothing: what would go wrong there could not be seen."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        for name, parameter in module.named_parameters(recurse=False):
            if name == "layer_scale":
                nn.init.uniform_(parameter, 0.5, 1.5)
            elif "position" in name or "pos_embedding" in name or name == "class_token":
                nn.init.normal_(parameter, std=0.5)


def randomise(network, images, scale=(0.5, 1.5), bias=(-0.5, 0.5)):
    """Random affine batch norms with the statistics of these images, so that activations keep a sane scale; group norms have no statistics."""
    if any(isinstance(m, nn.LayerNorm) for m in network.modules()):
        randomise_transformer(network)
    classifiers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    if classifiers:
        nn.init.normal_(classifiers[-1].weight, std=0.5)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.uniform_(module.weight, *scale)
            nn.init.uniform_(module.bias, *bias)
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(images)
    return network.eval()


POOLS = {
    "sum": lambda t: t.flatten(2).sum(2) if t.dim() == 4 else t.sum(1) if t.dim() == 3 else t,
    "nhwc": lambda t: t.sum((1, 2)),
    "cls": lambda t: t[:, 0],
    "none": lambda t: t.flatten(1),
}


def batch_first(tensor, batch):
    """Tokens [T,N,C] as [N,T,C]; anything else as it is."""
    return tensor.transpose(0, 1) if tensor.dim() == 3 and tensor.shape[0] != batch == tensor.shape[1] else tensor


def split_tap(tap):
    """A module's name and the pool of its output, as --layers writes them: "encoder.ln=cls", by default a sum."""
    name, _, pool = tap.partition("=")
    return name, pool or "sum"


def pooled_states(network, taps, images):
    """logits, and per tap z and g: each pooled on its own; one backward from p - 1/K, nothing divided by the batch."""
    pools = dict(map(split_tap, taps))
    taps = list(pools)
    modules = dict(network.named_modules())
    outputs = {}
    hooks = [modules[t].register_forward_hook(lambda m, i, o, t=t: outputs.__setitem__(t, o)) for t in taps]
    logits = network(images)
    for hook in hooks:
        hook.remove()
    loss = -torch.log_softmax(logits, 1).mean(1).sum()
    gradients = torch.autograd.grad(loss, [outputs[t] for t in taps])
    pooled = lambda t, tensor: POOLS[pools[t]](batch_first(tensor, len(images))).detach()
    return logits.detach(), {t: (pooled(t, outputs[t]), pooled(t, g)) for t, g in zip(taps, gradients)}


def export(network, taps, images, path, opset=13):
    """Exports with the taps as extra outputs, then renames those tensors to the taps' names and drops the extra outputs."""
    taps = [split_tap(tap)[0] for tap in taps]

    class Tapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            kept = {}
            modules = dict(self.network.named_modules())
            hooks = [modules[t].register_forward_hook(lambda m, i, o, t=t: kept.__setitem__(t, o)) for t in taps]
            logits = self.network(x)
            for hook in hooks:
                hook.remove()
            return (logits, *[kept[t] for t in taps])

    # eval(): the exporter puts the mode back that it found, and a new module is found in training.
    torch.onnx.export(Tapped().eval(), images[:1].float(), str(path), opset_version=opset, input_names=["input"], output_names=["logits", *taps],
                      dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, do_constant_folding=True)
    model = onnx.load(str(path))
    del model.graph.output[1:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def smooth_images(count, size):
    """uint8 [count, 3, size, size]: smooth random fields with some noise; neighbouring pixels agree, as in photographs."""
    coarse = torch.randn(count, 3, 5, 5)
    fields = nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    return (fields * 50 + torch.randn_like(fields) * 10 + 128).clamp(0, 255).to(torch.uint8)
