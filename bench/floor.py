"""What no arrangement of the same arithmetic can beat on this machine.

Two floors: the multiplications of the networks at the measured rate of large matrix products,
and the networks alone, as ONNX Runtime runs them, without decoding or anything. Both in
processor time, which holds on a machine that is busy otherwise.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime

_SIDE = 1536


class Network(NamedTuple):
    """One network and the input of one frame."""

    path: Path
    shape: tuple[int, ...]
    calls_per_frame: float = 1.0


def gemm_rate() -> float:
    """Floating-point operations of float32 matrix products per second of one core."""
    session = onnxruntime.InferenceSession(_matrix_product(), _options())
    a = np.random.default_rng(0).random((_SIDE, _SIDE), np.float32)
    session.run(None, {"a": a, "b": a})
    best = min(_cpu_s(lambda: session.run(None, {"a": a, "b": a})) for _ in range(12))
    return 2 * _SIDE**3 / best


def _matrix_product() -> bytes:
    size = [_SIDE, _SIDE]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [value("a", onnx.TensorProto.FLOAT, size), value("b", onnx.TensorProto.FLOAT, size)],
        [value("c", onnx.TensorProto.FLOAT, size)],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    data: bytes = onnx.helper.make_model(
        graph, opset_imports=opset, ir_version=9
    ).SerializeToString()
    return data


def operations(network: Network) -> float:
    """Floating-point operations of one frame in convolutions and matrix products."""
    model = onnx.load(str(network.path))
    entry = model.graph.input[0].type.tensor_type.shape
    for dimension, size in zip(entry.dim, network.shape, strict=True):
        dimension.dim_value = size
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input]
    }
    weights = {item.name: list(item.dims) for item in inferred.graph.initializer}
    total = 0.0
    for node in inferred.graph.node:
        if node.op_type == "Conv":
            kernel = weights.get(node.input[1]) or shapes[node.input[1]]
            total += 2 * np.prod(kernel[1:]) * np.prod(shapes[node.output[0]])
        elif node.op_type in ("MatMul", "Gemm"):
            inner = (shapes.get(node.input[0]) or weights[node.input[0]])[-1]
            total += 2 * inner * np.prod(shapes[node.output[0]])
    return total * network.calls_per_frame


def networks_alone(networks: Sequence[Network], frames: int) -> float:
    """Processor time of `frames` frames through the networks, one at a time on one core."""
    random = np.random.default_rng(0)
    total = 0.0
    for network in networks:
        session = onnxruntime.InferenceSession(str(network.path), _options())
        feed = {session.get_inputs()[0].name: random.random(network.shape, np.float32)}
        session.run(None, feed)
        # The best of several, as everywhere: what disturbs only ever adds.
        best = min(_cpu_s(lambda: session.run(None, feed)) for _ in range(20))  # noqa: B023
        total += best * frames * network.calls_per_frame
    return total


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
