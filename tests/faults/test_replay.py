"""Break an analysis, mend it, press the button: only what is missing runs again."""

from collections.abc import Iterator

import pytest

from screener.document import AnalysisState, Decision, DocumentStatus
from screener.observations import Analyzer
from tests.faults.scripted_stack import ScriptedStack, scripted_stack
from tests.tiny_clips import tiny_clip

ONE_EACH = dict.fromkeys(Analyzer, 1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedStack]:
    with scripted_stack(tmp_path_factory.mktemp("replay")) as stack:
        yield stack


@pytest.fixture(autouse=True)
def mended(stack: ScriptedStack) -> Iterator[None]:
    yield
    stack.heal()


def video_id_of(stack: ScriptedStack, key: str) -> str:
    """The folder of a video's observations, found by its document."""
    keys = stack.document_of(key).analyses[Analyzer.MODERATION].observation_keys
    return keys[0].split("/")[1]


@pytest.mark.parametrize("broken", list(Analyzer))
def test_a_redrive_runs_the_broken_analysis_and_nothing_else(
    stack: ScriptedStack, broken: Analyzer
) -> None:
    stack.behave(broken, "error")
    key = f"redrive-{broken}.mp4"
    failed = stack.screen(key, tiny_clip(audio=True, seed=len(broken)))
    partial = stack.document(failed)
    assert (failed.status, failed.error) == ("FAILED", "IncompleteAnalysis")
    assert broken in (failed.cause or "")
    assert partial.status is DocumentStatus.PARTIAL
    assert partial.verdict.decision is not Decision.APPROVE
    assert partial.analyses[broken].status is AnalysisState.FAILED
    video_id = video_id_of(stack, key)
    assert stack.invocations(video_id) == ONE_EACH

    stack.behave(broken, "answer")
    mended = stack.redrive(failed)

    assert mended.status == "SUCCEEDED"
    document = stack.document(mended)
    assert document.status is DocumentStatus.COMPLETE
    assert {name: report.status for name, report in document.analyses.items()} == dict.fromkeys(
        Analyzer, AnalysisState.COMPLETE
    )
    assert {name for name, report in document.analyses.items() if report.reused} == (
        set(Analyzer) - {broken}
    )
    assert stack.invocations(video_id) == {**ONE_EACH, broken: 2}
    assert len(stack.work_keys(f"observations/{video_id}/")) == len(Analyzer)


def test_a_redrive_of_what_is_still_broken_fails_again_and_can_be_pressed_again(
    stack: ScriptedStack,
) -> None:
    stack.behave(Analyzer.FACES, "error")
    failed = stack.screen("still-broken.mp4", tiny_clip(audio=True, seed=50))
    for _ in range(2):
        again = stack.redrive(failed)
        assert (again.status, again.error) == ("FAILED", "IncompleteAnalysis")
    stack.behave(Analyzer.FACES, "answer")
    assert stack.redrive(failed).status == "SUCCEEDED"
    video_id = video_id_of(stack, "still-broken.mp4")
    assert stack.invocations(video_id) == {**ONE_EACH, Analyzer.FACES: 4}


def test_a_new_execution_with_the_same_input_pays_for_nothing_twice(stack: ScriptedStack) -> None:
    first = stack.screen("again.mp4", tiny_clip(audio=True, seed=51))
    assert first.status == "SUCCEEDED"
    second = stack.start_again(first, "again-by-hand")
    assert second.status == "SUCCEEDED"
    document = stack.document(second)
    assert document.status is DocumentStatus.COMPLETE
    assert all(report.reused for report in document.analyses.values())
    assert stack.invocations(video_id_of(stack, "again.mp4")) == ONE_EACH
    assert document.verdict == stack.document(first).verdict


def test_a_new_execution_mends_what_a_failed_one_left(stack: ScriptedStack) -> None:
    stack.behave(Analyzer.OBJECTS, "error")
    failed = stack.screen("by-hand.mp4", tiny_clip(audio=True, seed=52))
    stack.behave(Analyzer.OBJECTS, "answer")
    mended = stack.start_again(failed, "mended-by-hand")
    assert mended.status == "SUCCEEDED"
    assert stack.document_of("by-hand.mp4").status is DocumentStatus.COMPLETE
    video_id = video_id_of(stack, "by-hand.mp4")
    assert stack.invocations(video_id) == {**ONE_EACH, Analyzer.OBJECTS: 2}


def test_extraction_is_not_repeated_by_a_redrive(stack: ScriptedStack) -> None:
    stack.behave(Analyzer.FACES, "error")
    failed = stack.screen("extracted-once.mp4", tiny_clip(audio=True, seed=53))
    media = f"media/{video_id_of(stack, 'extracted-once.mp4')}/"
    before = {key: _written(stack, key) for key in stack.work_keys(media)}
    stack.behave(Analyzer.FACES, "answer")
    stack.redrive(failed)
    assert before
    assert {key: _written(stack, key) for key in stack.work_keys(media)} == before


def _written(stack: ScriptedStack, key: str) -> str:
    head = stack.s3.head_object(Bucket=stack.description.work_bucket, Key=key)
    return f"{head['LastModified']} {head['ETag']}"
