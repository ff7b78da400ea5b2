"""A network's forward AND backward as one plain ONNX inference graph: what a browser runtime without gradients can be made to do.

Reverse-mode differentiation over the few operators of the measured networks (batch norms are folded by the exporter): the root is
softmax(logits) - 1/K, a convolution goes back by ConvTranspose with the very same weight, Relu and Clip by
Greater/Less and Where. The outputs are the logits and each tap's gradient summed over H and W.
"""

import onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np


class Backward:
    def __init__(self, model, taps):
        self.model = onnx.shape_inference.infer_shapes(model)
        self.graph = self.model.graph
        self.taps = taps
        self.nodes = []
        self.constants = {}
        self.shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in [*self.graph.value_info, *self.graph.input, *self.graph.output]}
        self.weights = {i.name for i in self.graph.initializer}

    def emit(self, op, inputs, **attributes):
        output = f"backward_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, value):
        array = np.asarray(value)
        name = f"backward_constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def float(self, value):
        return self.constant(np.float32(value))

    def convolution(self, node, dy):
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        strides, pads, kernel = attributes["strides"], attributes["pads"], attributes["kernel_shape"]
        x, y = self.shapes[node.input[0]], self.shapes[node.output[0]]
        adjustment = [x[2 + i] - ((y[2 + i] - 1) * strides[i] + kernel[i] - pads[i] - pads[2 + i]) for i in range(2)]
        return self.emit("ConvTranspose", [dy, node.input[1]], strides=strides, pads=pads, kernel_shape=kernel, group=attributes["group"], output_padding=adjustment)

    def clip(self, node, dy):
        above = self.emit("Greater", [node.output[0], self.float(0)])
        inside = self.emit("And", [above, self.emit("Less", [node.output[0], self.float(6)])])
        return self.emit("Where", [inside, dy, self.float(0)])

    def pool(self, node, dy):
        shape = self.shapes[node.input[0]]
        scaled = self.emit("Mul", [dy, self.float(1 / (shape[2] * shape[3]))])
        return self.emit("Expand", [scaled, self.constant(np.array(shape, np.int64))])

    def node_backward(self, node, dy):
        """[(input, its gradient)]"""
        x = node.input[0]
        if node.op_type == "Conv":
            return [(x, self.convolution(node, dy))]
        if node.op_type == "Relu":
            return [(x, self.emit("Where", [self.emit("Greater", [node.output[0], self.float(0)]), dy, self.float(0)]))]
        if node.op_type == "Clip":
            return [(x, self.clip(node, dy))]
        if node.op_type == "Add":
            return [(i, dy) for i in node.input]
        if node.op_type == "GlobalAveragePool":
            return [(x, self.pool(node, dy))]
        if node.op_type == "Flatten":
            return [(x, self.emit("Reshape", [dy, self.constant(np.array(self.shapes[x], np.int64))]))]
        if node.op_type == "Gemm":
            return [(x, self.emit("MatMul", [dy, node.input[1]]))]
        if node.op_type in ("Identity", "Dropout"):
            return [(x, dy)]
        raise NotImplementedError(node.op_type)

    def build(self):
        wanted = set(self.taps)
        for node in self.graph.node:
            if any(i in wanted for i in node.input):
                wanted.update(node.output)
        logits = self.graph.output[0].name
        classes = self.shapes[logits][1]
        probabilities = self.emit("Softmax", [logits], axis=1)
        gradients = {logits: self.emit("Sub", [probabilities, self.float(1 / classes)])}
        for node in reversed(self.graph.node):
            dy = gradients.get(node.output[0])
            if dy is None or not any(i in wanted for i in node.input):
                continue
            for name, dx in self.node_backward(node, dy):
                if name in wanted and name not in self.weights:
                    gradients[name] = self.emit("Add", [gradients[name], dx]) if name in gradients else dx
        for tap in self.taps:
            g = gradients[tap]
            if len(self.shapes[tap]) == 4:
                g = self.emit("ReduceSum", [g, self.constant(np.array([2, 3], np.int64))], keepdims=0)
            self.nodes.append(helper.make_node("Identity", [g], [f"{tap}.g"]))
            self.graph.output.append(helper.make_tensor_value_info(f"{tap}.g", TensorProto.FLOAT, [1, self.shapes[tap][1]]))
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.constants.values())
        del self.graph.value_info[:]
        onnx.checker.check_model(self.model)
        return self.model


def write_backward(model, taps):
    """A copy of `model`, batch 1, with the backward pass to `taps` (tensor names) written out."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    fixed.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    return Backward(fixed, taps).build()
