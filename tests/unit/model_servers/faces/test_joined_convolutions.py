"""Convolutions of one input become one, and nothing else changes."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model_servers.faces.joined_convolutions import join_convolutions
from tests.frame_bundles import group_photo

CHANNELS = {"scores": 2, "boxes": 8, "landmarks": 20}
KERNEL = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1]}

GROUPS: dict[str, dict[str, object]] = {"scores": {"group": 5}, "boxes": {"group": 5}}


def network(
    channels: dict[str, int] = CHANNELS,
    *,
    attributes: dict[str, dict[str, object]] | None = None,
    weights_as_input: bool = False,
    raw: bool = True,
    bias: bool = True,
    domain: str = "",
    ir_version: int = 8,
    opset: int = 11,
) -> onnx.ModelProto:
    """Convolutions of one feature map, each an output; `attributes` change some."""
    numbers = np.random.default_rng(1)
    nodes, initializers = [], []
    for name, count in channels.items():
        arrays = {f"{name}.w": (count, 5, 3, 3), f"{name}.b": (count,)}
        for key, shape in arrays.items():
            values = numbers.normal(size=shape).astype(np.float32)
            initializers.append(
                numpy_helper.from_array(values, key)
                if raw
                else helper.make_tensor(key, TensorProto.FLOAT, shape, values.ravel())
            )
        inputs = ["map", f"{name}.w", f"{name}.b"][: 3 if bias else 2]
        changed = KERNEL | (attributes or {}).get(name, {})
        nodes.append(helper.make_node("Conv", inputs, [name], domain=domain, **changed))
    side = ["n", 5, "h", "w"]
    entries = [helper.make_tensor_value_info("map", TensorProto.FLOAT, side)]
    if weights_as_input:
        entries += [
            helper.make_tensor_value_info(item.name, TensorProto.FLOAT, list(item.dims))
            for item in initializers
        ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count, None, None])
        for name, count in channels.items()
    ]
    graph = helper.make_graph(nodes, "heads", entries, outputs, initializers)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def joined(model: onnx.ModelProto) -> onnx.ModelProto:
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    join_convolutions(changed)
    return changed


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def run(model: onnx.ModelProto, picture: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: picture})


@pytest.mark.parametrize("raw", [True, False], ids=["raw weights", "weights as numbers"])
def test_three_convolutions_of_one_input_become_one_with_the_same_outputs(raw: bool) -> None:
    before = network(raw=raw)
    after = joined(before)
    onnx.checker.check_model(after, full_check=True)
    assert operators(after) == ["Conv", "Slice", "Slice", "Slice"]
    picture = np.random.default_rng(2).normal(size=(1, 5, 7, 9)).astype(np.float32)
    for ours, expected in zip(run(after, picture), run(before, picture), strict=True):
        assert np.allclose(ours, expected, atol=1e-5)


def test_joining_twice_changes_nothing_more() -> None:
    once = joined(network())
    assert joined(once) == once


@pytest.mark.parametrize("name", ["models/test_sc/det_500m", "extra/det_2.5g"])
def test_scrfd_answers_the_same_with_a_convolution_per_feature_map(
    model_mirror: Path, name: str
) -> None:
    before = onnx.load(model_mirror / "insightface" / f"{name}.onnx")
    after = joined(before)
    onnx.checker.check_model(after)
    assert operators(before).count("Conv") - operators(after).count("Conv") == 6
    small = cv2.resize(group_photo(), (640, 448))
    blob = cv2.dnn.blobFromImage(small, 1 / 128, mean=(127.5, 127.5, 127.5), swapRB=True)
    outputs = list(zip(run(after, blob), run(before, blob), strict=True))
    assert len(outputs) == 9
    assert max(expected.max() for _, expected in outputs[:3]) > 0.5, "no face in the picture"
    for ours, expected in outputs:
        assert np.abs(ours - expected).max() < 1e-4


@pytest.mark.parametrize(
    "model",
    [
        network({"scores": 16, "boxes": 32}),
        network({"scores": 2}),
        network(
            {"scores": 2, "boxes": 8},
            attributes={"boxes": {"pads": [2, 2, 2, 2], "dilations": [2, 2]}},
        ),
        network({"scores": 5, "boxes": 10}, attributes=GROUPS),
        network(weights_as_input=True),
        network(bias=False),
        network(domain="elsewhere"),
        network(ir_version=3),
        network(opset=9),
    ],
    ids=[
        "nothing to gain",
        "only one",
        "other attributes",
        "groups",
        "a caller may replace the weights",
        "no bias",
        "another domain's operator",
        "an old file",
        "an old Slice",
    ],
)
def test_what_cannot_be_joined_stays_as_it_is(model: onnx.ModelProto) -> None:
    assert joined(model) == model
