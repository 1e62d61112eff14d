"""Faces are found and embedded as InsightFace does it, on the same pictures and weights."""

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from skimage.transform import SimilarityTransform

from model_servers.faces.alignment import similarity
from model_servers.faces.detectors.scrfd import suppress
from model_servers.faces.model import ROLES, FacesModel, load
from model_servers.serving.images import DecodedFrame
from model_servers.serving.packs import load_packs
from model_servers.serving.runtime import CPU, Runtime
from screener.bundles import FrameEntry
from screener.observations import Analyzer, decode_embedding
from tests.frame_bundles import group_photo, portrait
from tests.model_packs import face_packs

ENTRY = FrameEntry(
    index=0, name="frame_000000.jpg", pts=0, timestamp_ms=0, span_start_ms=0, span_end_ms=1
)


def pictures() -> dict[str, np.ndarray]:
    people, astronaut = group_photo(), portrait()
    return {
        "people": people,
        "astronaut": astronaut,
        "wide": people[150:690],
        "cinema": people[180:720, :],
        "tall": people[:, 250:750],
        "small": cv2.resize(people, (480, 332), interpolation=cv2.INTER_AREA),
    }


@pytest.fixture(scope="module")
def packs(model_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return face_packs(tmp_path_factory.mktemp("packs"), model_mirror)


@pytest.fixture(scope="module")
def model(packs: list[Path]) -> FacesModel:
    loaded = load(load_packs(packs, Analyzer.FACES, ROLES), Runtime(CPU, workers=2, batch_size=1))
    assert isinstance(loaded, FacesModel)
    return loaded


@pytest.mark.filterwarnings("ignore::FutureWarning:insightface")  # it calls scikit-image's old API
@pytest.mark.parametrize("name", list(pictures()))
def test_boxes_scores_and_embeddings_are_those_of_insightface(
    model: FacesModel, packs: list[Path], name: str
) -> None:
    from insightface.app.common import Face
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    from insightface.model_zoo.scrfd import SCRFD

    detector_file, recogniser_file = (str(next(pack.glob("*.onnx"))) for pack in packs)
    detector = SCRFD(detector_file, session=session(detector_file))
    detector.prepare(-1, input_size=(640, 640))
    recogniser = ArcFaceONNX(recogniser_file, session=session(recogniser_file))

    picture = pictures()[name]
    height, width = picture.shape[:2]
    expected, landmarks = detector.detect(picture)
    inputs = model.preprocess(DecodedFrame(picture, width, height))
    [outputs] = model.predict([inputs])
    frame = model.postprocess(ENTRY, inputs, outputs)

    assert len(frame.faces) == len(expected) >= 1
    # A pixel of the image that the network sees, 640 on its longer side.
    pixel = max(width, height) / 640
    for ours, theirs, points in zip(frame.faces, expected, landmarks, strict=True):
        box = ours.box
        corners = [
            box.left * width,
            box.top * height,
            (box.left + box.width) * width,
            (box.top + box.height) * height,
        ]
        inside = np.clip(theirs[:4], 0, [width, height, width, height])
        assert np.abs(corners - inside).max() < pixel
        assert ours.score == pytest.approx(theirs[4], abs=0.01)
        embedding = recogniser.get(picture, Face(bbox=theirs[:4], kps=points))
        cosine = decode_embedding(ours.embedding) @ embedding / np.linalg.norm(embedding)
        assert cosine > 0.999


def session(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def test_faces_of_several_frames_share_a_call_and_keep_their_frames(model: FacesModel) -> None:
    inputs = [
        model.preprocess(DecodedFrame(picture, picture.shape[1], picture.shape[0]))
        for picture in (portrait(), np.zeros((512, 512, 3), np.uint8), portrait()[:, ::-1].copy())
    ]
    together = model.predict(inputs)
    assert [len(output.embeddings) for output in together] == [1, 0, 1]
    for item, batched in zip(inputs, together, strict=True):
        [single] = model.predict([item])
        assert np.allclose(batched.embeddings, single.embeddings, atol=1e-4)


def test_the_same_person_is_closer_than_another(model: FacesModel) -> None:
    def embedding(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        [outputs] = model.predict([model.preprocess(DecodedFrame(picture, width, height))])
        return outputs.embeddings

    [astronaut] = embedding(portrait())
    [mirrored] = embedding(portrait()[:, ::-1].copy())
    others = embedding(group_photo())
    assert astronaut @ mirrored > 0.6
    assert (others @ astronaut).max() < 0.4


def test_alignment_is_the_least_squares_similarity_of_scikit_image() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        source = random.normal(size=(5, 2)) * 40 + 100
        target = random.normal(size=(5, 2)) * 10 + 50
        expected = SimilarityTransform.from_estimate(source, target).params[:2]
        assert np.allclose(similarity(source, target), expected, atol=1e-8)


def test_landmarks_in_one_point_do_not_divide_by_zero() -> None:
    assert np.isfinite(similarity(np.full((5, 2), 7.0), np.eye(5, 2))).all()


def test_suppression_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    assert suppress(boxes, np.array([0.6, 0.9, 0.5], np.float32), 0.4) == [1, 2]
