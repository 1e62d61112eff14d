"""`screener probe`."""

import math
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from local.commands.place import home
from local.commands.sampling import parse_sampling
from local.operate.cost import Load, estimate
from local.packs import select_packs
from local.runs.outcome import ExitCode
from local.runs.screening import check_file
from local.runs.terminal_text import output_console, safe
from local.runs.verdict_text import clock
from screener.errors import InvalidVideo
from screener.media import MediaFacts, probe
from screener.media.source import FileSource
from screener.model import Message
from screener.observations import Analyzer
from screener.sampling import Sampling, SamplingStrategy

HELP = """Show what would be analysed of a video, and what that would cost on AWS. Analyses nothing.

Exit code: 0, or 4 for a video that would be refused.

Examples:

  screener probe clip.mp4

  screener probe film.mkv --sampling '{"strategy": "adaptive", "frames_per_second": 2}' --json
"""


class ProbeReport(Message):
    """The answer."""

    path: str
    video: MediaFacts
    sampling: Sampling
    most_frames: int | None
    """Frames that would be analysed; strategies that look at the picture keep fewer. None for
    key frames, which only extraction counts."""
    analyses: dict[Analyzer, str]
    """What each would get, or why it would not run."""
    busy_usd: float
    """On awake endpoints of the default instance types, counting key frames as one a second;
    `screener cost` has the whole picture."""


def probe_video(path: Path, sampling: Sampling, deployed: set[Analyzer]) -> ProbeReport:
    """Probe a local file as ValidateVideo would.

    Raises:
        InvalidVideo: it would be refused, and why.
        VideoUnavailable: the file cannot be read.
    """
    with FileSource(path) as source:
        facts = probe(source, audio_language=sampling.audio_language)
    frames = None
    if sampling.strategy is not SamplingStrategy.KEY_FRAMES:
        frames = max(1, math.ceil(facts.duration_ms / 1000 * sampling.frames_per_second))
    minutes = max(facts.duration_ms, 1) / 60_000
    count = "its key frames" if frames is None else f"up to {frames:,} frames"
    pictures = f"{count} of {facts.width}x{facts.height}"
    sound = f"{clock(facts.duration_ms)} of sound" if facts.audio_codec else "skipped: no audio"
    cost = estimate(
        Load(
            videos_per_day=1,
            minutes=minutes,
            frames_per_second=1.0 if frames is None else sampling.frames_per_second,
        )
    )
    return ProbeReport(
        path=str(path),
        video=facts,
        sampling=sampling,
        most_frames=frames,
        analyses={
            analyzer: (sound if analyzer is Analyzer.TRANSCRIPTION else pictures)
            + ("" if analyzer in deployed else " (not deployed here: no model pack)")
            for analyzer in Analyzer
        },
        busy_usd=round(cost.busy_per_video_usd, 6),
    )


def probe_command(
    path: Annotated[Path, typer.Argument(help="Video file.", show_default=False)],
    sampling: Annotated[
        str, typer.Option(help="How frames are chosen, as JSON; fields left out keep defaults.")
    ] = "{}",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    check_file(path)
    chosen = parse_sampling(sampling)
    try:
        report = probe_video(path, chosen, set(select_packs(home())))
    except InvalidVideo as refusal:
        sys.stderr.write(f"would be refused ({refusal.code}): {safe(refusal.detail)}\n")
        raise typer.Exit(ExitCode.INVALID) from refusal
    if as_json:
        sys.stdout.write(report.model_dump_json(indent=2) + "\n")
        return
    _print(report)


def _print(report: ProbeReport) -> None:
    video, sampling = report.video, report.sampling
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("video", safe(report.path))
    table.add_row("container", f"{video.container}, {clock(video.duration_ms)}")
    numerator, denominator = (int(part) for part in video.frame_rate.split("/"))
    turned = f", turned by {video.rotation_degrees} degrees" if video.rotation_degrees else ""
    table.add_row(
        "picture",
        f"{video.video_codec}, {video.width}x{video.height}, "
        f"{numerator / denominator:.2f} frames a second{turned}",
    )
    for track in video.audio_tracks:
        chosen = "" if track.chosen else " (not used)"
        table.add_row(
            "sound",
            safe(
                f"{track.codec}, {track.sample_rate} Hz, {track.channels} channels, "
                f"language {track.language or 'not stated'}{chosen}"
            ),
        )
    rate = (
        ""
        if sampling.strategy is SamplingStrategy.KEY_FRAMES
        else (f", {sampling.frames_per_second:g} a second")
    )
    table.add_row("sampling", f"{sampling.strategy}{rate}")
    for analyzer, text in report.analyses.items():
        table.add_row(analyzer, text)
    table.add_row(
        "cost",
        f"${report.busy_usd:.4f} on awake endpoints; `screener cost` adds waking and idling",
    )
    output_console().print(table)
