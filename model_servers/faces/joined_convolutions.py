"""Joins small convolutions of one feature map into one, where a network is loaded.

SCRFD ends in three convolutions per feature map: 2 channels of scores, 8 of boxes, 20 of
landmarks. ONNX Runtime computes channels in blocks of 16 on a CPU, so they cost 16 + 16 + 32;
one convolution of 30 costs 32, with the same sums. `Slice` then takes it apart, so that the rest
of the network, whatever it is, finds its inputs under their names. YuNet's first layer of outputs,
1 + 4 + 1 + 10 channels, fills one block.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

_BLOCK = 16
"""Channels that ONNX Runtime computes together with AVX-512; 8 without."""
_FIRST_IR = 4
"""Before it, every initializer had to be an input as well, and so could change."""
_FIRST_OPSET = 10
"""Since then `Slice` takes its bounds as inputs."""

_Constants = Mapping[str, NDArray[np.float32]]


def join_convolutions(model: ModelProto) -> None:
    """The same network with fewer convolutions, in place.

    Joined are those with one input and the same attributes, without groups, with float32 weights
    and biases, where padding to blocks costs less together than apart.
    """
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    if model.ir_version < _FIRST_IR or opset < _FIRST_OPSET:
        return
    graph = model.graph
    replaceable = {entry.name for entry in graph.input}
    constants = {
        item.name: numpy_helper.to_array(item)
        for item in graph.initializer
        if item.data_type == TensorProto.FLOAT and item.name not in replaceable
    }
    alike: defaultdict[object, list[int]] = defaultdict(list)
    for position, node in enumerate(graph.node):
        if _is_plain_convolution(node, constants):
            kernel = constants[node.input[1]].shape[1:]
            alike[node.input[0], _attributes(node), kernel].append(position)
    written: list[list[NodeProto]] = [[node] for node in graph.node]
    for positions in alike.values():
        nodes = [graph.node[position] for position in positions]
        channels = [len(constants[node.input[1]]) for node in nodes]
        if _blocks([sum(channels)]) >= _blocks(channels):
            continue
        joined, tensors = _join(nodes, channels, constants)
        graph.initializer.extend(tensors)
        for position in positions:
            written[position] = []
        # In the place of the first, where their input is there and no output is read yet.
        written[positions[0]] = joined
    kept = [node for nodes in written for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def _is_plain_convolution(node: NodeProto, constants: _Constants) -> bool:
    # Another domain's `Conv` is another operator.
    if node.op_type != "Conv" or node.domain or len(node.input) != 3:
        return False
    weights, bias = (constants.get(name) for name in node.input[1:])
    if weights is None or bias is None or bias.shape != weights.shape[:1]:
        return False
    return next((item.i for item in node.attribute if item.name == "group"), 1) == 1


def _attributes(node: NodeProto) -> tuple[bytes, ...]:
    return tuple(sorted(item.SerializeToString(deterministic=True) for item in node.attribute))


def _blocks(channels: Iterable[int]) -> int:
    return sum(-(-count // _BLOCK) for count in channels)


def _join(
    nodes: Sequence[NodeProto], channels: Sequence[int], constants: _Constants
) -> tuple[list[NodeProto], list[TensorProto]]:
    """One convolution and what takes it apart: (nodes, initializers)."""
    name = f"{nodes[0].output[0]}/joined"
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "weights": np.concatenate([constants[node.input[1]] for node in nodes]),
        "bias": np.concatenate([constants[node.input[2]] for node in nodes]),
        "axis": np.array([1], np.int64),
    }
    convolution = helper.make_node(
        "Conv", [nodes[0].input[0], f"{name}/weights", f"{name}/bias"], [name]
    )
    convolution.attribute.extend(nodes[0].attribute)
    joined = [convolution]
    ends = np.cumsum(channels)
    for node, begin, end in zip(nodes, ends - channels, ends, strict=True):
        arrays |= {str(bound): np.array([bound], np.int64) for bound in (begin, end)}
        bounds = [f"{name}/{part}" for part in (begin, end, "axis")]
        joined.append(helper.make_node("Slice", [name, *bounds], [node.output[0]]))
    tensors = [numpy_helper.from_array(array, f"{name}/{key}") for key, array in arrays.items()]
    return joined, tensors
