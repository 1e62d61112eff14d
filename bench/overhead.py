"""`python -m bench.overhead`: what the orchestration adds to the models, in time and requests.

Runs on a local stack whose every request is counted:

short clip       assets/sample.mp4 on the real model servers, the second time, when all are warm
10 minutes       a 10-minute video on scripted model servers that take as long as published GPU
                 times say (bench/simulation/assumptions.yaml): the first of its kind, of which
                 the stack does not know how long it takes, and the next one
10 minutes, 720p the same times for a file as large as uploads are, with frames as large as theirs:
                 it is read in blocks and written in parts (needs the test media)

The second table takes the requests apart, step by step.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from bench.looping import looped
from bench.media_material import ENCODERS, VIDEO, speed_clip
from bench.simulation import assumptions
from bench.simulation.assumptions import Assumptions
from local.packs.places import Places
from local.runs.records import ExecutionRecord
from screener.model import Message
from screener.observations import Analyzer
from tests.faults.faulty_stack import Request
from tests.faults.scripted_stack import ScriptedStack, scripted_stack
from tests.local_stack import REPOSITORY
from tests.tiny_clips import tiny_clip

# Of the two source articles, for a 10-minute video.
ARTICLE_TRANSITIONS = 40
ARTICLE_S3_PUTS = 600
ARTICLE_S3_GETS = 2_400

STEPS = (
    "StartScreening", "ValidateVideo", "ExtractMedia", "PlanAnalyses", "endpoints",
    "CollectResult", "AggregateResults",
)  # fmt: skip
"""Callers in the order of the walk. The endpoints are SageMaker: it reads each input and writes
each output with the endpoint's role, and these requests are paid for like any other."""
_READS = frozenset({"GetObject", "HeadObject", "ListObjects"})


class Overhead(Message):
    """One screening, taken apart."""

    wall_seconds: float
    """From the upload to the end of the execution."""
    slowest_analysis_seconds: float
    """Inside the model server."""
    transitions: int
    polls: int
    lambda_invocations: int
    requests: dict[str, dict[str, int]]
    """Step -> "service Operation" -> how many."""

    @property
    def overhead_seconds(self) -> float:
        return self.wall_seconds - self.slowest_analysis_seconds

    def s3(self, steps: Iterable[str] = STEPS) -> Counter[str]:
        """S3's operations in some steps."""
        counted: Counter[str] = Counter()
        for step in steps:
            for name, count in self.requests.get(step, {}).items():
                service, operation = name.split()
                if service == "s3":
                    counted[operation] += count
        return counted

    @property
    def own_s3(self) -> int:
        """What SageMaker does not make."""
        return self.s3(step for step in STEPS if step != "endpoints").total()

    @property
    def s3_reads(self) -> int:
        """GET, HEAD and LIST."""
        return sum(count for operation, count in self.s3().items() if operation in _READS)

    @property
    def s3_writes(self) -> int:
        """PUT, POST and DELETE."""
        return self.s3().total() - self.s3_reads


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
        lambda_invocations=sum(
            count for request, count in used.items() if request.service == "lambda"
        ),
        requests=_by_step(used),
    )


def _analysis_seconds(record: ExecutionRecord, stack: ScriptedStack) -> list[float]:
    reports = stack.document(record).analyses.values()
    return [report.timings_ms.get("total", 0) / 1_000 for report in reports]


def _by_step(used: Counter[Request]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {step: {} for step in STEPS}
    for (caller, service, operation), count in sorted(used.items()):
        # The state machine's own requests are its invocations, counted above.
        if caller not in ("ak", "") and service not in ("lambda", "monitoring"):
            step = "endpoints" if caller == "local" else _step(caller)
            name = f"{service} {operation}"
            found[step][name] = found[step].get(name, 0) + count
    return found


def _step(function: str) -> str:
    """`screener-local-extract-media-function` -> `ExtractMedia`."""
    (step,) = (step for step in STEPS if step.lower() in function.replace("-", "").lower())
    return step


def short_clip(folder: Path) -> Overhead:
    sample = (REPOSITORY / "assets" / "sample.mp4").read_bytes()
    with scripted_stack(folder, packs_home=Places().home) as stack:
        measure(stack, "cold.mp4", sample)
        return measure(stack, "warm.mp4", sample)


def ten_minutes(folder: Path) -> Iterator[tuple[str, Overhead]]:
    """Name and figures of each 10-minute video, one after the other."""
    numbers = assumptions.load()
    with scripted_stack(folder) as stack:
        stack.screen("warm-up.mp4", tiny_clip(audio=True))
        _take_published_times(stack, numbers)
        clip = tiny_clip(seconds=600, audio=True)
        yield "10 minutes, the first", measure(stack, "first.mp4", clip)
        yield "10 minutes, the next", measure(stack, "next.mp4", clip)
        if VIDEO.is_dir():
            minute = speed_clip(folder / "minute.mp4", 60, 1280, 720, ENCODERS["x264 defaults"])
            large = looped(minute, folder / "large.mp4", times=10).read_bytes()
            name = f"10 minutes, 720p, {len(large) / 1e6:.0f} MB"
            yield name, measure(stack, "large.mp4", large)


def _take_published_times(stack: ScriptedStack, numbers: Assumptions) -> None:
    for analyzer in Analyzer:
        seconds = numbers.endpoints[analyzer].request_seconds(numbers.video)
        stack.behave(analyzer, "slow", seconds=seconds)


ROWS: tuple[tuple[str, Callable[[Overhead], str | int], str], ...] = (
    ("wall clock, s", lambda one: f"{one.wall_seconds:.1f}", "60 to 360"),
    ("slowest analysis, s", lambda one: f"{one.slowest_analysis_seconds:.1f}", ""),
    ("overhead, s", lambda one: f"{one.overhead_seconds:.1f}", ""),
    ("state transitions", lambda one: one.transitions, f"about {ARTICLE_TRANSITIONS}"),
    ("polls", lambda one: one.polls, ""),
    ("Lambda invocations", lambda one: one.lambda_invocations, ""),
    ("S3 PUT and the like", lambda one: one.s3_writes, str(ARTICLE_S3_PUTS)),
    ("S3 GET, HEAD, LIST", lambda one: one.s3_reads, str(ARTICLE_S3_GETS)),
    ("S3 requests", lambda one: one.s3().total(), str(ARTICLE_S3_PUTS + ARTICLE_S3_GETS)),
    ("... of the functions", lambda one: one.own_s3, ""),
)


def print_tables(found: dict[str, Overhead]) -> None:
    """Markdown: the totals beside the articles', then requests step by step."""
    print(f"| | {' | '.join(found)} | source articles, 10 minutes |")
    print("|---" + "|---:" * (len(found) + 1) + "|")
    for name, read, article in ROWS:
        print(f"| {name} | {' | '.join(str(read(one)) for one in found.values())} | {article} |")
    print(f"\n| requests | {' | '.join(found)} |")
    print("|---" * (len(found) + 1) + "|")
    for step in STEPS:
        cells = [
            ", ".join(f"{count} {name}" for name, count in one.requests[step].items())
            for one in found.values()
        ]
        print(f"| {step} | {' | '.join(cells)} |")


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.overhead", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        found = {"short clip": short_clip(Path(first))}
        found.update(ten_minutes(Path(second)))
    print_tables(found)


if __name__ == "__main__":
    main()
