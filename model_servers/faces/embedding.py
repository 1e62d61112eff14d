"""Networks that take an upright face of 112x112 pixels and give a vector."""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, FiniteFloat, ValidationError

from model_servers.faces.alignment import SIDE, upright
from model_servers.serving.images import Pixels
from model_servers.serving.memory import FittingBatches
from model_servers.serving.runtime import Runtime
from screener.errors import InvalidPack
from screener.model import Message
from screener.packs import InstalledPack

_LARGEST_BATCH = 64


class Contract(Message):
    """What weights expect of their input. A family has its own; `pack.json` may differ."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input_mean: FiniteFloat
    """Taken off each channel, 0 to 255, before the division."""
    input_std: FiniteFloat = Field(gt=0)
    channel_order: Literal["rgb", "bgr"] = "rgb"


class FaceEmbedder:
    """The `Recogniser` of every family that differs from the others in its `Contract` only."""

    def __init__(self, pack: InstalledPack, runtime: Runtime, family: Contract) -> None:
        self._contract = _contract(pack, family)
        self._session = runtime.session(pack.path_of(pack.pack.files[0].path))
        entry, output = self._session.inputs[0], self._session.outputs[0]
        faces, *picture = entry.shape
        if picture != [3, SIDE, SIDE] or not isinstance(output.shape[-1], int):
            raise InvalidPack(f"{pack.folder}: not a recogniser of {SIDE}x{SIDE} faces")
        if isinstance(faces, int) and faces != 1:
            raise InvalidPack(f"{pack.folder}: takes {faces} faces at a time, neither 1 nor any")
        self._input = entry.name
        # OpenCV's SFace was exported for one face at a time.
        self._batches = FittingBatches(
            1 if faces == 1 else _LARGEST_BATCH, fixed=runtime.on_gpu and faces != 1
        )
        self.embedding_size: int = output.shape[-1]

    def align(self, pixels: Pixels, landmarks: NDArray[np.float32]) -> Pixels:
        return upright(pixels, landmarks)

    def embed(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        vectors = self._batches.run(self._embed, crops)
        embeddings = np.array(vectors, np.float32).reshape(len(crops), self.embedding_size)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, 1e-12), dtype=np.float32)

    def _embed(self, crops: Sequence[Pixels]) -> Sequence[NDArray[np.float32]]:
        mean = self._contract.input_mean
        blob = cv2.dnn.blobFromImages(
            crops,
            1 / self._contract.input_std,
            mean=(mean, mean, mean),
            swapRB=self._contract.channel_order == "rgb",
        )
        [vectors] = self._session.run({self._input: blob})
        return list(vectors)

    def warm_up(self) -> None:
        self.embed([np.zeros((SIDE, SIDE, 3), np.uint8)])


def _contract(pack: InstalledPack, family: Contract) -> Contract:
    try:
        return Contract.model_validate(family.model_dump() | pack.pack.parameters)
    except ValidationError as cause:
        raise InvalidPack(f"{pack.folder}: parameters: {cause}") from cause
