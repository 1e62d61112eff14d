"""The networks alone on the GPU, in ONNX Runtime, by batch size and precision.

"Resident" inputs lie in GPU memory already: what the card can do. "From host" inputs are NumPy
arrays that every call copies over, as the servers do. The floor is the arithmetic at the rate of
a large half-precision matrix product on the same card.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from bench import floor
from model_servers.serving.session import CPU, CUDA

_LONG_ENOUGH_S = 0.4
_SIDE = 8192


class Speed(NamedTuple):
    """One network at one precision and batch size; times per frame."""

    network: str
    precision: str
    batch: int
    resident_ms: float
    from_host_ms: float
    gflop: float
    """Multiplications and additions of one frame, 10^9."""

    def share_of_peak(self, peak: float) -> float:
        """Part of `peak` operations a second that the resident run reaches."""
        return self.gflop * 1e9 / (self.resident_ms / 1000) / peak


def measure(
    name: str, path: Path, shape: tuple[int, ...], batches: Sequence[int], *, halve: bool
) -> list[Speed]:
    """Time one network; `shape` is a frame's input without the batch, the batch must be free.

    `halve` converts the weights to half precision first, inputs and outputs staying float32.
    """
    model = onnx.load(str(path))
    if halve:
        model = convert_float_to_float16(model, keep_io_types=True)
    session = _session(model.SerializeToString())
    gflop = floor.operations(floor.Network(path, (1, *shape))) / 1e9
    random = np.random.default_rng(0)
    speeds = []
    for batch in batches:
        host = random.random((batch, *shape), np.float32)
        feed = {session.get_inputs()[0].name: host}
        speeds.append(
            Speed(
                network=name,
                precision="fp16" if halve else "fp32",
                batch=batch,
                resident_ms=_seconds(_resident(session, host)) * 1000 / batch,
                from_host_ms=_seconds(lambda: session.run(None, feed)) * 1000 / batch,  # noqa: B023
                gflop=gflop,
            )
        )
    return speeds


def half_precision_rate() -> float:
    """Operations a second of a half-precision matrix product of 8192 x 8192, random numbers."""
    side = [_SIDE, _SIDE]
    weight = np.random.default_rng(1).standard_normal((_SIDE, _SIDE)).astype(np.float16)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT16, side)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT16, side)],
        [numpy_helper.from_array(weight, "b")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    session = _session(model.SerializeToString())
    return float(2 * _SIDE**3 / _seconds(_resident(session, weight)))


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=[CUDA, CPU])


def _resident(session: onnxruntime.InferenceSession, host: np.ndarray) -> Callable[[], None]:
    binding = session.io_binding()
    binding.bind_ortvalue_input(
        session.get_inputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(host, "cuda", 0)
    )
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def _seconds(work: Callable[[], object]) -> float:
    """Median seconds of one call, after three that choose algorithms."""
    for _ in range(3):
        work()
    taken: list[float] = []
    deadline = time.perf_counter() + _LONG_ENOUGH_S
    while len(taken) < 5 or time.perf_counter() < deadline:
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))
