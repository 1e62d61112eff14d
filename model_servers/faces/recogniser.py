"""ArcFace: a face, turned upright, to a unit vector."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_servers.serving.images import Pixels
from model_servers.serving.runtime import Runtime
from screener.errors import InvalidPack
from screener.packs import InstalledPack

_SIDE = 112
# Where the landmarks of an upright face lie in the 112x112 crop that ArcFace was trained on
# (the customary template of the ArcFace and SphereFace papers): eyes, nose, mouth corners.
_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
_LARGEST_BATCH = 64


class ArcFace:
    """Embeds aligned faces, many per network call.

    `pack.json` parameters `input_mean` and `input_std` (both 127.5 by default) say what the
    weights expect; a few old exports subtract them inside the network.
    """

    def __init__(self, pack: InstalledPack, runtime: Runtime) -> None:
        self._mean = float(pack.pack.parameters.get("input_mean", 127.5))
        self._scale = 1 / float(pack.pack.parameters.get("input_std", 127.5))
        self._session = runtime.session(pack.path_of(pack.pack.files[0].path))
        entry, output = self._session.get_inputs()[0], self._session.get_outputs()[0]
        if entry.shape[2:] != [_SIDE, _SIDE] or not isinstance(output.shape[1], int):
            raise InvalidPack(f"{pack.folder}: not a recogniser of {_SIDE}x{_SIDE} faces")
        self._input = entry.name
        self.embedding_size: int = output.shape[1]

    def align(self, pixels: Pixels, landmarks: NDArray[np.float32]) -> Pixels:
        """The face with these five landmarks, (112, 112, 3), in the template's position."""
        crop = cv2.warpAffine(pixels, similarity(landmarks, _TEMPLATE), (_SIDE, _SIDE))
        return np.asarray(crop, dtype=np.uint8)

    def embed(self, crops: list[Pixels]) -> NDArray[np.float32]:
        """Unit vectors (n, embedding_size) of aligned faces."""
        parts = [np.empty((0, self.embedding_size), np.float32)]
        for start in range(0, len(crops), _LARGEST_BATCH):
            blob = cv2.dnn.blobFromImages(
                crops[start : start + _LARGEST_BATCH],
                self._scale,
                mean=(self._mean, self._mean, self._mean),
                swapRB=True,
            )
            [vectors] = self._session.run(None, {self._input: blob})
            parts.append(np.asarray(vectors))
        embeddings = np.concatenate(parts)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(lengths, 1e-12), dtype=np.float32)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotation, scale and shift that brings points closest to others, as a 2x3 matrix.

    Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", 1991. Both arguments (n, 2).
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    from_centre, to_centre = source - source_mean, target - target_mean
    left, strengths, right = np.linalg.svd(to_centre.T @ from_centre / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])
    rotation = left @ np.diag(signs) @ right
    spread = from_centre.var(axis=0).sum()
    scale = float(strengths @ signs) / spread if spread > 0 else 1.0
    linear = scale * rotation
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])
