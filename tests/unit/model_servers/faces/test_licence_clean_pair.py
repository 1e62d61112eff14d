"""YuNet and SFace answer as OpenCV's own classes do, on the same pictures and weights.

SFace's weights are in no wheel and no mirror. Its path is shown with a network of random
weights behind SFace's interface, and with a small real recogniser of 128 values.
"""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from model_servers.faces.alignment import upright
from model_servers.faces.detectors.yunet import YuNet
from model_servers.faces.families import Faces, load_detector, load_recogniser
from model_servers.faces.model import ROLES, FacesModel, load
from model_servers.serving.images import DecodedFrame
from model_servers.serving.packs import load_packs
from model_servers.serving.runtime import CPU, Runtime
from screener.bundles import FrameEntry
from screener.observations import Analyzer, decode_embedding
from screener.packs import InstalledPack, read_pack
from tests.frame_bundles import group_photo, portrait
from tests.model_packs import make_pack, random_sface, yunet

ENTRY = FrameEntry(
    index=0, name="frame_000000.jpg", pts=0, timestamp_ms=0, span_start_ms=0, span_end_ms=1
)
RUNTIME = Runtime(CPU, workers=1, batch_size=1)
CLIPS = {
    "his_girl_friday_6s.mp4": 25,
    "nasa_webb_narrated_13s.mp4": 60,
    "tears_of_steel_battle_70s.webm": 200,
}
"""Clip -> distance in frames between the looked-at ones."""


def pictures() -> dict[str, np.ndarray]:
    people = group_photo()
    return {
        "people": people,
        "astronaut": portrait(),
        "wide": people[150:690],
        "tall": people[:, 250:750],
        "small": cv2.resize(people, (480, 332), interpolation=cv2.INTER_AREA),
        "nobody": np.full((360, 640, 3), 90, np.uint8),
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packs")


@pytest.fixture(scope="module")
def yunet_pack(root: Path, model_mirror: Path) -> InstalledPack:
    return read_pack(yunet(root, model_mirror))


@pytest.fixture(scope="module")
def detector(yunet_pack: InstalledPack) -> YuNet:
    loaded = load_detector(yunet_pack, RUNTIME)
    assert isinstance(loaded, YuNet)
    return loaded


@pytest.fixture(scope="module")
def small_recogniser(root: Path, model_mirror: Path) -> InstalledPack:
    """Weights with another meaning, but SFace's number of values and any number of faces."""
    network = model_mirror / "insightface" / "extra" / "mobilefacenet_arcface_128.onnx"
    parameters = {"family": "sface"}
    return read_pack(
        make_pack(root, "small", Analyzer.FACES, "recogniser", [network], parameters=parameters)
    )


def network_of(pack: InstalledPack) -> str:
    return str(pack.path_of(pack.pack.files[0].path))


def opencv_faces(pack: InstalledPack, picture: np.ndarray, *, square: bool = True) -> np.ndarray:
    """OpenCV's rows (x, y, width, height, five points, score) in the picture's pixels.

    `square`: with black added up to 640x640, the input that the network was exported for. ONNX
    Runtime insists on it; OpenCV by itself adds only what makes the sides multiples of 32.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    small = cv2.resize(picture, (width * 640 // longer, height * 640 // longer))
    rows, columns = small.shape[:2]
    if square:
        small = cv2.copyMakeBorder(
            small, 0, 640 - rows, 0, 640 - columns, cv2.BORDER_CONSTANT, value=(0, 0, 0)
        )
    library = cv2.FaceDetectorYN.create(
        network_of(pack), "", small.shape[1::-1], score_threshold=0.5, nms_threshold=0.3
    )
    _, found = library.detect(small)
    if found is None:
        return np.empty((0, 15), np.float32)
    found[:, :14] *= np.tile([width / columns, height / rows], 7).astype(np.float32)
    return np.asarray(found)


def assert_same_faces(ours: Faces, rows: np.ndarray, picture: np.ndarray) -> None:
    assert len(ours.scores) == len(rows)
    pixel = max(picture.shape) / 640
    corners = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
    assert np.abs(ours.boxes - corners).max(initial=0) < pixel
    assert np.abs(ours.landmarks.reshape(-1, 10) - rows[:, 4:14]).max(initial=0) < pixel
    assert np.abs(ours.scores - rows[:, 14]).max(initial=0) < 0.01


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("name", list(pictures()))
def test_yunet_finds_the_faces_of_opencv_in_pictures(
    detector: YuNet, yunet_pack: InstalledPack, name: str, square: bool
) -> None:
    picture = pictures()[name]
    rows = opencv_faces(yunet_pack, picture, square=square)
    assert bool(len(rows)) is (name != "nobody")
    assert_same_faces(detector.detect(detector.preprocess(picture)), rows, picture)


@pytest.mark.parametrize("clip", list(CLIPS))
def test_yunet_finds_the_faces_of_opencv_in_frames_of_films(
    detector: YuNet, yunet_pack: InstalledPack, test_media: Path, clip: str
) -> None:
    found = 0
    with av.open(str(test_media / "video" / clip)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % CLIPS[clip]:
                continue
            picture = frame.to_ndarray(format="bgr24")
            rows = opencv_faces(yunet_pack, picture)
            assert_same_faces(detector.detect(detector.preprocess(picture)), rows, picture)
            found += len(rows)
    assert found


def test_alignment_cuts_out_the_face_as_opencv_does(yunet_pack: InstalledPack, root: Path) -> None:
    library = cv2.FaceRecognizerSF.create(network_of(read_pack(random_sface(root))), "")
    picture = group_photo()
    for row in opencv_faces(yunet_pack, picture):
        expected = library.alignCrop(picture, row).astype(int)
        difference = np.abs(upright(picture, row[4:14].reshape(5, 2)) - expected)
        assert difference.mean() < 0.1
        assert difference.max() <= 8


def opencv_embeddings(network: str, crops: list[np.ndarray]) -> np.ndarray:
    library = cv2.FaceRecognizerSF.create(network, "")
    vectors = np.vstack([library.feature(crop).copy() for crop in crops])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def crops() -> list[np.ndarray]:
    return [
        portrait()[top : top + 112, left : left + 112].copy() for top, left in ((60, 170), (0, 0))
    ]


def test_sface_with_random_weights_embeds_one_face_at_a_time_as_opencv_does(root: Path) -> None:
    pack = read_pack(random_sface(root))
    ours = load_recogniser(pack, RUNTIME)
    embeddings = ours.embed(crops())
    assert ours.embedding_size == 128
    assert embeddings.shape == (2, 128)
    expected = opencv_embeddings(network_of(pack), crops())
    assert (embeddings * expected).sum(axis=1).min() > 0.99999


def test_sface_path_with_another_networks_weights_embeds_as_opencv_does(
    small_recogniser: InstalledPack,
) -> None:
    embeddings = load_recogniser(small_recogniser, RUNTIME).embed(crops())
    expected = opencv_embeddings(network_of(small_recogniser), crops())
    assert (embeddings * expected).sum(axis=1).min() > 0.9999


def test_a_pack_may_say_that_its_weights_want_other_channels_or_values(root: Path) -> None:
    folder = random_sface(root / "other")
    pack = read_pack(folder)
    parameters = {"family": "sface", "channel_order": "bgr", "input_mean": 10, "input_std": 2}
    other = pack.model_copy(
        update={"pack": pack.pack.model_copy(update={"parameters": parameters})}
    )
    [crop, _] = crops()
    prepared = (crop[:, :, ::-1].astype(np.float32) - 10) / 2
    # OpenCV takes whole numbers only, so the plain path sees the nearest.
    nearest = np.clip(np.round(prepared), 0, 255).astype(np.uint8)
    [embedding] = load_recogniser(other, RUNTIME).embed([crop])
    [expected] = load_recogniser(pack, RUNTIME).embed([nearest])
    [unchanged] = load_recogniser(pack, RUNTIME).embed([crop])
    assert embedding @ expected > 0.999 > embedding @ unchanged


def test_a_frame_goes_through_both_as_through_opencvs_classes_sface_with_random_weights(
    yunet_pack: InstalledPack, root: Path
) -> None:
    sface_folder = random_sface(root)
    packs = load_packs([yunet_pack.folder, sface_folder], Analyzer.FACES, ROLES)
    model = load(packs, RUNTIME)
    assert isinstance(model, FacesModel)
    model.warm_up()
    picture = group_photo()
    height, width = picture.shape[:2]
    inputs = model.preprocess(DecodedFrame(picture, width, height))
    [outputs] = model.predict([inputs])
    frame = model.postprocess(ENTRY, inputs, outputs)

    library = cv2.FaceRecognizerSF.create(network_of(read_pack(sface_folder)), "")
    rows = opencv_faces(yunet_pack, picture)
    assert len(frame.faces) == len(rows) == 6
    for face, row in zip(frame.faces, rows, strict=True):
        expected = library.feature(library.alignCrop(picture, row)).reshape(-1).copy()
        cosine = decode_embedding(face.embedding) @ expected / np.linalg.norm(expected)
        assert cosine > 0.999
        assert face.landmarks[0][0] < face.landmarks[1][0]


def test_the_same_person_is_closer_than_another_with_the_small_recogniser(
    detector: YuNet, small_recogniser: InstalledPack, test_media: Path
) -> None:
    arcface = small_recogniser.model_copy(
        update={
            "pack": small_recogniser.pack.model_copy(update={"parameters": {"family": "arcface"}})
        }
    )
    recogniser = load_recogniser(arcface, RUNTIME)

    def embeddings(picture: np.ndarray) -> np.ndarray:
        faces = detector.detect(detector.preprocess(picture))
        return recogniser.embed([recogniser.align(picture, points) for points in faces.landmarks])

    portraits = [
        cv2.imread(str(test_media / "images" / f"{name}.jpg")) for name in ("obama", "obama2")
    ]
    [one], [other] = (embeddings(picture) for picture in portraits if picture is not None)
    assert one @ other > 0.5
    assert (embeddings(group_photo()) @ one).max() < 0.4
