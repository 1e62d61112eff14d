import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from local.packs.recipes.contract import Precision
from local.packs.recipes.networks import Network, finish, smallest_cosine


@pytest.fixture
def exported(tmp_path):
    """A small network as an exporter leaves it, with a date and a folder in its notes."""

    def make(note: str):
        weights = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)
        node = helper.make_node("MatMul", ["x", "w"], ["y"], doc_string=f"/home/{note}/model.py")
        helper.set_model_props(node, {"stack_trace": note})
        graph = helper.make_graph(
            [node],
            "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
            [numpy_helper.from_array(weights, "w")],
            doc_string=note,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10, doc_string=note
        )
        helper.set_model_props(model, {"date": note})
        path = tmp_path / f"{note}.onnx"
        onnx.save(model, path)
        return path, weights

    return make


def test_the_same_weights_give_the_same_bytes_whatever_the_exporter_noted(exported):
    (one, _), (two, _) = exported("monday"), exported("tuesday")
    for path in (one, two):
        finish(path, Precision.FP32, {"names": "{0: 'cat'}"})
    assert one.read_bytes() == two.read_bytes()
    properties = {item.key: item.value for item in onnx.load(one).metadata_props}
    assert properties == {"names": "{0: 'cat'}"}


def test_a_branch_of_a_condition_is_cleaned_as_well(tmp_path):
    def branch(name):
        constant = helper.make_node("Constant", [], ["z"], value_float=1.0, doc_string="noted")
        value = helper.make_tensor_value_info("z", TensorProto.FLOAT, [])
        return helper.make_graph([constant], name, [], [value], doc_string="noted")

    node = helper.make_node("If", ["x"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    graph = helper.make_graph(
        [node],
        "outer",
        [helper.make_tensor_value_info("x", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    path = tmp_path / "model.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path
    )
    finish(path, Precision.FP32, {})
    assert b"noted" not in path.read_bytes()
    assert Network(path)(np.array(True)) == 1.0


def test_half_precision_halves_the_weights_and_keeps_float32_at_both_ends(exported):
    path, weights = exported("half")
    finish(path, Precision.FP16, {})
    [tensor] = onnx.load(path).graph.initializer
    assert tensor.data_type == TensorProto.FLOAT16
    batch = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    found = Network(path)(batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, batch @ weights, atol=0.02)


def test_the_smallest_cosine_is_that_of_the_worst_row():
    left = np.array([[1, 0], [1, 1]], dtype=np.float32)
    right = np.array([[2, 0], [1, 0]], dtype=np.float32)
    assert smallest_cosine(left, right) == pytest.approx(0.5**0.5)


def test_8_bits_quarter_the_weights_and_keep_float32_at_both_ends(tmp_path):
    weights = np.random.default_rng(1).normal(size=(256, 64)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 256])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "model.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    size = path.stat().st_size
    finish(path, Precision.INT8, {})
    assert path.stat().st_size < 0.3 * size
    batch = np.random.default_rng(2).normal(size=(3, 256)).astype(np.float32)
    found = Network(path)(batch)
    assert found.dtype == np.float32
    assert smallest_cosine(found, batch @ weights) > 0.999
