"""Joins small convolutions of one feature map into one, where a network is loaded.

SCRFD ends in three convolutions per feature map: 2 channels of scores, 8 of boxes, 20 of
landmarks. ONNX Runtime computes channels in blocks of 16 on a CPU, so they cost 16 + 16 + 32;
one convolution of 30 costs 32, with the same sums. `Slice` then takes it apart, so that the rest
of the network, whatever it is, finds its inputs under their names. YuNet's first layer of outputs,
1 + 4 + 1 + 10 channels, fills one block.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from screener.protobuf import COUNTED, VARINT, MalformedMessage, fields, write_bytes, write_number

# Field numbers of onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_MODEL_IR_VERSION, _MODEL_GRAPH, _MODEL_OPSET = 1, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _VALUE_NAME = 1, 5, 11, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER = 1, 3
_TENSOR_DIMENSION, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW_DATA = 1, 2, 8, 9
_FLOAT32, _INT64 = 1, 7

_BLOCK = 16
"""Channels that ONNX Runtime computes together with AVX-512; 8 without."""
_FIRST_IR = 4
"""Before it, every initializer had to be an input as well, and so could change."""
_FIRST_OPSET = 10
"""Since then `Slice` takes its bounds as inputs."""


class _Tensor(NamedTuple):
    shape: tuple[int, ...]
    data: bytes


class _Node(NamedTuple):
    raw: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    operator: bytes
    attributes: tuple[bytes, ...]


class _Graph(NamedTuple):
    nodes: list[_Node]
    constants: dict[bytes, _Tensor]
    names: set[bytes]
    """Taken ones, of nodes' inputs and outputs and of initializers."""
    rest: list[bytes]
    """Every other field as it stands."""


def join_convolutions(model: bytes) -> bytes:
    """The same network, fewer convolutions.

    Joined are those with one input and the same attributes, without groups, with float32 weights
    and biases, where padding to blocks costs less together than apart. A file that has none, or
    that is damaged, comes back as it is: loading it says what is wrong.
    """
    try:
        parts, graph = _parts(model, _MODEL_GRAPH)
        if graph is None or not _supported(model):
            return model
        joined = _joined(_read_graph(graph))
    except MalformedMessage:
        return model
    return model if joined is None else b"".join([*parts, write_bytes(_MODEL_GRAPH, joined)])


def _parts(model: bytes, wanted: int) -> tuple[list[bytes], bytes | None]:
    """(every other field as it stands, the contents of the last wanted one)"""
    others, found, begin = [], None, 0
    for field in fields(model, 0, len(model)):
        if field.number == wanted and field.wire == COUNTED:
            if found is not None:
                raise MalformedMessage("two graphs")
            found = model[field.start : field.end]
        else:
            others.append(model[begin : field.end])
        begin = field.end
    return others, found


def _supported(model: bytes) -> bool:
    ir_version = opset = 0
    for field in fields(model, 0, len(model)):
        if field.number == _MODEL_IR_VERSION:
            ir_version = field.value
        elif field.number == _MODEL_OPSET:
            parts = {part.number: part for part in fields(model, field.start, field.end)}
            domain, version = parts.get(_OPSET_DOMAIN), parts.get(_OPSET_VERSION)
            if version and (domain is None or domain.start == domain.end):
                opset = version.value
    return ir_version >= _FIRST_IR and opset >= _FIRST_OPSET


def _read_graph(data: bytes) -> _Graph:
    graph = _Graph([], {}, set(), [])
    inputs, begin = set(), 0
    for field in fields(data, 0, len(data)):
        contents, raw, begin = data[field.start : field.end], data[begin : field.end], field.end
        if field.number == _GRAPH_NODE and field.wire == COUNTED:
            node = _read_node(raw, contents)
            graph.nodes.append(node)
            graph.names.update(node.inputs, node.outputs)
            continue
        graph.rest.append(raw)
        if field.number == _GRAPH_INPUT:
            inputs.update(_texts(contents, _VALUE_NAME))
        elif field.number == _GRAPH_INITIALIZER:
            graph.names.update(_texts(contents, _TENSOR_NAME))
            graph.constants.update(_read_constant(contents))
    for name in inputs:
        # What a caller may replace is no constant.
        graph.constants.pop(name, None)
    return graph


def _read_node(raw: bytes, data: bytes) -> _Node:
    texts: defaultdict[int, list[bytes]] = defaultdict(list)
    for field in fields(data, 0, len(data)):
        texts[field.number].append(data[field.start : field.end])
    # Another domain's `Conv` is another operator.
    operator = b"" if any(texts[_NODE_DOMAIN]) else b"".join(texts[_NODE_OPERATOR])
    return _Node(
        raw,
        tuple(texts[_NODE_INPUT]),
        tuple(texts[_NODE_OUTPUT]),
        operator,
        tuple(sorted(texts[_NODE_ATTRIBUTE])),
    )


def _read_constant(data: bytes) -> dict[bytes, _Tensor]:
    shape, kind, name, raw = [], 0, b"", None
    for field in fields(data, 0, len(data)):
        if field.number == _TENSOR_DIMENSION and field.wire == VARINT:
            shape.append(field.value)
        elif field.number == _TENSOR_TYPE:
            kind = field.value
        elif field.number == _TENSOR_NAME:
            name = data[field.start : field.end]
        elif field.number == _TENSOR_RAW_DATA:
            raw = data[field.start : field.end]
    size = 4
    for side in shape:
        size *= side
    # Other ways to write numbers exist; such a constant is left alone.
    plain = kind == _FLOAT32 and shape and raw is not None and len(raw) == size
    return {name: _Tensor(tuple(shape), raw)} if raw and plain else {}


def _texts(data: bytes, number: int) -> list[bytes]:
    return [
        data[field.start : field.end]
        for field in fields(data, 0, len(data))
        if field.number == number
    ]


def _joined(graph: _Graph) -> bytes | None:
    alike: defaultdict[object, list[int]] = defaultdict(list)
    for position, node in enumerate(graph.nodes):
        if _is_plain_convolution(node, graph.constants):
            kernel = graph.constants[node.inputs[1]].shape[1:]
            alike[node.inputs[0], node.attributes, kernel].append(position)
    written = [node.raw for node in graph.nodes]
    added: list[bytes] = []
    for positions in alike.values():
        nodes = [graph.nodes[position] for position in positions]
        name = nodes[0].outputs[0] + b"/joined"
        channels = [graph.constants[node.inputs[1]].shape[0] for node in nodes]
        if _blocks([sum(channels)]) >= _blocks(channels):
            continue
        if any(taken.startswith(name) for taken in graph.names):
            continue
        new_nodes, tensors = _join(name, nodes, channels, graph.constants)
        added += tensors
        for position in positions:
            written[position] = b""
        # In the place of the first, where their input is there and no output is read yet.
        written[positions[0]] = new_nodes
    return b"".join([*written, *graph.rest, *added]) if added else None


def _is_plain_convolution(node: _Node, constants: dict[bytes, _Tensor]) -> bool:
    if node.operator != b"Conv" or len(node.inputs) != 3 or len(node.outputs) != 1:
        return False
    weights, bias = (constants.get(name) for name in node.inputs[1:])
    if weights is None or bias is None or bias.shape != weights.shape[:1]:
        return False
    return _groups(node.attributes) == 1


def _groups(attributes: Iterable[bytes]) -> int:
    for data in attributes:
        parts = {field.number: field for field in fields(data, 0, len(data))}
        name, value = parts.get(_ATTRIBUTE_NAME), parts.get(_ATTRIBUTE_INTEGER)
        if name and data[name.start : name.end] == b"group":
            return value.value if value else 0
    return 1


def _blocks(channels: Iterable[int]) -> int:
    return sum(-(-count // _BLOCK) for count in channels)


def _join(
    name: bytes, nodes: Sequence[_Node], channels: Sequence[int], constants: dict[bytes, _Tensor]
) -> tuple[bytes, list[bytes]]:
    """(nodes, initializers) as fields of the graph"""
    weights = [constants[node.inputs[1]] for node in nodes]
    biases = [constants[node.inputs[2]] for node in nodes]
    total = sum(channels)
    shape = (total, *weights[0].shape[1:])
    tensors = [
        _tensor(name + b"/weights", _FLOAT32, shape, b"".join(item.data for item in weights)),
        _tensor(name + b"/bias", _FLOAT32, (total,), b"".join(item.data for item in biases)),
        _tensor(name + b"/axis", _INT64, (1,), (1).to_bytes(8, "little")),
    ]
    inputs = (nodes[0].inputs[0], name + b"/weights", name + b"/bias")
    written = [_node(b"Conv", inputs, name, nodes[0].attributes)]
    begin = 0
    for node, count in zip(nodes, channels, strict=True):
        bounds = [name + b"/%d" % begin, name + b"/%d" % (begin + count)]
        written.append(_node(b"Slice", (name, *bounds, name + b"/axis"), node.outputs[0]))
        tensors.append(_tensor(bounds[0], _INT64, (1,), begin.to_bytes(8, "little")))
        begin += count
    tensors.append(_tensor(name + b"/%d" % total, _INT64, (1,), total.to_bytes(8, "little")))
    return b"".join(written), tensors


def _node(
    operator: bytes, inputs: Iterable[bytes], output: bytes, attributes: Iterable[bytes] = ()
) -> bytes:
    parts = [write_bytes(_NODE_INPUT, item) for item in inputs]
    parts += [write_bytes(_NODE_OUTPUT, output), write_bytes(_NODE_OPERATOR, operator)]
    parts += [write_bytes(_NODE_ATTRIBUTE, item) for item in attributes]
    return write_bytes(_GRAPH_NODE, b"".join(parts))


def _tensor(name: bytes, kind: int, shape: Iterable[int], data: bytes) -> bytes:
    parts = [write_number(_TENSOR_DIMENSION, side) for side in shape]
    parts += [write_number(_TENSOR_TYPE, kind), write_bytes(_TENSOR_NAME, name)]
    parts.append(write_bytes(_TENSOR_RAW_DATA, data))
    return write_bytes(_GRAPH_INITIALIZER, b"".join(parts))
