"""Faces: where they are, and an embedding of each. Who it is, only the policy asks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_servers.faces.detector import Faces, Scrfd
from model_servers.faces.recogniser import ArcFace
from model_servers.serving import boxes
from model_servers.serving.frames import FrameModel, time_of
from model_servers.serving.images import DecodedFrame, Pixels
from model_servers.serving.model import Model
from model_servers.serving.packs import PackSet
from model_servers.serving.runtime import Runtime
from screener.bundles import FrameBundleManifest, FrameEntry
from screener.observations import Face, FacesFrame, FacesObservations, encode_embedding

DETECTOR, RECOGNISER = "detector", "recogniser"
ROLES = frozenset({DETECTOR, RECOGNISER})
_LANDMARK_DIGITS = 5


class Inputs(NamedTuple):
    pixels: Pixels
    """Full size: the recogniser cuts its faces out of it."""
    blob: NDArray[np.float32]
    scale: float


class Outputs(NamedTuple):
    faces: Faces
    embeddings: NDArray[np.float32]
    """(faces, size)"""


class FacesModel(FrameModel[Inputs, Outputs, FacesFrame]):
    """Detector and recogniser; an observation of a face needs both."""

    def __init__(self, packs: PackSet, runtime: Runtime) -> None:
        super().__init__(packs, runtime)
        self._detector = Scrfd(packs.require(DETECTOR), runtime)
        self._recogniser = ArcFace(packs.require(RECOGNISER), runtime)

    def warm_up(self) -> None:
        super().warm_up()
        # A black frame has no face, so the recogniser would stay cold.
        self._recogniser.embed([np.zeros((112, 112, 3), np.uint8)])

    def preprocess(self, image: DecodedFrame) -> Inputs:
        blob, scale = self._detector.preprocess(image.pixels)
        return Inputs(image.pixels, blob, scale)

    def predict(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        detected = [self._detector.detect(item.blob, item.scale) for item in batch]
        # The faces of all frames of the batch share network calls.
        crops = [
            self._recogniser.align(item.pixels, points)
            for item, faces in zip(batch, detected, strict=True)
            for points in faces.landmarks
        ]
        embeddings = self._recogniser.embed(crops)
        ends = np.cumsum([len(faces.scores) for faces in detected])
        return [
            Outputs(faces, part)
            for faces, part in zip(detected, np.split(embeddings, ends[:-1]), strict=True)
        ]

    def postprocess(self, entry: FrameEntry, inputs: Inputs, outputs: Outputs) -> FacesFrame:
        height, width = inputs.pixels.shape[:2]
        size = np.array([width, height], dtype=np.float32)
        faces = []
        for corners, score, points, embedding in zip(
            *outputs.faces, outputs.embeddings, strict=True
        ):
            box = boxes.ratio_box(*(corners / np.tile(size, 2)).tolist())
            if box is None:
                continue
            landmarks = [
                (round(x, _LANDMARK_DIGITS), round(y, _LANDMARK_DIGITS))
                for x, y in (points / size).tolist()
            ]
            faces.append(
                Face(
                    box=box,
                    score=boxes.round_score(score),
                    landmarks=landmarks,
                    embedding=encode_embedding(embedding),
                )
            )
        return FacesFrame(**time_of(entry), faces=faces)

    def observations(
        self, manifest: FrameBundleManifest, frames: list[FacesFrame], timings_ms: dict[str, float]
    ) -> FacesObservations:
        return FacesObservations(
            packs=self.packs,
            provider=self.runtime.provider,
            timings_ms=timings_ms,
            chunk=manifest.chunk,
            embedding_size=self._recogniser.embedding_size,
            frames=frames,
        )


def load(packs: PackSet, runtime: Runtime) -> Model:
    """Load the detector and the recogniser from their packs.

    Raises:
        InvalidPack: one is missing or is not the kind of network that this server knows.
    """
    return FacesModel(packs, runtime)
