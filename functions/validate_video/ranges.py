"""Cuts a long video into time ranges that are extracted and analysed side by side."""

from screener.messages import TimeRange

MAX_RANGES = 10
"""Four analyses of ten ranges are the 40 items that one Map state starts at once."""


def plan_ranges(duration_ms: int, range_seconds: int, *, seekable: bool) -> list[TimeRange]:
    """Equal ranges of whole seconds that cover everything; the last has no end.

    Args:
        duration_ms: what the container says; the last range covers what it does not say.
        range_seconds: a video up to this length is one range; longer ranges than this appear
            only when more than `MAX_RANGES` would be needed.
        seekable: False makes one range: each of several would read the whole file.
    """
    duration_seconds = -(-duration_ms // 1000)
    count = min(MAX_RANGES, -(-duration_seconds // range_seconds)) if seekable else 1
    if count <= 1:
        return [TimeRange(chunk=0, start_ms=0, end_ms=None)]
    length_ms = -(-duration_seconds // count) * 1000
    starts = range(0, duration_ms, length_ms)
    return [
        TimeRange(
            chunk=chunk,
            start_ms=start,
            end_ms=start + length_ms if start != starts[-1] else None,
        )
        for chunk, start in enumerate(starts)
    ]
