"""Six hours in the queue, counted in history events (`six_hours.py` has the simulation)."""

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

from functions.collect_result.collect import next_wait_seconds
from functions.plan_analyses.plan import MANY_ITEMS, POLL_GROWTH, POLL_GROWTH_MANY_ITEMS
from local.stack.environment import stack_environment
from tests.faults.six_hours import QUEUED_SECONDS
from tests.local_stack import REPOSITORY

HISTORY_LIMIT = 25_000
EVENTS_WANTED = 10_000


def simulate(growth: float, folder: Path) -> tuple[Counter[str], list[float]]:
    """In a process of its own, as the stack is: botocore and moto read where the service models
    are only once."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.faults.six_hours", str(growth)],
        cwd=REPOSITORY,
        env=stack_environment(os.environ, folder) | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    answer = json.loads(finished.stdout)
    return Counter(answer["events"]), answer["noticed"]


def test_six_hours_of_queueing_stay_far_below_the_history_limit(
    tmp_path: Path,
) -> None:
    events, noticed = simulate(POLL_GROWTH, tmp_path)
    polls = events["WaitStateEntered"]
    assert polls == len(_waits(POLL_GROWTH))
    # A tenth of the time it took, plus the second that waits are rounded to.
    assert QUEUED_SECONDS <= max(noticed) <= QUEUED_SECONDS * 1.1 + 1
    # Four analyses of one range; then the largest plans, which poll more sparsely.
    assert 4 * events.total() < EVENTS_WANTED
    assert MANY_ITEMS * events.total() < HISTORY_LIMIT / 2
    turns = events.total() / polls
    assert 40 * turns * len(_waits(POLL_GROWTH_MANY_ITEMS)) < HISTORY_LIMIT * 0.8


def _waits(growth: float) -> list[int]:
    elapsed, waits = 1, [1]
    while elapsed < QUEUED_SECONDS:
        waits.append(next_wait_seconds(timedelta(seconds=elapsed), growth))
        elapsed += waits[-1]
    return waits
