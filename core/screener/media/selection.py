"""Second stage of scene-change and adaptive sampling: which candidates are worth a GPU.

Both pictures are reduced to 32x32 values of luma, Cb and Cr. For every 7x7 window of a candidate
the best match is sought in the other picture, at most two values away in each direction (a
sixteenth of the side): what merely moved finds itself there, foreign content does not. What is
left, the mean over the window of |luma| + |Cb| + |Cr|, says how much of the window is new; the
window that is newest counts. A 7x7 window always fits whole into whatever covers a quarter of
the picture's width and height, wherever that lies.

A mean over the whole picture would miss what is small; without the search a hand that moves
counts as much as foreign content (docs/sampling.md has the figures).
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from screener.sampling import Sampling, SamplingStrategy

_SIDE = 32
_WINDOW = 7
_REACH = 2
_SLOW = 2
"""Slow change counts from so many thresholds on: a pose drifts further from the last kept frame
than from the candidate before it, and would otherwise be kept again and again."""

Signature = NDArray[np.int16]
"""Luma, Cb and Cr, shape (3, 32, 32)."""
Windows = NDArray[np.float32]
"""A value for every window, shape (26, 26)."""


class Candidate(NamedTuple):
    """A decoded candidate."""

    jpeg: bytes
    signature: Signature | None
    """None where the strategy compares nothing."""


def signature_of(image: VideoFrame) -> Signature:
    """Reduce a picture to its signature."""
    small = image.reformat(_SIDE, _SIDE, "yuvj444p", interpolation=Interpolation.AREA, threads=1)
    return small.to_ndarray().astype(np.int16)


def novelty(picture: Signature, other: Signature, above: float = 0.0) -> Windows:
    """How much of each window of `picture` is not in `other`, 0 to 765.

    Args:
        above: smaller values need not be exact; where no window differs by more without the
            search, there is none.
    """
    in_place = _window_means(np.abs(picture - other).sum(axis=0, dtype=np.int32))
    if in_place.max() <= above:
        return in_place
    padded = np.pad(other, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)), mode="edge")
    shifted = sliding_window_view(padded, (_SIDE, _SIDE), axis=(1, 2))
    differences = np.abs(shifted - picture[:, None, None]).sum(axis=0, dtype=np.int32)
    best: Windows = _window_means(differences).min(axis=(0, 1))
    return best


def _window_means(values: NDArray[np.int32]) -> Windows:
    """Means over all windows of the last two axes."""
    sums = np.zeros((*values.shape[:-2], _SIDE + 1, _SIDE + 1), dtype=np.int32)
    np.cumsum(values, axis=-2, out=sums[..., 1:, 1:])
    np.cumsum(sums[..., 1:, 1:], axis=-1, out=sums[..., 1:, 1:])
    rows = sums[..., _WINDOW:, :] - sums[..., :-_WINDOW, :]
    means: Windows = (rows[..., _WINDOW:] - rows[..., :-_WINDOW]) / np.float32(_WINDOW**2)
    return means


class Selector:
    """Decides on candidates in display order. Holds two signatures, however long the video."""

    def __init__(self, sampling: Sampling) -> None:
        self._strategy = sampling.strategy
        self._threshold = sampling.change_threshold
        self._max_gap = Fraction(sampling.max_gap_ms, 1000)
        self._before: Signature | None = None
        self._kept: Signature | None = None
        self._kept_at = Fraction(0)

    @property
    def compares(self) -> bool:
        return self._strategy.compares

    def keeps(self, candidate: Candidate, time: Fraction) -> bool:
        """Whether the candidate is kept."""
        signature = candidate.signature
        if signature is None:
            return True
        keep = time - self._kept_at >= self._max_gap or self._is_new(signature)
        self._before = signature
        if keep:
            self._kept, self._kept_at = signature, time
        return keep

    def _is_new(self, signature: Signature) -> bool:
        if self._before is None or self._kept is None:
            return True
        sudden = novelty(signature, self._before, self._threshold)
        if self._strategy is SamplingStrategy.SCENE_CHANGE:
            return bool(sudden.max() > self._threshold)
        since_kept = novelty(signature, self._kept, self._threshold)
        # In one window: a hand that returns to where it was is new to the candidate before only.
        appeared = np.minimum(sudden, since_kept).max() > self._threshold
        return bool(appeared or since_kept.max() > _SLOW * self._threshold)
