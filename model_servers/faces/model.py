"""Faces: where they are, and an embedding of each. Who it is, only the policy asks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_servers.faces.families import Faces, Prepared, load_detector, load_recogniser
from model_servers.serving import boxes
from model_servers.serving.frames import FrameModel, time_of
from model_servers.serving.images import DecodedFrame, Pixels
from model_servers.serving.model import Model
from model_servers.serving.packs import PackSet
from model_servers.serving.runtime import Runtime
from model_servers.serving.runtime import choose_runtime as choose_runtime
from model_servers.serving.scores import round_score
from screener.bundles import FrameBundleManifest, FrameEntry
from screener.observations import Face, FacesFrame, FacesObservations, encode_embedding

DETECTOR, RECOGNISER = "detector", "recogniser"
ROLES = frozenset({DETECTOR, RECOGNISER})
_LANDMARK_DIGITS = 5


class Inputs(NamedTuple):
    pixels: Pixels
    """Full size: the recogniser cuts its faces out of it."""
    prepared: Prepared


class Outputs(NamedTuple):
    faces: Faces
    embeddings: NDArray[np.float32]
    """(faces, size)"""


class FacesModel(FrameModel[Inputs, Outputs, FacesFrame]):
    """Detector and recogniser; an observation of a face needs both."""

    STACKED = False  # the published detectors take one frame at a time

    def __init__(self, packs: PackSet, runtime: Runtime) -> None:
        super().__init__(packs, runtime)
        self._detector = load_detector(packs.require(DETECTOR), runtime)
        self._recogniser = load_recogniser(packs.require(RECOGNISER), runtime)

    def warm_up(self) -> None:
        super().warm_up()
        # A black frame has no face, so the recogniser would stay cold.
        self._recogniser.warm_up()

    def preprocess(self, image: DecodedFrame) -> Inputs:
        return Inputs(image.pixels, self._detector.preprocess(image.pixels))

    def predict(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        detected = [self._detector.detect(item.prepared) for item in batch]
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
                    score=round_score(score),
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
        InvalidPack: one is missing or is not the kind of network that its family names.
    """
    return FacesModel(packs, runtime)
