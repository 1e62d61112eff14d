"""Lets ONNX Runtime fold OpenNSFW's batch normalisation into its convolutions.

The export writes a normalisation as `Sub`, `Mul` and `Add` of constants after each convolution.
ONNX Runtime folds `Mul` and `Add` but not `Sub`. Subtracting m is adding -m, with the same bits
as the result, so the file is changed in memory where it stands: the operator's name, which is as
long, and the signs of the constant. That needs none of the `onnx` package, which no server has.
"""

from collections import Counter

import numpy as np

from screener.protobuf import Field, MalformedMessage, fields

# Field numbers of onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OPERATOR = 1, 4
_TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW_DATA = 2, 8, 9
_VALUE_NAME = 1
_FLOAT32 = 1


def subtractions_as_additions(model: bytes) -> bytes:
    """The same network with `x - constant` written as `x + -constant`, float32 constants only.

    What is not such a network, or is damaged, comes back as it is: loading it says what is wrong.
    """
    data = bytearray(model)
    try:
        for graph in fields(data, 0, len(data)):
            if graph.number == _MODEL_GRAPH:
                _rewrite(data, graph)
    except MalformedMessage:
        return model
    return bytes(data)


def _rewrite(data: bytearray, graph: Field) -> None:
    constants: dict[bytes, Field] = {}
    uses: Counter[bytes] = Counter()
    subtractions: list[tuple[bytes, Field]] = []
    for part in fields(data, graph.start, graph.end):
        if part.number == _GRAPH_INITIALIZER:
            constants |= _float32_constant(data, part)
        elif part.number == _GRAPH_NODE:
            inputs, operator = _node(data, part)
            uses.update(inputs)
            if operator and data[operator.start : operator.end] == b"Sub" and len(inputs) == 2:
                subtractions.append((inputs[1], operator))
        elif part.number == _GRAPH_OUTPUT:
            uses.update(
                _text(data, field)
                for field in fields(data, part.start, part.end)
                if field.number == _VALUE_NAME
            )
    for name, operator in subtractions:
        # A constant that something else reads too has to keep its sign.
        if name in constants and uses[name] == 1:
            raw = constants[name]
            values = np.frombuffer(data, "<f4", (raw.end - raw.start) // 4, raw.start)
            np.negative(values, out=values)
            data[operator.start : operator.end] = b"Add"


def _node(data: bytearray, node: Field) -> tuple[list[bytes], Field | None]:
    inputs, operator = [], None
    for field in fields(data, node.start, node.end):
        if field.number == _NODE_INPUT:
            inputs.append(_text(data, field))
        elif field.number == _NODE_OPERATOR:
            operator = field
    return inputs, operator


def _float32_constant(data: bytearray, tensor: Field) -> dict[bytes, Field]:
    parts = {field.number: field for field in fields(data, tensor.start, tensor.end)}
    name, kind = parts.get(_TENSOR_NAME), parts.get(_TENSOR_TYPE)
    raw = parts.get(_TENSOR_RAW_DATA)
    if name is None or kind is None or kind.value != _FLOAT32 or raw is None:
        return {}
    return {_text(data, name): raw}


def _text(data: bytearray, field: Field) -> bytes:
    return bytes(data[field.start : field.end])
