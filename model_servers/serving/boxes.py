"""Detector output to boxes: what the YOLO family shares."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from model_servers.serving.scores import round_score
from screener.observations import Box, Detection

_COORDINATE_DIGITS = 5  # a hundredth of a pixel at 1280: more digits only make the answer longer


class Candidates(NamedTuple):
    """Boxes of one image after suppression, best first."""

    boxes: NDArray[np.float32]
    """(n, 4): left, top, width, height in the network's pixels."""
    scores: NDArray[np.float32]
    classes: NDArray[np.intp]


def select(
    output: NDArray[np.float32],
    *,
    floor: float,
    overlap: float,
    per_class: bool,
    limit: int = 300,
) -> Candidates:
    """Read one image's raw YOLOv8 output and suppress overlapping boxes.

    Args:
        output: (4 + classes, anchors): centre x, centre y, width, height, then class scores.
        floor: lowest score kept.
        overlap: a box is dropped when it overlaps a better one by more than this (IoU).
        per_class: only boxes of the same class suppress each other.
        limit: most boxes kept.
    """
    scores = output[4:].max(axis=0)
    wanted = np.flatnonzero(scores >= floor)
    scores = scores[wanted]
    classes = output[4:, wanted].argmax(axis=0)
    boxes = output[:4, wanted].T.copy()
    boxes[:, :2] -= boxes[:, 2:] / 2
    if not len(wanted):
        return Candidates(boxes, scores, classes)
    # OpenCV wants the floor once more; everything here is above it already.
    if per_class:
        kept = cv2.dnn.NMSBoxesBatched(boxes, scores, classes, 0.0, overlap)  # type: ignore[arg-type]
    else:
        kept = cv2.dnn.NMSBoxes(boxes, scores, 0.0, overlap)  # type: ignore[arg-type]
    order = np.asarray(kept, dtype=np.intp).reshape(-1)[:limit]
    return Candidates(boxes[order], scores[order], classes[order])


def ratio_box(left: float, top: float, right: float, bottom: float) -> Box | None:
    """A box in ratios of the frame, cut off at its edges; None when nothing is left."""
    left, right = max(0.0, float(left)), min(1.0, float(right))
    top, bottom = max(0.0, float(top)), min(1.0, float(bottom))
    if right <= left or bottom <= top:
        return None
    return Box(
        left=round(left, _COORDINATE_DIGITS),
        top=round(top, _COORDINATE_DIGITS),
        width=round(right - left, _COORDINATE_DIGITS),
        height=round(bottom - top, _COORDINATE_DIGITS),
    )


def detection(label: str, score: float, box: Box) -> Detection:
    return Detection(label=label, score=round_score(score), box=box)
