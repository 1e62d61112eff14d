"""Second stage of scene-change and adaptive sampling: which candidates are worth a GPU.

The measure: both pictures are reduced to 32x32 grey values, compared value by value, and the
differences averaged over each cell of a 4x4 grid; the largest average, 0 to 255, counts. A mean
over the whole picture would miss something small that enters a corner.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from screener.sampling import Sampling, SamplingStrategy

_SIDE = 32
_CELLS = 4
_CELL_SIDE = _SIDE // _CELLS

Signature = NDArray[np.int16]
"""Grey values, shape (32, 32)."""


class Candidate(NamedTuple):
    """A decoded candidate."""

    jpeg: bytes
    signature: Signature | None
    """None where the strategy compares nothing."""


def signature_of(image: VideoFrame) -> Signature:
    """Reduce a picture to its signature."""
    small = image.reformat(_SIDE, _SIDE, "gray", interpolation=Interpolation.AREA, threads=1)
    return small.to_ndarray().astype(np.int16)


def difference(one: Signature, other: Signature) -> float:
    """How much two pictures differ, 0 to 255."""
    cells = np.abs(one - other).reshape(_CELLS, _CELL_SIDE, _CELLS, _CELL_SIDE)
    return float(cells.mean(axis=(1, 3)).max())


class Selector:
    """Decides on candidates in display order."""

    def __init__(self, sampling: Sampling) -> None:
        self._strategy = sampling.strategy
        self._threshold = sampling.change_threshold
        self._max_gap = Fraction(sampling.max_gap_ms, 1000)
        self._reference: Signature | None = None
        self._kept_at: Fraction | None = None

    @property
    def compares(self) -> bool:
        return self._strategy in (SamplingStrategy.SCENE_CHANGE, SamplingStrategy.ADAPTIVE)

    def keeps(self, candidate: Candidate, time: Fraction) -> bool:
        """Whether the candidate is kept."""
        signature = candidate.signature
        if signature is None:
            return True
        keep = (
            self._reference is None
            or self._kept_at is None
            or time - self._kept_at >= self._max_gap
            or difference(signature, self._reference) > self._threshold
        )
        # A cut differs from the candidate just before it; slow change differs from the last kept.
        if keep or self._strategy is SamplingStrategy.SCENE_CHANGE:
            self._reference = signature
        if keep:
            self._kept_at = time
        return keep
