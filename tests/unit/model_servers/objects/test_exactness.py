"""Objects are those that `ultralytics` finds, and CLIP sees what `open_clip` shows it.

Both libraries need PyTorch; `make_reference.py` wrote down what they make of this picture.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_servers.objects.clip import Clip
from model_servers.objects.model import ROLES, ObjectsModel, load
from model_servers.serving.images import DecodedFrame
from model_servers.serving.packs import load_packs
from model_servers.serving.runtime import CPU, Runtime
from screener.bundles import FrameEntry
from screener.errors import InvalidPack
from screener.observations import Analyzer
from screener.packs import read_pack
from tests.frame_bundles import group_photo
from tests.model_packs import random_clip, yolo

REFERENCE: dict[str, Any] = json.loads(Path(__file__).with_name("reference.json").read_text())
CROPS = list(REFERENCE["crops"])
RUNTIME = Runtime(CPU, workers=2, batch_size=1)
ENTRY = FrameEntry(
    index=0, name="frame_000000.jpg", pts=0, timestamp_ms=0, span_start_ms=0, span_end_ms=1
)


def crop(name: str) -> np.ndarray:
    top, bottom, left, right = REFERENCE["crops"][name]
    return np.ascontiguousarray(group_photo()[top:bottom, left:right])


@pytest.fixture(scope="module")
def detector(model_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> ObjectsModel:
    pack = yolo(tmp_path_factory.mktemp("packs"), model_mirror)
    loaded = load(load_packs([pack], Analyzer.OBJECTS, ROLES), RUNTIME)
    assert isinstance(loaded, ObjectsModel)
    return loaded


@pytest.mark.parametrize("name", CROPS)
def test_boxes_and_scores_are_those_of_ultralytics(detector: ObjectsModel, name: str) -> None:
    picture, expected = crop(name), REFERENCE["detections"][name]
    height, width = picture.shape[:2]
    inputs = detector.preprocess(DecodedFrame(picture, width, height))
    [outputs] = detector.predict([inputs])
    found = detector.postprocess(ENTRY, inputs, outputs).objects
    assert len(found) == len(expected) >= 5
    # Near-equal scores may swap places, so each is compared with its own counterpart.
    for theirs in expected:
        ours = min(found, key=lambda item: distance(item, theirs, width, height))
        assert ours.label == theirs["label"]
        assert distance(ours, theirs, width, height) < 1
        assert ours.score == pytest.approx(theirs["score"], abs=0.01)


def distance(ours: Any, theirs: dict[str, Any], width: int, height: int) -> float:
    """Largest distance of two boxes' corners in pixels of the picture."""
    box = ours.box
    corners = np.array([box.left, box.top, box.left + box.width, box.top + box.height])
    return float(np.abs(corners * np.tile([width, height], 2) - theirs["corners"]).max())


def test_a_batch_gives_what_single_frames_give(detector: ObjectsModel) -> None:
    pictures = [crop("wide"), crop("wide")[:, ::-1].copy()]
    inputs = [
        detector.preprocess(DecodedFrame(item, item.shape[1], item.shape[0])) for item in pictures
    ]
    together = detector.predict(inputs)
    for item, batched in zip(inputs, together, strict=True):
        [single] = detector.predict([item])
        assert np.allclose(batched.boxes, single.boxes, atol=1e-2)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_clip(tmp_path_factory.mktemp("packs"), side=16)


@pytest.fixture
def clip(clip_folder: Path) -> Clip:
    return Clip(read_pack(clip_folder), RUNTIME)


@pytest.mark.parametrize("name", CROPS)
def test_clip_pixels_are_those_of_open_clip(clip: Clip, name: str) -> None:
    ours = clip.preprocess(crop(name))
    expected = np.array(REFERENCE["clip"][name], np.float32).reshape(3, 16, 16)
    # One step of 8 bit is 0.015 after normalisation.
    assert np.abs(ours - expected).max() < 0.016


def test_random_weight_clip_gives_unit_vectors_for_pictures_and_texts(clip: Clip) -> None:
    images = clip.embed_images(np.stack([clip.preprocess(crop(name)) for name in CROPS]))
    texts = clip.embed_texts(["a gun", "a cup"])
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert images.shape[1] == texts.shape[1]


def test_random_weight_clip_encodes_each_text_once(clip: Clip) -> None:
    encoded = []
    encode = clip._embed_text
    clip._embed_text = lambda text: encoded.append(text) or encode(text)  # type: ignore[method-assign, func-returns-value]
    first = clip.embed_texts(["a gun", "a cup", "a gun"])
    second = clip.embed_texts(["a cup", "a gun"])
    assert encoded == ["a gun", "a cup"]
    assert np.array_equal(first[1], second[0])
    assert np.array_equal(first[0], first[2])


def test_random_weight_clip_cuts_a_long_text_and_keeps_its_end_mark(clip: Clip) -> None:
    [short] = clip.embed_texts(["abcdefghij"])
    [long] = clip.embed_texts(["abcdefghijklmnopqrstuvwxyz"])
    # Twelve tokens fit: a start mark, ten letters, an end mark.
    assert np.allclose(short, long, atol=1e-6)


def test_a_clip_pack_without_its_parameters_is_refused(clip_folder: Path) -> None:
    installed = read_pack(clip_folder)
    bare = installed.model_copy(
        update={"pack": installed.pack.model_copy(update={"parameters": {"logit_scale": 1}})}
    )
    with pytest.raises(InvalidPack, match="context_length"):
        Clip(bare, RUNTIME)
