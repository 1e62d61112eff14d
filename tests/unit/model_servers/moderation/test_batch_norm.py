"""Subtractions become additions that ONNX Runtime folds, and nothing else changes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model_servers.moderation.batch_norm import subtractions_as_additions

MEAN = np.array([1.5, -2.0, 0.0], np.float32)


def network(*nodes: onnx.NodeProto, outputs: tuple[str, ...] = ("y",)) -> bytes:
    row = ["n", 3]
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, row)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, row) for name in outputs],
        [
            numpy_helper.from_array(MEAN, "mean"),
            numpy_helper.from_array(np.array([2.0, 3.0, 4.0], np.float32), "scale"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def outputs(model: bytes) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array([[0.1, 0.2, 0.3], [-1e6, 7, 1e-9]], np.float32)})


def test_a_constant_subtracted_is_its_negative_added_bit_for_bit() -> None:
    before = network(
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["y"]),
    )
    after = subtractions_as_additions(before)
    assert operators(after) == ["Add", "Mul"]
    assert len(after) == len(before)
    assert np.array_equal(outputs(before)[0], outputs(after)[0])
    onnx.checker.check_model(onnx.load_from_string(after))


@pytest.mark.parametrize(
    "model",
    [
        network(
            helper.make_node("Sub", ["x", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "mean"], ["y"]),
        ),
        network(helper.make_node("Sub", ["mean", "x"], ["y"])),
        network(
            helper.make_node("Sub", ["x", "mean"], ["y"]),
            outputs=("y", "mean"),
        ),
        network(
            helper.make_node("Abs", ["x"], ["distance"]),
            helper.make_node("Sub", ["x", "distance"], ["y"]),
        ),
    ],
    ids=["constant used twice", "constant on the left", "constant is an output", "no constant"],
)
def test_a_subtraction_whose_constant_is_not_its_own_stays(model: bytes) -> None:
    assert subtractions_as_additions(model) == model


@pytest.mark.parametrize("kept", [0, 1, 20, -3])
def test_a_damaged_file_comes_back_as_it_is(kept: int) -> None:
    damaged = network(helper.make_node("Sub", ["x", "mean"], ["y"]))[:kept]
    assert subtractions_as_additions(damaged) == damaged
    assert subtractions_as_additions(b"not a network at all") == b"not a network at all"
