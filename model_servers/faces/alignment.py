"""Turning a face upright, the way both ArcFace and SFace were trained."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_servers.serving.images import Pixels

SIDE = 112
# Where the landmarks of an upright face lie in the 112x112 crop (the customary template of the
# ArcFace and SphereFace papers; OpenCV's SFace uses the same): eyes, nose, mouth corners.
_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)


def upright(pixels: Pixels, landmarks: NDArray[np.float32]) -> Pixels:
    """The face with these five landmarks, (112, 112, 3), in the template's position."""
    crop = cv2.warpAffine(pixels, similarity(landmarks, _TEMPLATE), (SIDE, SIDE))
    return np.asarray(crop, dtype=np.uint8)


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
