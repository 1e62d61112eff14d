import pytest
from example_messages import EXECUTION

from functions.await_redrive.handler import await_redrive
from screener.errors import IncompleteAnalysis
from screener.messages import AnalysisPlan, DocumentWritten, ExecutionContext, RedriveTask


def task(redrives: int, planned_at: int = 0) -> RedriveTask:
    return RedriveTask(
        execution=ExecutionContext(Id=EXECUTION, RedriveCount=redrives),
        plan=AnalysisPlan(items=[], analyses={}, redrive_count=planned_at),
        result=DocumentWritten(
            document="s3://media/uploads/a.moderation.json",
            status="partial",
            decision="review",
            failed={"faces": "EndpointFailure: out of memory"},
            redrivable=True,
        ),
    )


def test_the_failure_names_what_is_missing_and_what_to_press():
    with pytest.raises(IncompleteAnalysis) as failure:
        await_redrive(task(redrives=0))
    for part in ("faces", "out of memory", "s3://media/uploads/a.moderation.json", "Redrive"):
        assert part in str(failure.value)


def test_a_redrive_passes():
    assert await_redrive(task(redrives=1)).redrive_count == 1


def test_a_second_failure_after_a_redrive_waits_for_the_next_one():
    with pytest.raises(IncompleteAnalysis):
        await_redrive(task(redrives=1, planned_at=1))
    assert await_redrive(task(redrives=2, planned_at=1)).redrive_count == 2


def test_the_context_of_a_first_run_has_no_redrive_count():
    context = ExecutionContext.model_validate(
        {"Id": EXECUTION, "Name": "one", "StartTime": "2026-11-01T00:00:00Z", "Input": {}}
    )
    assert context.RedriveCount == 0
