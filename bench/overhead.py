"""`python -m bench.overhead`: what the orchestration adds to the models, in time and requests.

Two runs on a local stack whose every request is counted:

short clip   assets/sample.mp4 on the real model servers, the second time, when all are warm
10 minutes   a synthetic 10-minute video on scripted model servers that take as long as published
             GPU times say (bench/simulation/assumptions.yaml), so that polls are as many as on AWS
"""

import argparse
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from bench.simulation import assumptions
from local.packs.places import Places
from local.runs.records import ExecutionRecord
from screener.model import Message
from screener.observations import Analyzer
from tests.faults.scripted_stack import ScriptedStack, scripted_stack
from tests.local_stack import REPOSITORY
from tests.tiny_clips import tiny_clip

# Of the two source articles, for a 10-minute video.
ARTICLE_TRANSITIONS = 40
ARTICLE_S3_PUTS = 600
ARTICLE_S3_GETS = 2_400


class Overhead(Message):
    """One screening, taken apart."""

    wall_seconds: float
    """From the upload to the end of the execution."""
    slowest_analysis_seconds: float
    """Inside the model server."""
    transitions: int
    polls: int
    lambda_invocations: int
    s3_puts: int
    """PUT, POST and DELETE, those of the endpoints included."""
    s3_gets: int
    """GET, HEAD and LIST."""

    @property
    def overhead_seconds(self) -> float:
        return self.wall_seconds - self.slowest_analysis_seconds


def measure(stack: ScriptedStack, key: str, content: bytes) -> Overhead:
    """Screen a clip and count.

    Raises:
        AssertionError: it did not become a document.
    """
    before = stack.requests()
    record = stack.screen(key, content)
    used = stack.requests() - before
    assert record.stopped_at is not None
    document = stack.document(record)
    head = stack.s3.head_object(Bucket=document.video.bucket, Key=document.video.key)
    # S3 keeps whole seconds; the start of the execution is finer and follows within milliseconds.
    uploaded = min(record.started_at, head["LastModified"] + timedelta(seconds=1))
    return Overhead(
        wall_seconds=(record.stopped_at - uploaded).total_seconds(),
        slowest_analysis_seconds=max(_analysis_seconds(record, stack)),
        transitions=record.progress.transitions,
        polls=sum(run.polls for run in record.progress.analyses),
        lambda_invocations=_count(used, "lambda"),
        s3_puts=_count(used, "s3", "PUT", "POST", "DELETE"),
        s3_gets=_count(used, "s3", "GET", "HEAD"),
    )


def _analysis_seconds(record: ExecutionRecord, stack: ScriptedStack) -> list[float]:
    reports = stack.document(record).analyses.values()
    return [report.timings_ms.get("total", 0) / 1_000 for report in reports]


def _count(used: Counter[str], service: str, *operations: str) -> int:
    return sum(
        count
        for name, count in used.items()
        if name.split()[0] == service and (not operations or name.split()[1] in operations)
    )


def short_clip(folder: Path) -> Overhead:
    sample = (REPOSITORY / "assets" / "sample.mp4").read_bytes()
    with scripted_stack(folder, packs_home=Places().home) as stack:
        measure(stack, "cold.mp4", sample)
        return measure(stack, "warm.mp4", sample)


def ten_minutes(folder: Path) -> Overhead:
    numbers = assumptions.load()
    with scripted_stack(folder) as stack:
        stack.screen("warm-up.mp4", tiny_clip(audio=True))
        for analyzer in Analyzer:
            seconds = numbers.endpoints[analyzer].request_seconds(numbers.video)
            stack.behave(analyzer, "slow", seconds=seconds)
        slowest = max(model.request_seconds(numbers.video) for model in numbers.endpoints.values())
        found = measure(stack, "ten-minutes.mp4", tiny_clip(seconds=600, audio=True))
        return found.model_copy(update={"slowest_analysis_seconds": slowest})


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.overhead", description=__doc__).parse_args()
    print("| | short clip | 10 minutes | source articles, 10 minutes |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        short, long = short_clip(Path(first)), ten_minutes(Path(second))
    gets = f"{ARTICLE_S3_GETS / long.s3_gets:.0f}x fewer"
    puts = f"{ARTICLE_S3_PUTS / long.s3_puts:.0f}x fewer"
    rows = [
        ("wall clock, s", f"{short.wall_seconds:.1f}", f"{long.wall_seconds:.1f}", "60 to 360"),
        ("slowest analysis, s", f"{short.slowest_analysis_seconds:.1f}",
         f"{long.slowest_analysis_seconds:.1f}", ""),
        ("overhead, s", f"{short.overhead_seconds:.1f}", f"{long.overhead_seconds:.1f}", ""),
        ("state transitions", short.transitions, long.transitions, f"about {ARTICLE_TRANSITIONS}"),
        ("polls", short.polls, long.polls, ""),
        ("Lambda invocations", short.lambda_invocations, long.lambda_invocations, ""),
        ("S3 PUT and the like", short.s3_puts, long.s3_puts, f"{ARTICLE_S3_PUTS} ({puts})"),
        ("S3 GET, HEAD, LIST", short.s3_gets, long.s3_gets, f"{ARTICLE_S3_GETS} ({gets})"),
    ]  # fmt: skip
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
