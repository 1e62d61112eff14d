"""What an execution's history says about where it stands."""

from local.runs.progress import StepStatus, read_progress
from screener.messages import AnalysisStatus, PlannedStatus
from screener.observations import Analyzer
from tests.unit.local.runs.history import History, item, partial_run


def test_steps_are_told_in_order_with_their_ends_and_retries() -> None:
    progress = read_progress(partial_run().events)
    assert [(step.name, step.status, step.retries) for step in progress.steps] == [
        ("ValidateVideo", StepStatus.DONE, 1),
        ("PlanAnalyses", StepStatus.DONE, 0),
        ("AnalyzeMedia", StepStatus.DONE, 0),
        ("AggregateResults", StepStatus.DONE, 0),
        ("AwaitRedrive", StepStatus.FAILED, 1),
    ]
    first = progress.steps[0]
    assert first.ended_at is not None
    assert (first.ended_at - first.started_at).total_seconds() == 2


def test_analyses_end_with_status_error_and_polls() -> None:
    moderation, faces = read_progress(partial_run().events).analyses
    assert (moderation.analyzer, moderation.status) == (
        Analyzer.MODERATION,
        AnalysisStatus.SUCCEEDED,
    )
    assert moderation.polls == 1
    assert moderation.error is None
    assert (faces.status, faces.error) == (AnalysisStatus.FAILED, "EndpointFailure: no memory")


def test_plan_and_result_are_there_once_their_states_ended() -> None:
    events = partial_run().events
    progress = read_progress(events)
    assert progress.plan is not None
    assert progress.plan[Analyzer.OBJECTS].status is PlannedStatus.NOT_DEPLOYED
    assert progress.result is not None
    assert progress.result.redrivable
    early = read_progress(events[:4])
    assert early.plan is None
    assert early.result is None
    assert early.steps[-1].status is StepStatus.RUNNING


def test_transitions_count_every_state_entered() -> None:
    assert read_progress(partial_run().events).transitions == 9


def test_chunks_of_one_analyzer_are_told_apart() -> None:
    history = History()
    history.enter("AnalyzeMedia", kind="Map")
    for chunk in (0, 1):
        history.enter("StartAnalysis", item("faces", chunk))
    assert [run.chunk for run in read_progress(history.events).analyses] == [0, 1]


def test_a_state_entered_again_after_a_redrive_starts_anew() -> None:
    history = partial_run()
    history.enter("AwaitRedrive")
    history.leave("AwaitRedrive")
    history.enter("PlanAnalyses")
    steps = read_progress(history.events).steps
    assert [step.name for step in steps][-2:] == ["AwaitRedrive", "PlanAnalyses"]
    assert steps[-1].status is StepStatus.RUNNING
    assert [step.name for step in steps].count("PlanAnalyses") == 1


def test_an_empty_history_is_no_progress() -> None:
    progress = read_progress([])
    assert progress.steps == []
    assert progress.transitions == 0
