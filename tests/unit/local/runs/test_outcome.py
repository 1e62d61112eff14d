"""Exit codes and failures of a screening."""

from types import SimpleNamespace
from typing import cast

import pytest

from local.runs.outcome import ExitCode, exit_code_of, failure_of, parse_document
from local.runs.progress import read_progress
from local.runs.screening import Screening
from local.runs.verdict_text import clock
from screener.document import (
    Decision,
    Document,
    DocumentStatus,
    DocumentVideo,
    PipelineRun,
    Verdict,
)
from tests.unit.local.runs.history import History, partial_run


def document(status: DocumentStatus, decision: Decision) -> Document:
    return Document(
        video_id=None,
        status=status,
        partial=status is DocumentStatus.PARTIAL,
        verdict=Verdict(decision=decision, reasons=[], policy=None),
        video=DocumentVideo(bucket="b", key="k"),
        pipeline=PipelineRun(
            execution_arn="a", started_at=None, processed_at="now", software_version="0"
        ),
        sampling=None,
        analyses={},
        not_evaluated=[],
        moderation=None,
        faces=None,
        transcription=None,
        objects=None,
        cost=None,
    )


@pytest.mark.parametrize(
    ("status", "decision", "code"),
    [
        (DocumentStatus.COMPLETE, Decision.APPROVE, 0),
        (DocumentStatus.COMPLETE, Decision.REVIEW, 1),
        (DocumentStatus.COMPLETE, Decision.REJECT, 2),
        (DocumentStatus.PARTIAL, Decision.REVIEW, 3),
        (DocumentStatus.PARTIAL, Decision.REJECT, 3),
        (DocumentStatus.INVALID, Decision.REVIEW, 4),
    ],
)
def test_the_exit_code_is_the_verdict(
    status: DocumentStatus, decision: Decision, code: int
) -> None:
    assert exit_code_of(document(status, decision)) == code


def test_wrong_usage_is_not_the_verdict_reject() -> None:
    assert ExitCode.USAGE not in range(5)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema_version": "9.0"}'])
def test_a_document_of_another_shape_is_none(content: bytes) -> None:
    assert parse_document(content) is None


def test_a_document_survives_the_way_through_json() -> None:
    written = document(DocumentStatus.COMPLETE, Decision.REVIEW)
    assert parse_document(written.model_dump_json().encode()) == written


def run(history: History | None, status: str = "FAILED") -> Screening:
    record = history and SimpleNamespace(
        status=status, error="Boom", cause="why", progress=read_progress(history.events)
    )
    return cast("Screening", SimpleNamespace(record=record))


def test_an_execution_that_waits_for_its_redrive_is_told_by_its_document() -> None:
    assert failure_of(run(partial_run())) is None


def test_any_other_failure_names_its_state_and_its_cause() -> None:
    history = History()
    history.enter("ExtractMedia")
    history.add("ExecutionFailed")
    assert failure_of(run(history)) == "FAILED in ExtractMedia: Boom: why"


def test_an_execution_that_never_started_is_a_failure() -> None:
    assert failure_of(run(None)) is not None


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(0, "0:00.0"), (83_200, "1:23.2"), (3_661_000, "1:01:01.0")]
)
def test_times_read_as_a_player_shows_them(milliseconds: int, shown: str) -> None:
    assert clock(milliseconds) == shown
