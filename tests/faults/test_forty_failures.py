"""All of the largest plan fails, with the longest causes (`forty_failures.py` has the stack)."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from functions.validate_video.ranges import MAX_RANGES
from local.stack.environment import stack_environment
from screener.document import AnalysisState, Document, DocumentStatus
from screener.observations import Analyzer
from tests.faults.forty_failures import HOSTILE, LONGEST_VALUE
from tests.local_stack import REPOSITORY

STATE_LIMIT = 262_144
"""Step Functions: bytes of a state's input or output."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """In a process of its own, as `test_six_hours.py` says."""
    folder = tmp_path_factory.mktemp("forty")
    subprocess.run(
        [sys.executable, "-m", "tests.faults.forty_failures", str(folder / "answer.json")],
        cwd=REPOSITORY,
        env=stack_environment(os.environ, folder) | {"TMPDIR": str(folder)},
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return found


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("refused", LONGEST_VALUE),
        ("failed", HOSTILE * 10),
        # The cause is what Lambda reports, as JSON.
        ("raised", json.dumps(HOSTILE * 10)[1:-1]),
    ],
    ids=["refused", "failed", "raised"],
)
def test_forty_failures_with_the_longest_causes_fit_into_the_state_and_are_all_reported(
    runs: dict[str, Any], mode: str, told: str
) -> None:
    run = runs[mode]
    assert run["error"] == "IncompleteAnalysis"
    assert run["iterations"] == MAX_RANGES + len(Analyzer) * MAX_RANGES
    largest = run["largest"]
    # What holds the causes was measured, and it has a quarter to spare.
    assert largest["AnalyzeMedia output"] > len(Analyzer) * MAX_RANGES * 1_000
    assert max(largest.values()) < 0.75 * STATE_LIMIT, largest
    document = Document.model_validate(run["document"])
    assert document.status is DocumentStatus.PARTIAL
    for report in document.analyses.values():
        assert report.status is AnalysisState.FAILED
        assert report.error is not None
        assert told in report.error.message
