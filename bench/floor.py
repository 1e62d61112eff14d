"""What no arrangement of the same arithmetic can beat on this machine.

Two floors: the multiplications of the networks at the measured rate of large matrix products,
and the networks alone, as ONNX Runtime runs them on every core, without decoding or anything.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
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


def gemm_rate(cores: int) -> float:
    """Floating-point operations per second of float32 matrix products on all cores at once."""
    with get_context("spawn").Pool(cores) as pool:
        return sum(pool.map(_gemm_rate_of_one_core, range(cores)))


def _gemm_rate_of_one_core(_: int) -> float:
    session = onnxruntime.InferenceSession(_matrix_product(), _options())
    a = np.random.default_rng(0).random((_SIDE, _SIDE), np.float32)
    session.run(None, {"a": a, "b": a})
    best = min(_timed(lambda: session.run(None, {"a": a, "b": a})) for _ in range(8))
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


def networks_alone(networks: Sequence[Network], frames: int, cores: int) -> float:
    """Seconds for `frames` frames through the networks, one frame per core at a time."""
    random = np.random.default_rng(0)
    prepared = []
    for network in networks:
        session = onnxruntime.InferenceSession(str(network.path), _options())
        name = session.get_inputs()[0].name
        prepared.append((session, {name: random.random(network.shape, np.float32)}, network))

    def one(frame: int) -> None:
        for session, feed, network in prepared:
            calls = int((frame + 1) * network.calls_per_frame) - int(
                frame * network.calls_per_frame
            )
            for _ in range(calls):
                session.run(None, feed)

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(one, range(2 * cores)))
        return _timed(lambda: list(pool.map(one, range(frames))))


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _timed(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started
