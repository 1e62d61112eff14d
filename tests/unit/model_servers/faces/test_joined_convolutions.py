"""Convolutions of one input become one, nothing else changes, and no file breaks the rewriting."""

import random
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
) -> bytes:
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
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    data: bytes = model.SerializeToString()
    return data


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def run(model: bytes, picture: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: picture})


def test_three_convolutions_of_one_input_become_one_with_the_same_outputs() -> None:
    before = network()
    after = join_convolutions(before)
    onnx.checker.check_model(onnx.load_from_string(after), full_check=True)
    assert operators(after) == ["Conv", "Slice", "Slice", "Slice"]
    picture = np.random.default_rng(2).normal(size=(1, 5, 7, 9)).astype(np.float32)
    for ours, expected in zip(run(after, picture), run(before, picture), strict=True):
        assert np.allclose(ours, expected, atol=1e-5)


def test_joining_twice_changes_nothing_more() -> None:
    once = join_convolutions(network())
    assert join_convolutions(once) == once


@pytest.mark.parametrize("name", ["models/test_sc/det_500m", "extra/det_2.5g"])
def test_scrfd_answers_the_same_with_a_convolution_per_feature_map(
    model_mirror: Path, name: str
) -> None:
    before = (model_mirror / "insightface" / f"{name}.onnx").read_bytes()
    after = join_convolutions(before)
    onnx.checker.check_model(onnx.load_from_string(after))
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
        network(raw=False),
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
        "weights written another way",
        "no bias",
        "another domain's operator",
        "an old file",
        "an old Slice",
    ],
)
def test_what_cannot_be_joined_comes_back_as_it_is(model: bytes) -> None:
    assert join_convolutions(model) == model


def test_a_name_that_is_taken_is_not_given_again() -> None:
    model = onnx.load_from_string(network())
    model.graph.node.append(helper.make_node("Relu", ["scores"], ["scores/joined"]))
    data = model.SerializeToString()
    assert join_convolutions(data) == data


def test_damage_never_raises_and_what_is_cut_off_comes_back_as_it_is() -> None:
    whole = network()
    for kept in (*range(60), *range(60, len(whole), 97)):
        assert join_convolutions(whole[:kept]) == whole[:kept]
    assert join_convolutions(b"not a network at all") == b"not a network at all"
    numbers = random.Random(4)
    for _ in range(2_000):
        damaged = bytearray(whole)
        for _ in range(numbers.randint(1, 4)):
            # The nodes come first; most of what follows is weights, which may be anything.
            end = numbers.choice([400, len(damaged)])
            damaged[numbers.randrange(end)] = numbers.randrange(256)
        join_convolutions(bytes(damaged))
