"""YuNet, the face detector of OpenCV's model zoo, whose weights may be used commercially."""

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

_STRIDES = (8, 16, 32)
_PARTS = ("cls", "obj", "bbox", "kps")


class YuNet:
    """The arithmetic of `cv2.FaceDetectorYN` on a session of our own.

    OpenCV's class runs the network in OpenCV: on its own threads, without a GPU, one call at
    a time per object. Tests compare the results with it.

    The published file takes 640x640 pixels only, so an image is padded to the square. OpenCV
    ignores that and pads to multiples of 32. Given the same square it finds the same faces (44
    on 103 frames of six clips, boxes within 0.0001 pixels); by itself it finds 40, with boxes up
    to 1.3 pixels and scores up to 0.11 away.
    """

    FLOOR = 0.5
    OVERLAP = 0.3  # as OpenCV's class has it by default
    CPU_REWRITINGS = (join_convolutions,)
    """Only a CPU computes channels in blocks that small."""

    def __init__(self, pack: InstalledPack, runtime: Runtime) -> None:
        self._session = runtime.session(
            pack.path_of(pack.pack.files[0].path),
            cpu_rewritings=self.CPU_REWRITINGS,
        )
        entry = self._session.inputs[0]
        outputs = [output.name for output in self._session.outputs]
        names = [f"{part}_{stride}" for stride in _STRIDES for part in _PARTS]
        if missing := set(names) - set(outputs):
            raise InvalidPack(
                f"{pack.folder}: not a YuNet network (no output {', '.join(sorted(missing))})"
            )
        self._places = [outputs.index(name) for name in names]
        height, width = entry.shape[2:]
        if not (isinstance(height, int) and isinstance(width, int)):
            # An export for any size: the square that the published one is made for.
            width, height = pack.pack.input_size or (640, 640)
        if width % _STRIDES[-1] or height % _STRIDES[-1]:
            raise InvalidPack(
                f"{pack.folder}: input {width}x{height}, not multiples of {_STRIDES[-1]}"
            )
        self._width, self._height = width, height
        self._input = entry.name
        self._cells = {stride: _grid(height // stride, width // stride) for stride in _STRIDES}

    def preprocess(self, pixels: Pixels) -> Prepared:
        small = fit_inside(pixels, self._width, self._height)
        height, width = small.shape[:2]
        canvas = np.zeros((self._height, self._width, 3), dtype=np.uint8)
        canvas[:height, :width] = small
        blob = np.asarray(cv2.dnn.blobFromImage(canvas), dtype=np.float32)
        return Prepared(blob, (width / pixels.shape[1], height / pixels.shape[0]))

    def detect(self, prepared: Prepared) -> Faces:
        found_by_network = self._session.run({self._input: prepared.blob})
        outputs = [found_by_network[place] for place in self._places]
        boxes, scores, landmarks = [], [], []
        for level, stride in enumerate(_STRIDES):
            classes, objects, offsets, points = outputs[4 * level : 4 * level + 4]
            level_scores = np.sqrt(
                np.clip(classes.reshape(-1), 0, 1) * np.clip(objects.reshape(-1), 0, 1)
            )
            found = np.flatnonzero(level_scores >= self.FLOOR)
            cells = self._cells[stride][found]
            found_offsets = offsets.reshape(-1, 4)[found]
            sides = np.exp(found_offsets[:, 2:]) * stride
            corners = (cells + found_offsets[:, :2]) * stride - sides / 2
            boxes.append(np.hstack([corners, sides]))
            scores.append(level_scores[found])
            found_points = points.reshape(-1, LANDMARKS, 2)[found]
            landmarks.append((cells[:, None] + found_points) * stride)
        all_boxes, all_scores = np.vstack(boxes), np.concatenate(scores)
        if not len(all_scores):
            return Faces.none()
        # OpenCV compares boxes in whole pixels, and so finds other overlaps among small faces.
        kept = np.asarray(
            cv2.dnn.NMSBoxes(np.trunc(all_boxes), all_scores, 0.0, self.OVERLAP),  # type: ignore[arg-type]
            dtype=np.intp,
        ).reshape(-1)
        scale = np.array(prepared.scale, dtype=np.float32)
        corners, sides = np.split(all_boxes[kept], 2, axis=1)
        ends = np.hstack([corners, corners + sides]) / np.tile(scale, 2)
        points = np.concatenate(landmarks)[kept] / scale
        return Faces(ends.astype(np.float32), all_scores[kept], points.astype(np.float32))


def _grid(rows: int, columns: int) -> NDArray[np.float32]:
    """The cells of one feature map as x, y, (rows * columns, 2)."""
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def load(pack: InstalledPack, runtime: Runtime) -> YuNet:
    """Raises InvalidPack when the network is not YuNet's."""
    return YuNet(pack, runtime)
