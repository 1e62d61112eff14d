import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from local.packs.recipes.dfl import fuse_distribution_mean


def head(axis: int = 1, reads: int = 1) -> onnx.ModelProto:
    """A YOLO head's last step: 16 distances per side to their mean."""
    nodes = [
        helper.make_node("Softmax", ["x"], ["shares"], axis=axis),
        helper.make_node("Conv", ["shares", "bins"], ["y"], kernel_shape=[1, 1]),
    ]
    outputs = ["y"]
    if reads > 1:
        nodes.append(helper.make_node("Identity", ["shares"], ["z"]))
        outputs.append("z")
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16, 4, "anchors"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1), "bins")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def run(model: onnx.ModelProto, logits: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": logits})[0]


@pytest.mark.parametrize("spread", [0.1, 5, 20])
def test_the_mean_of_each_distribution_stays(spread: float) -> None:
    logits = np.random.default_rng(4).normal(size=(2, 16, 4, 50)).astype(np.float32) * spread
    expected = run(head(), logits)
    model = head()
    assert fuse_distribution_mean(model)
    assert "Softmax" not in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(run(model, logits), expected, atol=1e-4)


def test_logits_beyond_any_networks_give_no_infinity() -> None:
    model = head()
    fuse_distribution_mean(model)
    logits = np.full((1, 16, 4, 3), -1e4, np.float32)
    logits[:, 5] = 1e4
    np.testing.assert_allclose(run(model, logits), 5, atol=1e-5)


@pytest.mark.parametrize("model", [head(axis=2), head(reads=2)], ids=["axis", "read twice"])
def test_another_kind_of_head_stays_as_it_is(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert not fuse_distribution_mean(model)
    assert model.SerializeToString() == before
