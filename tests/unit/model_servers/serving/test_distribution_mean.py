import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from model_servers.serving.distribution_mean import fuse_distribution_mean
from tests.frame_bundles import group_photo
from tests.model_packs import package_folder


def head(axis: int = 1, reads: int = 1, precision: type = np.float32) -> onnx.ModelProto:
    """A YOLO head's last step: 16 distances per side to their mean."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(precision))
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
        [helper.make_tensor_value_info("x", kind, ["n", 16, 4, "anchors"])],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(np.arange(16, dtype=precision).reshape(1, 16, 1, 1), "bins")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def run(model: onnx.ModelProto, logits: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: logits})[0]


@pytest.mark.parametrize("spread", [0.1, 5, 20])
def test_the_mean_of_each_distribution_stays(spread: float) -> None:
    logits = np.random.default_rng(4).normal(size=(2, 16, 4, 50)).astype(np.float32) * spread
    expected = run(head(), logits)
    model = head()
    fuse_distribution_mean(model)
    assert "Softmax" not in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(run(model, logits), expected, atol=1e-4)


def test_logits_beyond_any_networks_give_no_infinity() -> None:
    model = head()
    fuse_distribution_mean(model)
    logits = np.full((1, 16, 4, 3), -1e4, np.float32)
    logits[:, 5] = 1e4
    np.testing.assert_allclose(run(model, logits), 5, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [head(axis=2), head(reads=2), head(precision=np.float16)],
    ids=["axis", "read twice", "half precision"],
)
def test_another_kind_of_head_stays_as_it_is(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    fuse_distribution_mean(model)
    assert model.SerializeToString() == before


def test_nudenet_finds_the_same_boxes_without_softmax() -> None:
    published = onnx.load(package_folder("nudenet") / "320n.onnx")
    rewritten = onnx.ModelProto.FromString(published.SerializeToString())
    fuse_distribution_mean(rewritten)
    assert "Softmax" not in {node.op_type for node in rewritten.graph.node}
    photo = cv2.resize(group_photo(), (320, 320)).transpose(2, 0, 1)[None]
    picture = np.ascontiguousarray(photo, dtype=np.float32) / np.float32(255)
    ours, expected = (run(model, picture) for model in (rewritten, published))
    assert (expected[:, 4:].max(axis=1) > 0.5).any(), "nothing to find in the picture"
    np.testing.assert_allclose(ours, expected, atol=1e-3)
