"""Hits become segments: neighbouring observations of one thing, merged and persistent enough.

Adding hits can only lengthen segments, join them, or make them more certain. The verdict's
monotony rests on that, so nothing here counts segments or takes averages.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from screener import taxonomy
from screener.policy.model import Persistence
from screener.sections import Certainty, Segment
from screener.taxonomy import Source


class Hit(NamedTuple):
    """One observation that speaks for a category."""

    start_ms: int
    end_ms: int
    """[start_ms, end_ms): the time that the frame or the word stands for."""
    timestamp_ms: int
    label: str
    confidence: float
    confirmed: bool = True


def segments(
    hits: Iterable[Hit], category: str, source: Source, persistence: Persistence
) -> list[Segment]:
    """Merge hits into segments that persist, in order of time.

    A segment is confirmed when its confirmed hits alone persist.
    """
    names = taxonomy.load().names(category)
    found = []
    for group in _groups(sorted(hits), persistence.merge_gap_ms):
        if not _persists(group, persistence):
            continue
        confirmed = any(
            _persists(part, persistence)
            for part in _groups((hit for hit in group if hit.confirmed), persistence.merge_gap_ms)
        )
        peak = max(group, key=lambda hit: (hit.confidence, -hit.timestamp_ms))
        found.append(
            Segment(
                category=category,
                taxonomy=names,
                source=source,
                labels=sorted({hit.label for hit in group}),
                start_ms=group[0].start_ms,
                end_ms=max(hit.end_ms for hit in group),
                frames=len({hit.timestamp_ms for hit in group}),
                confidence=round(peak.confidence, 4),
                peak_ms=peak.timestamp_ms,
                certainty=Certainty.CONFIRMED if confirmed else Certainty.UNCERTAIN,
            )
        )
    return found


def covered_ms(found: Iterable[Segment]) -> int:
    """Length of the union of the segments' times."""
    total = 0
    reach = 0
    for start, end in sorted((segment.start_ms, segment.end_ms) for segment in found):
        total += max(0, end - max(start, reach))
        reach = max(reach, end)
    return total


def _groups(ordered: Iterable[Hit], merge_gap_ms: int) -> Iterator[list[Hit]]:
    group: list[Hit] = []
    reach = 0
    for hit in ordered:
        if group and hit.start_ms > reach + merge_gap_ms:
            yield group
            group = []
        reach = max(reach, hit.end_ms) if group else hit.end_ms
        group.append(hit)
    if group:
        yield group


def _persists(group: list[Hit], persistence: Persistence) -> bool:
    frames = len({hit.timestamp_ms for hit in group})
    duration_ms = max(hit.end_ms for hit in group) - min(hit.start_ms for hit in group)
    return frames >= persistence.min_frames and duration_ms >= persistence.min_duration_ms
