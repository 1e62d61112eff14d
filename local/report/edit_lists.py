"""Flagged segments for people who cut: CSV for tables, CMX 3600 EDL for editors."""

import csv
import io
import re
from fractions import Fraction

from screener.document import Document
from screener.sections import Segment

_EDL_EVENTS = 999
_DEFAULT_RATE = Fraction(25)
# A cell that starts so is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    "start_ms",
    "end_ms",
    "category",
    "labels",
    "source",
    "certainty",
    "confidence",
    "frames",
)


def flagged_segments(document: Document) -> list[Segment]:
    """All segments of the document in order of time."""
    found: list[Segment] = []
    if document.moderation is not None:
        found += document.moderation.segments
    if document.faces is not None:
        found += [item for match in document.faces.known_matches for item in match.segments]
    if document.transcription is not None:
        found += document.transcription.flagged_segments
    if document.objects is not None:
        found += document.objects.segments
    return sorted(found, key=lambda item: (item.start_ms, item.end_ms, item.category))


def segments_csv(document: Document) -> str:
    """One row per segment, RFC 4180."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for segment in flagged_segments(document):
        writer.writerow(
            [
                segment.start_ms,
                segment.end_ms,
                segment.category,
                _cell("; ".join(segment.labels)),
                segment.source.value,
                segment.certainty.value,
                segment.confidence,
                segment.frames,
            ]
        )
    return target.getvalue()


def segments_edl(document: Document) -> str:
    """A CMX 3600 edit list whose events are the segments, at the video's own frame rate.

    Non-drop-frame; event numbers end at 999, as the format does, and later ones are left out
    with a comment that says how many.
    """
    rate = _rate(document)
    segments = flagged_segments(document)
    lines = [f"TITLE: {_line(document.video.key)[:70]}", "FCM: NON-DROP FRAME", ""]
    for number, segment in enumerate(segments[:_EDL_EVENTS], 1):
        start = _timecode(segment.start_ms, rate)
        end = _timecode(max(segment.end_ms, segment.start_ms + 1), rate, at_least_after=start)
        lines += [
            f"{number:03d}  AX       V     C        {start} {end} {start} {end}",
            f"* FROM CLIP NAME: {_line(document.video.key)}",
            f"* COMMENT: {segment.category} {_line(', '.join(segment.labels))} "
            f"{segment.certainty.value} {segment.confidence:.2f}",
            "",
        ]
    if len(segments) > _EDL_EVENTS:
        lines.append(f"* COMMENT: {len(segments) - _EDL_EVENTS} later segments left out")
    return "\r\n".join(lines) + "\r\n"


def _rate(document: Document) -> Fraction:
    try:
        rate = Fraction(document.video.frame_rate or "")
    except (ValueError, ZeroDivisionError):
        return _DEFAULT_RATE
    return rate if 1 <= rate <= 240 else _DEFAULT_RATE


def _timecode(milliseconds: int, rate: Fraction, *, at_least_after: str | None = None) -> str:
    frame = int(Fraction(milliseconds, 1000) * rate)
    base = round(rate)
    shown = _frames_as_timecode(frame, base)
    return _frames_as_timecode(frame + 1, base) if shown == at_least_after else shown


def _frames_as_timecode(frame: int, base: int) -> str:
    seconds, rest = divmod(frame, base)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"


def _cell(text: str) -> str:
    line = _line(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def _line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", text)
