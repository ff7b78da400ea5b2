"""An ONNX file as something that a program without protobuf reads: NAME.graph.json (nodes, attributes, where each weight lies) and
NAME.weights.bin (float32, end to end). For peers that read no ONNX.

    /usr/bin/python3 bench/unpack.py .cache/bench/models/resnet18.onnx
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper


def main():
    path = pathlib.Path(sys.argv[1])
    graph = onnx.load(str(path)).graph
    weights, offset = {}, 0
    with open(path.with_suffix(".weights.bin"), "wb") as file:
        for tensor in graph.initializer:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            weights[tensor.name] = {"offset": offset, "dims": list(array.shape)}
            offset += array.size
            file.write(array.tobytes())
    nodes = [
        {"op": node.op_type, "inputs": list(node.input), "output": node.output[0], "attributes": {a.name: helper.get_attribute_value(a) for a in node.attribute if a.type in (onnx.AttributeProto.INT, onnx.AttributeProto.INTS, onnx.AttributeProto.FLOAT)}}
        for node in graph.node
    ]
    inputs = [i.name for i in graph.input if i.name not in weights]
    document = {"input": inputs[0], "output": graph.output[0].name, "nodes": nodes, "weights": weights}
    path.with_suffix(".graph.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main()
