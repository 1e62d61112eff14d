"""Lanes of the report's timeline: what lies where in the video."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from screener.document import Decision, Document
from screener.sections import Certainty, Segment
from screener.taxonomy import Source

MAX_PRESENCE_CLASSES = 6
MAX_BARS = 2_000
"""Bars per lane; hours of video have more changes than pixels."""
_TICKS = 8
_STEPS_MS = (
    *(1_000, 2_000, 5_000, 10_000, 15_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000),
)


@dataclass(frozen=True)
class Bar:
    """A stretch of a lane, in percent of the whole width."""

    left: str
    width: str
    kind: str
    """"presence", or the consequence: "reject", "review" or "approve"; with "uncertain" behind it
    where that is so."""
    title: str
    segment: int | None
    """Number of the segment in the list below; None for mere presence."""


@dataclass(frozen=True)
class Lane:
    name: str
    rows: tuple[tuple[str, tuple[Bar, ...]], ...]
    """Name and bars of each row."""
    empty: str
    """What to say when there are no bars."""


@dataclass(frozen=True)
class Tick:
    left: str
    label: str


def clock(milliseconds: int) -> str:
    """83200 -> "1:23.2"."""
    tenths = milliseconds // 100
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def ticks(duration_ms: int) -> list[Tick]:
    """Round times over the whole width, about eight of them."""
    step = next((step for step in _STEPS_MS if step * _TICKS >= duration_ms), duration_ms // _TICKS)
    return [
        Tick(left=_percent(at, duration_ms), label=clock(at).removesuffix(".0"))
        for at in range(0, max(duration_ms, 1), step)
    ]


def lanes(
    document: Document, segments: Sequence[tuple[Segment, Decision]], duration_ms: int
) -> list[Lane]:
    """The five lanes.

    Args:
        document: for presence, which has no segments.
        segments: in the order of the list that the bars link to, each with its consequence.
        duration_ms: what the whole width stands for.
    """
    bars: dict[Source, dict[str, list[Bar]]] = defaultdict(lambda: defaultdict(list))
    for number, (segment, decision) in enumerate(segments):
        confirmed = segment.certainty is Certainty.CONFIRMED
        row = segment.labels[0] if segment.source is Source.KNOWN_FACES else segment.taxonomy[-1]
        bars[segment.source][row].append(
            Bar(
                left=_percent(segment.start_ms, duration_ms),
                width=_percent(max(1, segment.end_ms - segment.start_ms), duration_ms),
                kind=decision.value + ("" if confirmed else " uncertain"),
                title=f"{' > '.join(segment.taxonomy)}: {', '.join(segment.labels)}, "
                f"{clock(segment.start_ms)} to {clock(segment.end_ms)}, "
                f"{segment.certainty.value} {segment.confidence:.2f}, {decision.value}",
                segment=number,
            )
        )

    def rows(*sources: Source) -> list[tuple[str, tuple[Bar, ...]]]:
        return [
            (name, tuple(found[:MAX_BARS]))
            for source in sources
            for name, found in bars[source].items()
        ]

    return [
        Lane(
            "Moderation",
            tuple(rows(Source.NUDENET, Source.OPENNSFW2)),
            "nothing found" if document.moderation else "not analysed",
        ),
        Lane(
            "Faces",
            (*rows(Source.KNOWN_FACES), *_face_presence(document, duration_ms)),
            "no faces" if document.faces else "not analysed",
        ),
        Lane(
            "Speech",
            (*rows(Source.TERMS), *_speech_presence(document, duration_ms)),
            "no speech" if document.transcription else _no_speech(document),
        ),
        Lane(
            "Objects",
            (*rows(Source.OBJECTS), *_object_presence(document, duration_ms)),
            "nothing found" if document.objects else "not analysed",
        ),
        Lane("Scenes", tuple(rows(Source.SCENES)), _no_scenes(document)),
    ]


def _no_speech(document: Document) -> str:
    report = next(
        (item for name, item in document.analyses.items() if name == "transcription"), None
    )
    return report.reason or "not analysed" if report is not None else "not analysed"


def _no_scenes(document: Document) -> str:
    if document.objects is None:
        return "not analysed"
    scenes = document.objects.scene_classifications
    return "nothing found" if scenes.status == "evaluated" else "not evaluated"


def _face_presence(document: Document, duration_ms: int) -> list[tuple[str, tuple[Bar, ...]]]:
    if document.faces is None:
        return []
    seen = [
        (frame.timestamp_ms, len(frame.faces)) for frame in document.faces.per_frame if frame.faces
    ]
    spans = _spans([at for at, _ in seen], _frame_gap_ms(document))
    bars = _presence(spans, "a face", duration_ms)
    return [("any face", bars)] if bars else []


def _speech_presence(document: Document, duration_ms: int) -> list[tuple[str, tuple[Bar, ...]]]:
    if document.transcription is None:
        return []
    bars = tuple(
        Bar(
            left=_percent(item.start_ms, duration_ms),
            width=_percent(max(1, item.end_ms - item.start_ms), duration_ms),
            kind="presence",
            title=f"speech, {clock(item.start_ms)} to {clock(item.end_ms)}",
            segment=None,
        )
        for item in document.transcription.segments[:MAX_BARS]
    )
    return [("speech", bars)] if bars else []


def _object_presence(document: Document, duration_ms: int) -> list[tuple[str, tuple[Bar, ...]]]:
    if document.objects is None:
        return []
    seen: dict[str, list[int]] = defaultdict(list)
    for frame in document.objects.per_frame:
        for label in {item.label for item in frame.objects}:
            seen[label].append(frame.timestamp_ms)
    common = sorted(seen, key=lambda label: (-len(seen[label]), label))[:MAX_PRESENCE_CLASSES]
    gap = _frame_gap_ms(document)
    return [(label, _presence(_spans(seen[label], gap), label, duration_ms)) for label in common]


def _frame_gap_ms(document: Document) -> int:
    rate = (
        float(document.sampling.parameters.get("frames_per_second", 1)) if document.sampling else 1
    )
    return int(1_000 / rate)


def _spans(moments: Iterable[int], gap_ms: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for at in sorted(moments):
        if spans and at <= spans[-1][1] + gap_ms:
            spans[-1] = (spans[-1][0], at + gap_ms)
        else:
            spans.append((at, at + gap_ms))
    return spans


def _presence(spans: Sequence[tuple[int, int]], what: str, duration_ms: int) -> tuple[Bar, ...]:
    return tuple(
        Bar(
            left=_percent(start, duration_ms),
            width=_percent(min(end, duration_ms) - start, duration_ms),
            kind="presence",
            title=f"{what}, {clock(start)} to {clock(end)}",
            segment=None,
        )
        for start, end in spans[:MAX_BARS]
    )


def _percent(milliseconds: int, duration_ms: int) -> str:
    share = 100 * max(0, milliseconds) / max(1, duration_ms)
    return f"{min(100.0, share):.4f}%"
