"""How much black SCRFD needs after a picture, so that its faces stay those of a whole square.

The library pads every picture to a square. The network sees far, so faces move when the black ends
earlier. Windows of all clips, in several shapes, with several borders, against the square:

    python -m bench.black_border
"""

from collections.abc import Iterator

import av
import cv2
import numpy as np

from bench.material import media_folder
from local.packs.places import Places, packs_folder
from model_servers.faces.detectors.scrfd import BLACK_BORDER, Scrfd
from model_servers.faces.families import Faces
from model_servers.serving.images import Pixels
from model_servers.serving.runtime import Runtime
from model_servers.serving.session import CPU
from screener.packs import read_pack

_SHAPES = {
    "2.35:1": 2.35,
    "2:1": 2.0,
    "1.85:1": 1.85,
    "16:9": 16 / 9,
    "4:3": 4 / 3,
    "1:1": 1.0,
    "3:4": 3 / 4,
    "9:16": 9 / 16,
}
_BORDERS = (56, 88, BLACK_BORDER, 152, 184, 216)
_SQUARE = 640
_PICTURES = 30
"""Per clip, evenly spread."""
_WINDOWS = 4
"""Per picture: the whole of it, then random parts, every other one mirrored."""
_LONGER_SIDE = 1280
_ANOTHER_FACE = 30
"""Pixels of 640: a box further away is not the same face."""


def main() -> None:
    """Print one row per shape and border."""
    pack = read_pack(packs_folder(Places().home) / "scrfd-500m")
    runtime = Runtime(CPU, workers=1, batch_size=1)
    whole = Scrfd(pack, runtime, black_border=_SQUARE)
    detectors = {border: Scrfd(pack, runtime, border) for border in _BORDERS}
    print("| shape | border | faces | moved by more than 1 pixel | largest | lost |")
    print("|---|---|---|---|---|---|")
    for name, shape in _SHAPES.items():
        distances: dict[int, list[float]] = {border: [] for border in _BORDERS}
        for picture in _windows(shape):
            expected = whole.detect(whole.preprocess(picture))
            scale = _SQUARE / max(picture.shape[:2])
            for border, detector in detectors.items():
                found = detector.detect(detector.preprocess(picture))
                distances[border] += _distances(expected, found, scale)
        for border, moved in distances.items():
            kept = [distance for distance in moved if distance <= _ANOTHER_FACE]
            far = sum(distance > 1 for distance in kept)
            lost = len(moved) - len(kept)
            largest = max(kept, default=0)
            print(f"| {name} | {border} | {len(moved)} | {far} | {largest:.2f} | {lost} |")


def _distances(expected: Faces, found: Faces, scale: float) -> Iterator[float]:
    """How far the corners of each expected face's nearest box are, in pixels of 640."""
    for box in expected.boxes:
        yield float(np.abs(found.boxes - box).max(axis=1).min(initial=np.inf) * scale)


def _windows(shape: float) -> Iterator[Pixels]:
    numbers = np.random.default_rng(0)
    for clip in sorted((media_folder() / "video").glob("*.*")):
        if clip.suffix not in (".mp4", ".webm"):
            continue
        with av.open(str(clip)) as container:
            pictures = [
                frame for index, frame in enumerate(container.decode(video=0)) if index % 7 == 0
            ]
            for number in range(_PICTURES):
                frame = pictures[number * len(pictures) // _PICTURES]
                picture = np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
                yield from _parts(picture, shape, numbers)


def _parts(picture: Pixels, shape: float, numbers: np.random.Generator) -> Iterator[Pixels]:
    height, width = picture.shape[:2]
    size = min(1.0, shape) * _LONGER_SIDE, min(1.0, 1 / shape) * _LONGER_SIDE
    for number in range(_WINDOWS):
        share = numbers.uniform(0.35, 0.95) if number else 1.0
        columns = int(min(width, height * shape) * share)
        rows = int(columns / shape)
        left, top = numbers.integers(0, [width - columns + 1, height - rows + 1])
        part = picture[top : top + rows, left : left + columns]
        part = np.asarray(cv2.resize(part, (int(size[0]), int(size[1]))), dtype=np.uint8)
        yield part[:, ::-1].copy() if number % 2 else part


if __name__ == "__main__":
    main()
