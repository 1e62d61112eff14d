"""SCRFD, InsightFace's face detector: boxes and five landmarks per face."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from model_servers.faces.families import LANDMARKS, Faces, Prepared
from model_servers.faces.joined_convolutions import join_convolutions
from model_servers.faces.resizing import fit_inside
from model_servers.serving.images import Pixels
from model_servers.serving.runtime import Runtime
from screener.errors import InvalidPack
from screener.packs import InstalledPack

_STRIDE = 32
"""Both sides of the input must be multiples of the coarsest feature map's stride."""
BLACK_BORDER = 120
"""Black rows or columns kept after the image, at least, in the network's pixels.

The library has a whole square, which takes a third longer. The network sees far, though: of 1,998
faces in windows of real clips in eight shapes, 18 boxes, of faces that the lower edge cuts off or
that are hardly found, were more than a pixel away from the library's, and four whose score is near
the lowest were lost (`python -m bench.black_border`)."""


class Level(NamedTuple):
    """The outputs of one feature map."""

    stride: int
    scores: int
    boxes: int
    landmarks: int
    """Positions of the three outputs in the network's list."""


class Scrfd:
    """The decoding of InsightFace's `SCRFD` class on a session of our own.

    Importing `insightface` costs over a second and 170 MB (SciPy, scikit-image, ONNX) for
    these few lines of arithmetic; tests compare the results with the library's. The library
    pads every image to a square; here the padding ends where it no longer changes a face.
    """

    FLOOR = 0.5
    OVERLAP = 0.4
    CPU_REWRITINGS = (join_convolutions,)
    """Only a CPU computes channels in blocks that small."""
    _MEAN, _SCALE = 127.5, 1 / 128

    def __init__(
        self, pack: InstalledPack, runtime: Runtime, black_border: int = BLACK_BORDER
    ) -> None:
        self._black_border = black_border
        self._longest_side = (pack.pack.input_size or (640, 640))[0]
        self._session = runtime.session(
            pack.path_of(pack.pack.files[0].path),
            cpu_rewritings=self.CPU_REWRITINGS,
        )
        self._input = self._session.inputs[0].name
        outputs = len(self._session.outputs)
        if outputs not in (9, 15):
            raise InvalidPack(
                f"{pack.folder}: not an SCRFD network with landmarks ({outputs} outputs)"
            )
        strides = (8, 16, 32) if outputs == 9 else (8, 16, 32, 64, 128)
        maps = len(strides)
        self._anchors = 2 if outputs == 9 else 1
        self._levels = [
            Level(stride, index, index + maps, index + 2 * maps)
            for index, stride in enumerate(strides)
        ]
        self._centres: dict[tuple[int, int, int], NDArray[np.float32]] = {}

    def preprocess(self, pixels: Pixels) -> Prepared:
        small = fit_inside(pixels, self._longest_side, self._longest_side)
        height, width = small.shape[:2]
        blob = np.empty((1, 3, self._padded(height), self._padded(width)), np.float32)
        blob[:, :, height:] = blob[:, :, :height, width:] = -self._MEAN * self._SCALE
        image = blob[0, :, :height, :width]
        # `cv2.dnn.blobFromImage` gives the same bits, but takes longer, as it works on black rows
        # too. Channel by channel, for one of them stays in a core's cache.
        for plane, values in zip(image, reversed(cv2.split(small)), strict=True):
            np.copyto(plane, values)
            plane -= self._MEAN
            plane *= self._SCALE
        # The library takes one factor for both axes, and it is the vertical one.
        scale = height / pixels.shape[0]
        return Prepared(blob, (scale, scale))

    def detect(self, prepared: Prepared) -> Faces:
        # The published networks take one image at a time.
        blob, (scale, _) = prepared
        outputs = self._session.run({self._input: blob})
        height, width = blob.shape[2:]
        boxes, scores, landmarks = [], [], []
        for level in self._levels:
            level_scores = outputs[level.scores].reshape(-1)
            found = np.flatnonzero(level_scores >= self.FLOOR)
            if not len(found):
                continue
            centres = self._grid(height, width, level.stride)[found]
            distances = outputs[level.boxes].reshape(-1, 4)[found] * level.stride
            offsets = outputs[level.landmarks].reshape(-1, LANDMARKS, 2)[found] * level.stride
            boxes.append(np.hstack([centres - distances[:, :2], centres + distances[:, 2:]]))
            scores.append(level_scores[found])
            landmarks.append(centres[:, None] + offsets)
        if not boxes:
            return Faces.none()
        all_boxes = np.vstack(boxes).astype(np.float32) / np.float32(scale)
        all_scores = np.concatenate(scores)
        kept = suppress(all_boxes, all_scores, self.OVERLAP)
        points = np.concatenate(landmarks).astype(np.float32)[kept] / np.float32(scale)
        return Faces(all_boxes[kept], all_scores[kept], points)

    def _padded(self, side: int) -> int:
        """The input's side for an image's: never more than the library's square."""
        return min(self._longest_side, -(-(side + self._black_border) // _STRIDE) * _STRIDE)

    def _grid(self, height: int, width: int, stride: int) -> NDArray[np.float32]:
        """Anchor centres of one feature map, (anchors, 2) as x, y."""
        rows, columns = height // stride, width // stride
        key = (rows, columns, stride)
        if key not in self._centres:
            if len(self._centres) > 64:
                self._centres.clear()
            y, x = np.mgrid[:rows, :columns].astype(np.float32) * stride
            cells = np.stack([x, y], axis=-1).reshape(-1, 2)
            self._centres[key] = np.repeat(cells, self._anchors, axis=0)
        return self._centres[key]


def suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float) -> list[int]:
    """Indices of the boxes that no better box overlaps by more than `overlap`, best first.

    A side counts one pixel more than the difference of its ends, as in InsightFace; OpenCV's
    suppression does not, and so drops other boxes.
    """
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes.T
    areas = (right - left + 1) * (bottom - top + 1)
    kept: list[int] = []
    while len(order):
        best, others = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(right[best], right[others]) - np.maximum(left[best], left[others]) + 1
        height = np.minimum(bottom[best], bottom[others]) - np.maximum(top[best], top[others]) + 1
        shared = np.maximum(0, width) * np.maximum(0, height)
        order = others[shared <= overlap * (areas[best] + areas[others] - shared)]
    return kept


def load(pack: InstalledPack, runtime: Runtime) -> Scrfd:
    """Raises InvalidPack when the network is not SCRFD's, or is one without landmarks."""
    return Scrfd(pack, runtime)
