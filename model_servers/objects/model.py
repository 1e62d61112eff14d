"""Objects and scenes: YOLO boxes and a CLIP embedding per frame, or embeddings of texts."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from model_servers.objects.clip import Clip
from model_servers.objects.detector import Letterbox, Yolo
from model_servers.serving.errors import MalformedRequest
from model_servers.serving.frames import FrameModel, time_of
from model_servers.serving.images import DecodedFrame
from model_servers.serving.model import Handler, Invocation, Model
from model_servers.serving.packs import PackSet
from model_servers.serving.runtime import Runtime
from model_servers.serving.runtime import choose_runtime as choose_runtime
from screener.bundles import FrameBundleManifest, FrameEntry
from screener.messages import TextEmbeddingRequest
from screener.observations import (
    ObjectsFrame,
    ObjectsObservations,
    TextEmbeddings,
    encode_embedding,
)

DETECTOR, CLIP = "detector", "clip"
ROLES = frozenset({DETECTOR, CLIP})
_MAX_TEXT_REQUEST_BYTES = 4 << 20


class Inputs(NamedTuple):
    width: int
    height: int
    letterbox: Letterbox | None
    clip: NDArray[np.float32] | None


class Outputs(NamedTuple):
    boxes: NDArray[np.float32] | None
    embedding: NDArray[np.float32] | None


class ObjectsModel(FrameModel[Inputs, Outputs, ObjectsFrame]):
    """Both networks, or whichever has a pack."""

    def __init__(self, packs: PackSet, runtime: Runtime) -> None:
        super().__init__(packs, runtime)
        detector, clip = packs.find(DETECTOR), packs.find(CLIP)
        self._yolo = Yolo(detector, runtime) if detector else None
        self._clip = Clip(clip, runtime) if clip else None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        texts: dict[str, Handler] = {"application/json": self.embed_texts} if self._clip else {}
        return {**super().handlers, **texts}

    def warm_up(self) -> None:
        super().warm_up()
        if self._clip:
            self._clip.embed_texts(["warm"])

    def preprocess(self, image: DecodedFrame) -> Inputs:
        return Inputs(
            width=image.width,
            height=image.height,
            letterbox=self._yolo.preprocess(image.pixels) if self._yolo else None,
            clip=self._clip.preprocess(image.pixels) if self._clip else None,
        )

    def predict(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        boxes: Sequence[NDArray[np.float32] | None] = [None] * len(batch)
        embeddings: Sequence[NDArray[np.float32] | None] = [None] * len(batch)
        if self._yolo:
            blobs = [item.letterbox.blob for item in batch if item.letterbox]
            boxes = list(self._yolo.predict(np.stack(blobs)))
        if self._clip:
            crops = [item.clip for item in batch if item.clip is not None]
            embeddings = list(self._clip.embed_images(np.stack(crops)))
        return [Outputs(*pair) for pair in zip(boxes, embeddings, strict=True)]

    def postprocess(self, entry: FrameEntry, inputs: Inputs, outputs: Outputs) -> ObjectsFrame:
        found = []
        if self._yolo and inputs.letterbox and outputs.boxes is not None:
            found = self._yolo.postprocess(
                inputs.letterbox, outputs.boxes, inputs.width, inputs.height
            )
        embedding = None if outputs.embedding is None else encode_embedding(outputs.embedding)
        return ObjectsFrame(**time_of(entry), objects=found, clip_embedding=embedding)

    def observations(
        self,
        manifest: FrameBundleManifest,
        frames: list[ObjectsFrame],
        timings_ms: dict[str, float],
    ) -> ObjectsObservations:
        return ObjectsObservations(
            packs=self.packs,
            provider=self.runtime.provider,
            timings_ms=timings_ms,
            chunk=manifest.chunk,
            detector_labels=self._yolo.labels if self._yolo else [],
            clip_logit_scale=self._clip.logit_scale if self._clip else None,
            frames=frames,
        )

    def embed_texts(self, invocation: Invocation) -> TextEmbeddings:
        """Answer a list of texts with one embedding each.

        Raises:
            MalformedRequest: not a `TextEmbeddingRequest`.
        """
        body = invocation.body.read(_MAX_TEXT_REQUEST_BYTES)
        try:
            request = TextEmbeddingRequest.model_validate_json(body)
        except ValidationError as cause:
            raise MalformedRequest(f"not a list of texts: {cause}") from cause
        if self._clip is None:
            raise MalformedRequest("this server has no CLIP pack")
        with invocation.stopwatch.stage("predict"):
            vectors = self._clip.embed_texts(request.texts)
        return TextEmbeddings(
            packs=self.packs,
            provider=self.runtime.provider,
            timings_ms=invocation.stopwatch.read_ms(),
            chunk=invocation.chunk,
            clip_logit_scale=self._clip.logit_scale,
            texts=request.texts,
            embeddings=[encode_embedding(vector) for vector in vectors],
        )


def load(packs: PackSet, runtime: Runtime) -> Model:
    """Load YOLO and CLIP from their packs.

    Raises:
        InvalidPack: a network cannot be loaded or does not fit its `pack.json`.
    """
    return ObjectsModel(packs, runtime)
