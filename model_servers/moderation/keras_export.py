"""Undoes what hides parts of OpenNSFW's network, an export from Keras, from ONNX Runtime."""

from collections import Counter
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def add_instead_of_subtracting(model: ModelProto) -> None:
    """Write `x - constant` as `x + -constant`, in place; float32 constants only.

    The export writes a batch normalisation as `Sub`, `Mul` and `Add` of constants after each
    convolution. ONNX Runtime folds `Mul` and `Add` into the convolution, but not `Sub`.
    """
    graph = model.graph
    constants = {
        item.name: item for item in graph.initializer if item.data_type == TensorProto.FLOAT
    }
    uses = Counter(name for node in graph.node for name in node.input)
    # What a caller reads, or may replace, keeps its sign.
    uses.update(entry.name for entry in (*graph.input, *graph.output))
    for node in graph.node:
        if node.op_type != "Sub" or node.input[1] not in constants or uses[node.input[1]] != 1:
            continue
        constant = constants[node.input[1]]
        negative = np.negative(numpy_helper.to_array(constant))
        constant.CopyFrom(numpy_helper.from_array(negative, constant.name))
        node.op_type = "Add"


def pool_with_own_padding(model: ModelProto) -> None:
    """Let a pooling of the largest pad by itself, in place.

    The export repeats the last row and column with a `Pad` of its own, by amounts that it computes
    from the shape: what TensorFlow calls `same`. No repeated value changes which is the largest.
    With it, ONNX Runtime turned the largest feature map out of its blocks of channels and back.

    For CPUs only: on CUDA, ONNX Runtime hands cuDNN the padding of the near sides for both, and
    `same` pads the far ones (https://github.com/microsoft/onnxruntime/pull/29631 says where).
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        pad = makers.get(node.input[0]) if node.op_type == "MaxPool" else None
        if pad is None or pad.op_type != "Pad" or _attribute(pad, "mode") != b"edge":
            continue
        if any(_attribute(node, "pads") or []) or pad.input[1] not in makers:
            continue
        node.input[0] = pad.input[0]
        others = [item for item in node.attribute if item.name != "pads"]
        del node.attribute[:]
        node.attribute.extend([*others, helper.make_attribute("auto_pad", "SAME_UPPER")])
    _drop_unread(model)


def _attribute(node: NodeProto, name: str) -> Any:
    found = [item for item in node.attribute if item.name == name]
    return helper.get_attribute_value(found[0]) if found else None


def _drop_unread(model: ModelProto) -> None:
    """ONNX Runtime computes nodes whose outputs nothing reads, in its blocks of channels or not."""
    graph = model.graph
    read = {entry.name for entry in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            kept.append(node)
            read.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
