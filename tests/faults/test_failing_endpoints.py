"""Endpoints that fail in three ways at once: the fourth is whole, and nothing is hidden."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack.instance import StackFolder
from local.stack.launcher import StackProcess
from screener.document import AnalysisState, Decision, DocumentStatus
from screener.observations import Analyzer
from tests import model_packs
from tests.local_stack import REPOSITORY, Stack
from tests.tiny_clips import tiny_clip

FAILING = Path(__file__).with_name("failing_server.py")
FAULTS = {
    Analyzer.FACES: "error",
    Analyzer.TRANSCRIPTION: "hang",
    Analyzer.OBJECTS: "dead",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    packs = home / "packs"
    model_packs.nudenet(packs)
    model_packs.opennsfw(packs)
    # Never loaded: the servers that would are replaced. They make the analyzers deployed.
    for analyzer, role in (
        (Analyzer.FACES, "detector"),
        (Analyzer.FACES, "recogniser"),
        (Analyzer.TRANSCRIPTION, "speech"),
        (Analyzer.OBJECTS, "detector"),
    ):
        model_packs.make_pack(packs, f"{analyzer}-{role}", analyzer, role, [FAILING])
    process = StackProcess(
        StackFolder(home, REPOSITORY),
        root=REPOSITORY,
        home=home,
        parameters={"InvocationTimeoutSeconds": "8"},
        servers={
            analyzer: [sys.executable, str(FAILING), fault] for analyzer, fault in FAULTS.items()
        },
    )
    try:
        yield Stack(process.description)
    finally:
        process.stop()


def test_one_analysis_survives_three_that_fail_and_the_execution_says_so(stack: Stack) -> None:
    record = stack.wait(stack.upload("clip.mp4", tiny_clip(audio=True)))
    document = stack.document(record)

    assert document.analyses[Analyzer.MODERATION].status is AnalysisState.COMPLETE
    assert document.moderation is not None
    assert document.moderation.per_frame
    for analyzer in FAULTS:
        report = document.analyses[analyzer]
        assert report.status in (AnalysisState.FAILED, AnalysisState.TIMED_OUT)
        assert report.error is not None
        assert report.error.message
    assert "out_of_memory" in str(document.analyses[Analyzer.FACES].error)
    assert "cannot load the weights" in str(document.analyses[Analyzer.OBJECTS].error)

    assert document.status is DocumentStatus.PARTIAL
    assert document.verdict.decision is not Decision.APPROVE
    assert record.status == "FAILED"
    assert record.error == "IncompleteAnalysis"
    for analyzer in FAULTS:
        assert analyzer in (record.cause or "")
    assert Analyzer.MODERATION not in (record.cause or "").replace("moderation.json", "")
