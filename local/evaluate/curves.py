"""Precision and recall over all thresholds of one score."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964
"""Normal quantile of a 95 % interval."""


class Point(NamedTuple):
    """What a threshold does: everything with at least this score is called unsafe."""

    threshold: float
    precision: float
    recall: float
    flagged: int

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class Curve:
    """All thresholds that make a difference, from the highest to the lowest."""

    points: tuple[Point, ...]
    positives: int
    negatives: int

    @property
    def average_precision(self) -> float:
        """Area under precision over recall, as steps."""
        area = reached = 0.0
        for point in self.points:
            area += point.precision * (point.recall - reached)
            reached = point.recall
        return area

    @property
    def best(self) -> Point:
        """The highest F1; of several the highest threshold."""
        return max(self.points, key=lambda point: (point.f1, point.threshold))

    def at(self, threshold: float) -> Point | None:
        """What a given threshold does; None where it flags nothing, which has no precision."""
        reached = [point for point in self.points if point.threshold >= threshold]
        return reached[-1]._replace(threshold=threshold) if reached else None

    def for_precision(self, wanted: float) -> Point | None:
        """The threshold with the most recall among those that reach a precision."""
        reached = [point for point in self.points if point.precision >= wanted]
        return max(reached, key=lambda point: (point.recall, point.precision), default=None)

    def for_recall(self, wanted: float) -> Point | None:
        """The threshold with the most precision among those that reach a recall."""
        reached = [point for point in self.points if point.recall >= wanted]
        return max(reached, key=lambda point: (point.precision, point.threshold), default=None)


def curve(scores: NDArray[np.float64], unsafe: NDArray[np.bool_]) -> Curve:
    """Precision and recall at every distinct score.

    Args:
        scores: shape (N,).
        unsafe: the labels, shape (N,).

    Raises:
        ValueError: there is not one unsafe sample, so that recall has no meaning.
    """
    positives = int(unsafe.sum())
    if not positives:
        raise ValueError("not one sample is labelled unsafe")
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], np.cumsum(unsafe[order])
    last_of_score = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    points = tuple(
        Point(
            threshold=float(ordered[index]),
            precision=float(hits[index] / (index + 1)),
            recall=float(hits[index] / positives),
            flagged=int(index + 1),
        )
        for index in last_of_score
    )
    return Curve(points, positives, len(unsafe) - positives)


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `count` samples: small sets promise little."""
    if not count:
        return 0.0, 1.0
    centre = share + _Z**2 / (2 * count)
    spread = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
