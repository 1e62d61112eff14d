"""Progress on a terminal and in a log, without a terminal."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from local.runs.display import LiveDisplay, PlainDisplay
from local.runs.progress import read_progress
from local.runs.screening import Phase, Screening
from tests.unit.local.runs.history import partial_run


def screening(events: list[dict[str, Any]], phase: Phase = Phase.RUNNING) -> Screening:
    """What a display looks at of a screening."""
    seen = SimpleNamespace(
        path=Path("/v/cl\x1bip.mp4"),
        phase=phase,
        progress=read_progress(events) if events else None,
        elapsed_seconds=12.34,
        slow_to_start=phase is Phase.QUEUED,
        sent_bytes=1,
        size_bytes=4,
    )
    return cast("Screening", seen)


def test_plain_progress_says_everything_once_and_in_order() -> None:
    output = io.StringIO()
    events = partial_run().events
    with PlainDisplay(Console(file=output, width=200)) as display:
        for seen in range(len(events) + 1):
            display.update([screening(events[:seen])])
            display.update([screening(events[:seen])])
    lines = [line.split("  ")[-1] for line in output.getvalue().splitlines()]
    assert lines == [
        "uploading",
        "uploaded, waiting for its event",
        "ValidateVideo",
        "PlanAnalyses",
        "objects not deployed",
        "AnalyzeMedia",
        "moderation started",
        "faces started",
        "faces failed: EndpointFailure: no memory",
        "moderation succeeded",
        "AggregateResults",
        "AwaitRedrive",
    ]
    assert "\x1b" not in output.getvalue()


def test_an_upload_that_waits_too_long_says_where_to_look() -> None:
    output = io.StringIO()
    with PlainDisplay(Console(file=output, width=200)) as display:
        display.update([screening([], Phase.QUEUED)])
    assert "screener logs" in output.getvalue()


def test_live_progress_shows_steps_analyses_and_upload_share() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True, color_system=None)
    with LiveDisplay(console) as display:
        display.update([screening(partial_run().events), screening([], Phase.UPLOADING)])
        console.print("")  # a print redraws the live part
    shown = output.getvalue()
    for text in ("ValidateVideo", "faces", "EndpointFailure: no memory", "not deployed", "25%"):
        assert text in shown
    assert "cl\\x1bip.mp4" in shown
