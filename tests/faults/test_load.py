"""Fifty uploads at the same moment."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from screener.document import DocumentStatus
from screener.observations import Analyzer
from tests.faults.scripted_stack import ScriptedStack, scripted_stack
from tests.tiny_clips import tiny_clip

UPLOADS = 50
MODEL_SECONDS = 0.4
"""Per request; each endpoint has one instance that works on one request at a time."""
MAX_STACK_MEBIBYTES = 600


def resident_mebibytes(process: int) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1_024


@contextmanager
def watched(stack: ScriptedStack) -> Iterator[dict[str, float]]:
    """Highest memory of the stack process, and most executions at a time."""
    ended = threading.Event()
    peaks = {"mebibytes": 0.0, "running": 0.0}

    def watch() -> None:
        while not ended.wait(0.3):
            peaks["mebibytes"] = max(peaks["mebibytes"], resident_mebibytes(stack.description.pid))
            page = stack.stepfunctions.list_executions(
                stateMachineArn=stack.description.state_machine_arn,
                statusFilter="RUNNING",
                maxResults=1_000,
            )
            peaks["running"] = max(peaks["running"], len(page["executions"]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def upload_together(stack: ScriptedStack, uploads: int) -> list[str]:
    clips = [tiny_clip(seconds=0.5, audio=True, seed=number) for number in range(uploads)]
    with ThreadPoolExecutor(8) as uploaders:
        return list(
            uploaders.map(lambda n: stack.upload(f"load/{n}.mp4", clips[n]), range(uploads))
        )


@pytest.mark.slow
def test_fifty_uploads_at_once_all_end_within_bounded_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted_stack(tmp_path) as stack:
        stack.screen("warm-up.mp4", tiny_clip(audio=True, seed=99))
        for analyzer in Analyzer:
            stack.behave(analyzer, "slow", seconds=MODEL_SECONDS)
        before = resident_mebibytes(stack.description.pid)
        started = time.monotonic()
        with watched(stack) as peaks:
            names = upload_together(stack, UPLOADS)
            records = [stack.wait(name) for name in names]
        seconds = time.monotonic() - started
        statuses = [stack.document(record).status for record in records]
    busiest = UPLOADS * MODEL_SECONDS
    with capsys.disabled():
        print(  # noqa: T201 - the figures are the point
            f"\n{UPLOADS} uploads in {seconds:.1f} s on {os.cpu_count()} cores; each endpoint "
            f"worked {busiest:.0f} s of it (utilisation {busiest / seconds:.0%}); stack process "
            f"{before:.0f} -> {peaks['mebibytes']:.0f} MiB; at most "
            f"{peaks['running']:.0f} executions at a time"
        )
    assert statuses == [DocumentStatus.COMPLETE] * UPLOADS
    assert peaks["mebibytes"] < MAX_STACK_MEBIBYTES


@pytest.mark.slow
def test_no_more_executions_run_than_the_stack_may(tmp_path: Path) -> None:
    bound = 4
    with scripted_stack(tmp_path, {"MaxRunningExecutions": str(bound)}) as stack:
        for analyzer in Analyzer:
            stack.behave(analyzer, "slow", seconds=MODEL_SECONDS)
        with watched(stack) as peaks:
            names = upload_together(stack, 16)
            records = [stack.wait(name) for name in names]
    assert [record.status for record in records] == ["SUCCEEDED"] * 16
    # Two batches may be at work at a time, and each counts for itself (MaximumConcurrency).
    assert peaks["running"] <= 2 * bound
