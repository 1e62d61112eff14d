"""The last step of a YOLOv8 head, rewritten where a network is loaded so that a CPU runs it faster.

Each side of a box is a distribution over 16 distances whose mean is wanted. Exports have softmax
over an axis that is not the last, which ONNX Runtime turns round, runs in rows of 16, and turns
back. Weighted sum and plain sum of the exponentials, then one division, is the same number. Heads
of NudeNet and of Ultralytics' detectors look alike.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

_LARGEST = 80.0
"""Exponents are cut here, for e^89 is no float32. Heads give -20 to 20."""


def fuse_distribution_mean(model: ModelProto) -> None:
    """Rewrite softmax and the convolution that takes the mean, in place.

    A network that does not have exactly that, once, in float32, stays as it is.
    """
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = [
        (softmax, mean)
        for softmax in graph.node
        if softmax.op_type == "Softmax" and _axis(softmax) == 1
        for mean in readers.get(softmax.output[0], [])
        if mean.op_type == "Conv" and len(mean.input) == 2 and mean.input[1] in constants
    ]
    if len(found) != 1 or len(readers[found[0][0].output[0]]) != 1:
        return
    softmax, mean = found[0]
    weights = numpy_helper.to_array(constants[mean.input[1]])
    # Half precision could not hold the exponentials.
    if weights.dtype != np.float32 or weights.shape[0] != 1 or weights.shape[2:] != (1, 1):
        return
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.output[0] == mean.output[0]:
            nodes += _mean(graph, softmax.input[0], mean.output[0], weights)
        elif node.output[0] != softmax.output[0]:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _mean(
    graph: GraphProto, logits: str, output: str, weights: NDArray[np.float32]
) -> list[NodeProto]:
    both = np.concatenate([weights, np.ones_like(weights)])
    constants = {
        "dfl_low": np.float32(-_LARGEST),
        "dfl_high": np.float32(_LARGEST),
        "dfl_both": both,
        "dfl_0": np.array([0], np.int64),
        "dfl_1": np.array([1], np.int64),
        "dfl_2": np.array([2], np.int64),
    }
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    node = helper.make_node
    return [
        node("Clip", [logits, "dfl_low", "dfl_high"], ["dfl_clipped"]),
        node("Exp", ["dfl_clipped"], ["dfl_powers"]),
        node("Conv", ["dfl_powers", "dfl_both"], ["dfl_sums"], kernel_shape=[1, 1]),
        node("Slice", ["dfl_sums", "dfl_0", "dfl_1", "dfl_1"], ["dfl_weighted"]),
        node("Slice", ["dfl_sums", "dfl_1", "dfl_2", "dfl_1"], ["dfl_plain"]),
        node("Div", ["dfl_weighted", "dfl_plain"], [output]),
    ]


def _axis(node: NodeProto) -> int:
    return next((int(item.i) for item in node.attribute if item.name == "axis"), -1)
