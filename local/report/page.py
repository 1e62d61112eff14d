"""The report: one HTML file that needs nothing else and lets nothing in.

Everything from the video (names, words, labels) is text to the page: Jinja escapes it, and the
page's content security policy allows only the one style sheet and the one script whose digests
it names, so that even an escape that failed would not run.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources

import jinja2

from local.report.consequences import consequences
from local.report.edit_lists import flagged_segments
from local.report.evidence import EvidenceFrame
from local.report.masking import mask_terms
from local.report.timeline import clock, lanes, ticks
from local.runs.terminal_text import safe
from screener.document import AnalysisState, Document
from screener.sections import Certainty, Segment

SHOWN_SEGMENTS = 500


def render_report(
    document: Document, frames: Sequence[EvidenceFrame] = (), *, masked: bool = False
) -> str:
    """The page of one document.

    Args:
        document: what to show.
        frames: pictures of findings.
        masked: show flagged words as first letters and asterisks.
    """
    shown = mask_terms(document) if masked else document
    flagged = flagged_segments(shown)
    listed = flagged[:SHOWN_SEGMENTS]
    segments = list(zip(listed, consequences(shown, listed), strict=True))
    duration_ms = _duration_ms(shown, listed)
    return _template().render(
        document=shown,
        frames=frames,
        frame_of=_nearest(frames),
        segments=segments,
        omitted_segments=len(flagged) - len(listed),
        lanes=lanes(shown, segments, duration_ms) if shown.sampling else [],
        ticks=ticks(duration_ms),
        transcript=_transcript(shown),
        missing=[
            (name, report)
            for name, report in shown.analyses.items()
            if report.status not in (AnalysisState.COMPLETE, AnalysisState.SKIPPED)
        ],
        packs=[(name, pack) for name, report in shown.analyses.items() for pack in report.packs],
        style=_asset("report.css"),
        script=_asset("report.js"),
        policy=content_security_policy(),
    )


def content_security_policy() -> str:
    """What the page may load: pictures inside it, and its own style sheet and script."""
    return "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_digest(_asset('report.css'))}'",
            f"script-src '{_digest(_asset('report.js'))}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _duration_ms(document: Document, segments: Sequence[Segment]) -> int:
    ends = [segment.end_ms for segment in segments]
    return max([document.video.duration_ms or 0, *ends, 1])


def _nearest(frames: Sequence[EvidenceFrame]) -> dict[int, int]:
    """Timestamp -> number of the picture."""
    return {frame.timestamp_ms: number for number, frame in enumerate(frames)}


def _transcript(document: Document) -> list[tuple[int, list[tuple[str, str | None]]]]:
    """Per spoken segment its start and its words, each with the category that flags it."""
    speech = document.transcription
    if speech is None:
        return []
    flagged = [
        (term.start_ms, term.end_ms, _term_title(term.category, term.certainty))
        for term in speech.flagged_terms
    ]
    lines = []
    for segment in speech.segments:
        near = [item for item in flagged if item[0] < segment.end_ms and item[1] > segment.start_ms]
        lines.append(
            (
                segment.start_ms,
                [
                    (
                        word.text.strip(),
                        next(
                            (why for a, b, why in near if a <= word.start_ms and word.end_ms <= b),
                            None,
                        ),
                    )
                    for word in segment.words
                ],
            )
        )
    return lines


def _term_title(category: str, certainty: Certainty) -> str:
    return category if certainty is Certainty.CONFIRMED else f"{category} (uncertain)"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("local.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    environment.filters["visible"] = lambda value: safe(str(value))
    return environment.get_template("report.html.j2")


@cache
def _asset(name: str) -> str:
    return resources.files("local.report").joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
