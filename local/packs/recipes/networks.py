"""ONNX files: made comparable from build to build, halved, and run for the comparison."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from local.packs.recipes.contract import Precision


def finish(path: Path, precision: Precision, metadata: Mapping[str, str]) -> None:
    """Rewrite an export so that the same weights give the same bytes, in the asked precision.

    Exporters note the date, and stack traces with folders of the machine they ran on.
    """
    model = onnx.load(path)
    _forget(model.graph)
    for function in model.functions:
        function.ClearField("doc_string")
        del function.metadata_props[:]
        for node in function.node:
            _forget_node(node)
    model.ClearField("doc_string")
    onnx.helper.set_model_props(model, dict(metadata))
    if precision is Precision.FP16:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = convert_float_to_float16(model, keep_io_types=True)
    onnx.save(model, path)
    if precision is Precision.INT8:
        _quantise(path)


def _quantise(path: Path) -> None:
    """Weights of matrix products to 8 bits per output channel; inputs follow call by call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        path, path, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True,
        weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip


def _forget(graph: onnx.GraphProto) -> None:
    graph.ClearField("doc_string")
    del graph.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.ClearField("doc_string")
        del value.metadata_props[:]
    for tensor in graph.initializer:
        tensor.ClearField("doc_string")
        del tensor.metadata_props[:]
    for node in graph.node:
        _forget_node(node)


def _forget_node(node: onnx.NodeProto) -> None:
    node.ClearField("doc_string")
    del node.metadata_props[:]
    for attribute in node.attribute:
        if attribute.HasField("g"):
            _forget(attribute.g)
        for graph in attribute.graphs:
            _forget(graph)


class Network:
    """A finished export with one input and one output, run on the CPU."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        # Not "all": ONNX Runtime 1.32 crashes on half-precision vision transformers when it
        # changes layouts for the CPU, where nobody would serve them.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        return np.asarray(self._session.run(None, {self._input: batch})[0], dtype=np.float32)


def smallest_cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Over the rows of two (n, D) arrays."""
    products = (left * right).sum(axis=1)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float((products / norms).min())
