"""Six hours in the queue, counted in history events (`six_hours.py` has the simulation)."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from local.stack.environment import stack_environment
from screener.polling import (
    GROWTH,
    GROWTH_OF_MANY_ITEMS,
    MANY_ITEMS,
    first_wait_seconds,
    next_wait_seconds,
)
from tests.faults.six_hours import QUEUED_SECONDS
from tests.local_stack import REPOSITORY

HISTORY_LIMIT = 25_000
EVENTS_WANTED = 10_000


def simulate(
    growth: float, expected_seconds: float, folder: Path
) -> tuple[Counter[str], list[float]]:
    """In a process of its own, as the stack is: botocore and moto read where the service models
    are only once."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.faults.six_hours", str(growth), str(expected_seconds)],
        cwd=REPOSITORY,
        env=stack_environment(os.environ, folder) | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    answer = json.loads(finished.stdout)
    return Counter(answer["events"]), answer["noticed"]


# Nothing known; what a warm endpoint takes for ten minutes of video.
@pytest.mark.parametrize("expected_seconds", [0.0, 45.0])
def test_six_hours_of_queueing_stay_far_below_the_history_limit(
    expected_seconds: float, tmp_path: Path
) -> None:
    events, noticed = simulate(GROWTH, expected_seconds, tmp_path)
    polls = events["WaitStateEntered"]
    assert polls == len(_waits(GROWTH, expected_seconds))
    # A tenth of the time it took, plus the second that waits are rounded to.
    assert QUEUED_SECONDS <= max(noticed) <= QUEUED_SECONDS * 1.1 + 1
    # Four analyses of one range; then the largest plans, which poll more sparsely.
    assert 4 * events.total() < EVENTS_WANTED
    assert MANY_ITEMS * events.total() < HISTORY_LIMIT / 2
    turns = events.total() / polls
    sparse = len(_waits(GROWTH_OF_MANY_ITEMS, expected_seconds))
    assert 40 * turns * sparse < HISTORY_LIMIT * 0.8


def _waits(growth: float, expected_seconds: float) -> list[int]:
    waits = [first_wait_seconds(expected_seconds)]
    while (elapsed := sum(waits)) < QUEUED_SECONDS:
        waits.append(next_wait_seconds(elapsed, expected_seconds, growth))
    return waits
