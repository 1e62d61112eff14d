"""Seeded random faults over many videos: nothing lost, nothing hidden, nothing stuck.

`make test-slow` runs 200 videos; the tests of every day run a few.
"""

from pathlib import Path

import pytest

from tests.faults import random_run
from tests.faults.scripted_stack import ScriptedStack, scripted_stack


def test_a_few_videos_under_random_faults_all_end_with_a_whole_document(
    scripted: ScriptedStack,
) -> None:
    result = random_run.run(scripted, videos=8, seed=7)
    # Otherwise nothing was tested.
    assert result.failed_at_first > 0
    assert result.redrives >= result.failed_at_first


@pytest.mark.slow
def test_two_hundred_videos_under_random_faults_all_end_with_a_whole_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted_stack(tmp_path, {"InvocationTimeoutSeconds": "4"}) as stack:
        result = random_run.run(stack, videos=200, seed=1)
    with capsys.disabled():
        print(result.model_dump_json(indent=1))  # noqa: T201 - the figures are the point
    assert result.failed_at_first > 20
    assert result.killed_processes > 20
