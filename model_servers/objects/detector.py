"""YOLOv8: boxes of the classes that its weights know."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from model_servers.serving import boxes
from model_servers.serving.distribution_mean import fuse_distribution_mean
from model_servers.serving.images import Pixels
from model_servers.serving.runtime import Runtime
from screener.errors import InvalidPack
from screener.observations import Detection
from screener.packs import InstalledPack

_STRIDE = 32
_PADDING_GREY = (114, 114, 114)


class Letterbox(NamedTuple):
    """A frame scaled into the network's input, and the way back."""

    blob: NDArray[np.float32]
    """(3, H, W), red green blue, 0 to 1; H and W the next multiples of 32."""
    gain: float
    left: int
    top: int
    """Padding before the image, in network pixels."""


class Yolo:
    """Preprocessing and suppression of `ultralytics`' `predict`, on an ONNX export.

    The library needs PyTorch to run even an ONNX file; these few steps do not.
    """

    FLOOR = 0.25
    OVERLAP = 0.7
    CPU_REWRITINGS = (fuse_distribution_mean,)

    def __init__(self, pack: InstalledPack, runtime: Runtime) -> None:
        self.labels = pack.pack.class_names
        self._side = (pack.pack.input_size or (640, 640))[0]
        path = pack.path_of(pack.pack.files[0].path)
        self._session = runtime.session(path, cpu_rewritings=self.CPU_REWRITINGS)
        self._input = self._session.inputs[0].name
        channels = self._session.outputs[0].shape[1]
        if not self.labels:
            raise InvalidPack(f"{pack.folder}: class_names is empty")
        if isinstance(channels, int) and channels != 4 + len(self.labels):
            raise InvalidPack(
                f"{pack.folder}: {len(self.labels)} class names for a network of {channels - 4}"
            )

    def preprocess(self, pixels: Pixels) -> Letterbox:
        height, width = pixels.shape[:2]
        gain = min(self._side / height, self._side / width)
        new_width, new_height = max(1, round(width * gain)), max(1, round(height * gain))
        # Padding to the next multiple of the stride, not to a square: the library's `rect`.
        spare_width, spare_height = -new_width % _STRIDE / 2, -new_height % _STRIDE / 2
        if (width, height) != (new_width, new_height):
            pixels = np.asarray(cv2.resize(pixels, (new_width, new_height)), dtype=np.uint8)
        # An odd pixel goes to the right and to the bottom.
        left, top = round(spare_width - 0.1), round(spare_height - 0.1)
        padded = cv2.copyMakeBorder(
            pixels,
            top,
            round(spare_height + 0.1),
            left,
            round(spare_width + 0.1),
            cv2.BORDER_CONSTANT,
            value=_PADDING_GREY,
        )
        blob = cv2.dnn.blobFromImage(padded, 1 / 255, swapRB=True)
        return Letterbox(np.asarray(blob[0], dtype=np.float32), gain, left, top)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 3, H, W) to raw (n, 4 + classes, anchors)."""
        [output] = self._session.run({self._input: batch})
        return np.asarray(output)

    def postprocess(
        self, letterbox: Letterbox, output: NDArray[np.float32], width: int, height: int
    ) -> list[Detection]:
        found = boxes.select(output, floor=self.FLOOR, overlap=self.OVERLAP, per_class=True)
        detections = []
        for (left, top, box_width, box_height), score, kind in zip(*found, strict=True):
            x, y = left - letterbox.left, top - letterbox.top
            box = boxes.ratio_box(
                x / letterbox.gain / width,
                y / letterbox.gain / height,
                (x + box_width) / letterbox.gain / width,
                (y + box_height) / letterbox.gain / height,
            )
            if box:
                detections.append(boxes.detection(self.labels[kind], score, box))
        return detections
