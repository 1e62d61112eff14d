"""Moderation: NudeNet's regions and Yahoo's OpenNSFW score, both for every frame."""

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_servers.moderation.keras_export import (
    add_instead_of_subtracting,
    pool_with_own_padding,
)
from model_servers.serving import boxes
from model_servers.serving.distribution_mean import fuse_distribution_mean
from model_servers.serving.frames import FrameModel, time_of
from model_servers.serving.images import DecodedFrame, Pixels
from model_servers.serving.model import Model
from model_servers.serving.packs import PackSet
from model_servers.serving.runtime import Runtime
from model_servers.serving.runtime import choose_runtime as choose_runtime
from model_servers.serving.scores import round_score
from screener.bundles import FrameBundleManifest, FrameEntry
from screener.errors import InvalidPack
from screener.observations import Detection, ModerationFrame, ModerationObservations
from screener.packs import InstalledPack

DETECTOR, CLASSIFIER = "detector", "classifier"
ROLES = frozenset({DETECTOR, CLASSIFIER})


class Inputs(NamedTuple):
    regions: NDArray[np.float32] | None
    """(3, S, S), 0 to 1."""
    side: int
    """Longest side of the frame: NudeNet sees the frame in the corner of a square."""
    whole: NDArray[np.float32] | None
    """(224, 224, 3), mean subtracted."""
    width: int
    height: int


class Outputs(NamedTuple):
    regions: NDArray[np.float32] | None
    """(22, anchors)"""
    nsfw: float | None


class NudeNet:
    """The detector of `nudenet` 3.x, value for value, on a session of our own.

    The library's class cannot share a session's threads, decodes each image itself and loops
    over anchors in Python; so its steps are repeated here and tests compare the results.
    """

    FLOOR = 0.2
    """Candidates start at the library's own 0.2; it returns those above 0.25."""
    OVERLAP = 0.45
    CPU_REWRITINGS = (fuse_distribution_mean,)

    def __init__(self, pack: InstalledPack, runtime: Runtime) -> None:
        self.labels = pack.pack.class_names
        self._side = (pack.pack.input_size or (320, 320))[0]
        path = pack.path_of(pack.pack.files[0].path)
        self._session = runtime.session(path, cpu_rewritings=self.CPU_REWRITINGS)
        self._input = self._session.inputs[0].name
        channels = self._session.outputs[0].shape[1]
        if channels != 4 + len(self.labels):
            raise InvalidPack(
                f"{pack.folder}: {len(self.labels)} class names for a network of {channels - 4}"
            )

    def preprocess(self, pixels: Pixels) -> NDArray[np.float32]:
        """The library's input, bit for bit: the frame in a black square, shrunk with it."""
        height, width = pixels.shape[:2]
        side = max(height, width)
        # The black is not shrunk as well, but for what is mixed into the picture's last row.
        bottom, right = self._mixed(height, side), self._mixed(width, side)
        if bottom or right:
            mixed = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
            pixels = np.asarray(mixed, dtype=np.uint8)
        rows, columns = ((length * self._side) // side for length in pixels.shape[:2])
        small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR)
        blob = np.zeros((3, self._side, self._side), np.float32)
        # The library turns BGR around twice, so its network was given BGR.
        for channel, values in zip(blob, cv2.split(small), strict=True):
            np.divide(values, np.float32(255), out=channel[:rows, :columns])
        return blob

    def _mixed(self, length: int, side: int) -> int:
        """Black pixels to keep after the frame, so that its end is shrunk as in the square."""
        step = side // math.gcd(side, self._side)
        if length == side or (length % step == 0 and side >= 2 * self._side):
            # Shrunk by two or more, a whole number of output pixels takes nothing from beyond.
            return 0
        return min(side, (length // step + 1) * step) - length

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        [output] = self._session.run({self._input: batch})
        return np.asarray(output)

    def postprocess(self, inputs: Inputs, output: NDArray[np.float32]) -> list[Detection]:
        found = boxes.select(output, floor=self.FLOOR, overlap=self.OVERLAP, per_class=False)
        scale = inputs.side / self._side
        detections = []
        for (left, top, width, height), score, kind in zip(*found, strict=True):
            box = boxes.ratio_box(
                left * scale / inputs.width,
                top * scale / inputs.height,
                (left + width) * scale / inputs.width,
                (top + height) * scale / inputs.height,
            )
            if box:
                detections.append(boxes.detection(self.labels[kind], score, box))
        return detections


class OpenNsfw:
    """Yahoo's OpenNSFW with the preprocessing that its published scores depend on.

    The network was fitted to frames that Pillow had resized and that had been through JPEG
    once more; leaving the round trip out moves scores by up to 0.3.
    """

    REWRITINGS = (add_instead_of_subtracting,)
    CPU_REWRITINGS = (pool_with_own_padding,)
    _RESIZED, _CROPPED = 256, 224
    _JPEG_QUALITY = 75
    _MEANS_OF_A_ROW = np.tile(np.array([104, 117, 123], dtype=np.float32), _CROPPED)
    """Of blue, green and red."""

    def __init__(self, pack: InstalledPack, runtime: Runtime) -> None:
        path = pack.path_of(pack.pack.files[0].path)
        self._session = runtime.session(
            path, rewritings=self.REWRITINGS, cpu_rewritings=self.CPU_REWRITINGS
        )
        self._input = self._session.inputs[0].name

    def preprocess(self, pixels: Pixels) -> NDArray[np.float32]:
        # Resizing treats each channel alike, so blue and red may change places in what is left.
        resized = Image.fromarray(pixels).resize(
            (self._RESIZED, self._RESIZED), Image.Resampling.BILINEAR
        )
        image = Image.fromarray(cv2.cvtColor(np.asarray(resized), cv2.COLOR_BGR2RGB))
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=self._JPEG_QUALITY)
        again = cv2.imdecode(np.frombuffer(buffer.getbuffer(), np.uint8), cv2.IMREAD_COLOR)
        if again is None:
            raise RuntimeError("OpenCV cannot read Pillow's JPEG")
        edge = (self._RESIZED - self._CROPPED) // 2
        crop = again[edge : edge + self._CROPPED, edge : edge + self._CROPPED]
        # Row by row, for NumPy loops over the last axis and three values are a short loop.
        rows = crop.astype(np.float32).reshape(self._CROPPED, -1)
        rows -= self._MEANS_OF_A_ROW
        return rows.reshape(crop.shape)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        [output] = self._session.run({self._input: batch})
        return np.asarray(output)[:, 1]


class ModerationModel(FrameModel[Inputs, Outputs, ModerationFrame]):
    """Both networks, or whichever has a pack."""

    def __init__(self, packs: PackSet, runtime: Runtime) -> None:
        super().__init__(packs, runtime)
        detector, classifier = packs.find(DETECTOR), packs.find(CLASSIFIER)
        self._nudenet = NudeNet(detector, runtime) if detector else None
        self._opennsfw = OpenNsfw(classifier, runtime) if classifier else None

    def preprocess(self, image: DecodedFrame) -> Inputs:
        return Inputs(
            regions=self._nudenet.preprocess(image.pixels) if self._nudenet else None,
            side=max(image.width, image.height),
            whole=self._opennsfw.preprocess(image.pixels) if self._opennsfw else None,
            width=image.width,
            height=image.height,
        )

    def predict(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        regions: Sequence[NDArray[np.float32] | None] = [None] * len(batch)
        scores: Sequence[float | None] = [None] * len(batch)
        if self._nudenet:
            squares = [item.regions for item in batch if item.regions is not None]
            regions = list(self._nudenet.predict(np.stack(squares)))
        if self._opennsfw:
            wholes = [item.whole for item in batch if item.whole is not None]
            scores = self._opennsfw.predict(np.stack(wholes)).tolist()
        return [Outputs(*pair) for pair in zip(regions, scores, strict=True)]

    def postprocess(self, entry: FrameEntry, inputs: Inputs, outputs: Outputs) -> ModerationFrame:
        detections: list[Detection] = []
        if self._nudenet and outputs.regions is not None:
            detections = self._nudenet.postprocess(inputs, outputs.regions)
        return ModerationFrame(
            **time_of(entry),
            nsfw_probability=None if outputs.nsfw is None else round_score(outputs.nsfw),
            detections=detections,
        )

    def observations(
        self,
        manifest: FrameBundleManifest,
        frames: list[ModerationFrame],
        timings_ms: dict[str, float],
    ) -> ModerationObservations:
        return ModerationObservations(
            packs=self.packs,
            provider=self.runtime.provider,
            timings_ms=timings_ms,
            chunk=manifest.chunk,
            detector_labels=self._nudenet.labels if self._nudenet else [],
            frames=frames,
        )


def load(packs: PackSet, runtime: Runtime) -> Model:
    """Load NudeNet and OpenNSFW from their packs.

    Raises:
        InvalidPack: a network cannot be loaded or does not fit its `pack.json`.
    """
    return ModerationModel(packs, runtime)
