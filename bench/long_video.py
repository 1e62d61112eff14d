"""A 2-hour video through the local stack, with one and with two instances per endpoint.

    python -m bench.long_video [--hours 2] [--speed 4] [--real]

State machine, functions, decoders, queues and endpoints are the real ones. Two cores cannot show
eight GPUs, so the model servers are scripted: they take the GPU times that are published
(bench/simulation/assumptions.yaml) for each frame or second of their chunk, divided by `--speed`.
`--real` instead runs the installed models on one frame in ten seconds, once.

The video is synthetic: every picture carries its number, and somebody speaks every ten minutes.
After each run its frames, spans and sound are checked to be those of the whole, none lost or twice.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from bench.long_cover import check_cover
from bench.long_material import write_video
from bench.simulation import assumptions
from local.packs.places import Places
from screener.model import Message
from screener.observations import Analyzer
from screener.sampling import Sampling
from tests.faults.scripted_stack import ScriptedStack, scripted_stack
from tests.tiny_clips import tiny_clip

LIST_LIMIT = 40
PATIENCE_SECONDS = 3_600
REAL_FRAMES_PER_SECOND = 0.1


class LongRun(Message):
    """One screening of the long video."""

    ranges: int
    items: int
    frames: int
    extraction_seconds: float
    """Of the whole map over the ranges."""
    analysis_seconds: float
    """Of the whole map over the items."""
    wall_seconds: float
    transitions: int
    s3_requests: int
    peak_stack_mb: float
    """Of the stack's own process: emulators, interpreter, queues, and what S3 holds."""
    peak_others_mb: float
    """Of its functions, decoders and model servers together; shared pages are shared out."""
    document_mb: float


class Peaks:
    """Highest memory so far, in MB."""

    stack = 0.0
    others = 0.0


@contextmanager
def watched(stack: ScriptedStack) -> Iterator[Peaks]:
    """Memory of the stack's processes, looked at twice a second."""
    ended, peaks = threading.Event(), Peaks()

    def watch() -> None:
        while not ended.wait(0.5):
            own = _share_mb(stack.description.pid)
            pids = stack.processes("")
            others = sum(_share_mb(pid) for pid in pids if pid != stack.description.pid)
            peaks.stack, peaks.others = max(peaks.stack, own), max(peaks.others, others)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def _share_mb(process: int) -> float:
    """Resident memory of a process; pages that several share count in part. 0 when it is gone."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(text.partition("Pss:")[2].split()[0]) / 1_000


def screen(stack: ScriptedStack, video: bytes, sampling: Sampling, hours: float) -> LongRun:
    """Upload the video, wait for its document, check it and count.

    Raises:
        AssertionError: it did not become a document that covers the whole video.
    """
    before = stack.requests()
    started = time.monotonic()
    with watched(stack) as peaks:
        name = stack.upload("long.mp4", video)
        record = stack.wait(name, PATIENCE_SECONDS)
    wall_seconds = time.monotonic() - started
    used = stack.requests() - before
    document = stack.document(record)
    check_cover(stack, document, sampling, hours)
    items = len(record.progress.analyses)
    assert items <= LIST_LIMIT, items
    steps = {step.name: step for step in record.progress.steps}
    plan_started = steps["PlanAnalyses"].started_at
    return LongRun(
        ranges=len(document.sampling.chunks) if document.sampling else 0,
        items=items,
        frames=document.sampling.frames_analyzed if document.sampling else 0,
        extraction_seconds=_between(steps["ExtractRanges"].started_at, plan_started),
        analysis_seconds=_between(
            min(run.started_at for run in record.progress.analyses),
            steps["AggregateResults"].started_at,
        ),
        wall_seconds=wall_seconds,
        transitions=record.progress.transitions,
        s3_requests=sum(count for what, count in used.items() if what.service == "s3"),
        peak_stack_mb=peaks.stack,
        peak_others_mb=peaks.others,
        document_mb=len(document.model_dump_json()) / 1e6,
    )


def _between(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()


def scripted(folder: Path, video: bytes, hours: float, instances: int, speed: float) -> LongRun:
    """On model servers that take as long as GPUs, `speed` times as fast."""
    folder.mkdir()
    limits = {f"{analyzer.capitalize()}MaxInstances": str(instances) for analyzer in Analyzer}
    endpoints = assumptions.load().endpoints
    with scripted_stack(folder, limits) as stack:
        stack.screen("warm-up.mp4", tiny_clip(audio=True))
        for analyzer in Analyzer:
            model = endpoints[analyzer]
            stack.behave(
                analyzer,
                "slow",
                seconds=model.overhead_seconds / speed,
                seconds_per_unit=model.seconds_per_unit / speed,
            )
        return screen(stack, video, Sampling(), hours)


def real(folder: Path, video: bytes, hours: float) -> LongRun:
    """On the installed models."""
    folder.mkdir()
    sampling = Sampling(frames_per_second=REAL_FRAMES_PER_SECOND)
    parameters = {"Sampling": sampling.model_dump_json()}
    with scripted_stack(folder, parameters, packs_home=Places().home) as stack:
        return screen(stack, video, sampling, hours)


def table(runs: dict[str, LongRun]) -> str:
    rows: list[tuple[str, Callable[[LongRun], str]]] = [
        ("ranges", lambda run: f"{run.ranges}"),
        ("items of the list (at most 40)", lambda run: f"{run.items}"),
        ("frames", lambda run: f"{run.frames:,}"),
        ("extraction of all ranges, s", lambda run: f"{run.extraction_seconds:.0f}"),
        ("analyses, s", lambda run: f"{run.analysis_seconds:.0f}"),
        ("upload to document, s", lambda run: f"{run.wall_seconds:.0f}"),
        ("state transitions", lambda run: f"{run.transitions:,}"),
        ("S3 requests", lambda run: f"{run.s3_requests:,}"),
        ("memory of the emulators at most, MB", lambda run: f"{run.peak_stack_mb:.0f}"),
        ("memory of all other processes, MB", lambda run: f"{run.peak_others_mb:.0f}"),
        ("document, MB", lambda run: f"{run.document_mb:.2f}"),
    ]
    lines = ["| | " + " | ".join(runs) + " |", "|---|" + "---:|" * len(runs)]
    lines += [
        "| " + " | ".join([name, *(cell(run) for run in runs.values())]) + " |"
        for name, cell in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--speed", type=float, default=4, help="of the scripted model servers")
    parser.add_argument("--real", action="store_true", help="on the installed models instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        video = write_video(Path(folder) / "long.mp4", arguments.hours).read_bytes()
        print(f"{len(video) / 1e6:.1f} MB of video in {time.monotonic() - started:.0f} s\n")
        if arguments.real:
            print(table({"installed models": real(Path(folder) / "r", video, arguments.hours)}))
            return
        one, two = (
            scripted(Path(folder) / f"{n}", video, arguments.hours, n, arguments.speed)
            for n in (1, 2)
        )
    print(table({"1 instance each": one, "2 instances each": two}))
    print(
        f"\nanalyses with 2 instances: {one.analysis_seconds / two.analysis_seconds:.2f}x as fast"
    )


if __name__ == "__main__":
    main()
