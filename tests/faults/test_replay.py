"""Break an analysis, mend it, press the button: only what is missing runs again."""

import pytest

from screener.document import AnalysisState, Decision, DocumentStatus
from screener.observations import Analyzer
from tests.faults.scripted_stack import ScriptedStack
from tests.tiny_clips import tiny_clip

ONE_EACH = dict.fromkeys(Analyzer, 1)


def video_id_of(scripted: ScriptedStack, key: str) -> str:
    """The folder of a video's observations, found by its document."""
    keys = scripted.document_of(key).analyses[Analyzer.MODERATION].observation_keys
    return keys[0].split("/")[1]


@pytest.mark.parametrize("broken", list(Analyzer))
def test_a_redrive_runs_the_broken_analysis_and_nothing_else(
    scripted: ScriptedStack, broken: Analyzer
) -> None:
    scripted.behave(broken, "error")
    key = f"redrive-{broken}.mp4"
    failed = scripted.screen(key, tiny_clip(audio=True, seed=len(broken)))
    partial = scripted.document(failed)
    assert (failed.status, failed.error) == ("FAILED", "IncompleteAnalysis")
    assert broken in (failed.cause or "")
    assert partial.status is DocumentStatus.PARTIAL
    assert partial.verdict.decision is not Decision.APPROVE
    assert partial.analyses[broken].status is AnalysisState.FAILED
    video_id = video_id_of(scripted, key)
    assert scripted.invocations(video_id) == ONE_EACH

    scripted.behave(broken, "answer")
    mended = scripted.redrive(failed)

    assert mended.status == "SUCCEEDED"
    document = scripted.document(mended)
    assert document.status is DocumentStatus.COMPLETE
    assert {name: report.status for name, report in document.analyses.items()} == dict.fromkeys(
        Analyzer, AnalysisState.COMPLETE
    )
    assert {name for name, report in document.analyses.items() if report.reused} == (
        set(Analyzer) - {broken}
    )
    assert scripted.invocations(video_id) == {**ONE_EACH, broken: 2}
    assert len(scripted.work_keys(f"observations/{video_id}/")) == len(Analyzer)


def test_a_redrive_of_what_is_still_broken_fails_again_and_can_be_pressed_again(
    scripted: ScriptedStack,
) -> None:
    scripted.behave(Analyzer.FACES, "error")
    failed = scripted.screen("still-broken.mp4", tiny_clip(audio=True, seed=50))
    for _ in range(2):
        again = scripted.redrive(failed)
        assert (again.status, again.error) == ("FAILED", "IncompleteAnalysis")
    scripted.behave(Analyzer.FACES, "answer")
    assert scripted.redrive(failed).status == "SUCCEEDED"
    video_id = video_id_of(scripted, "still-broken.mp4")
    assert scripted.invocations(video_id) == {**ONE_EACH, Analyzer.FACES: 4}


def test_a_new_execution_with_the_same_input_pays_for_nothing_twice(
    scripted: ScriptedStack,
) -> None:
    first = scripted.screen("again.mp4", tiny_clip(audio=True, seed=51))
    assert first.status == "SUCCEEDED"
    second = scripted.start_again(first, "again-by-hand")
    assert second.status == "SUCCEEDED"
    document = scripted.document(second)
    assert document.status is DocumentStatus.COMPLETE
    assert all(report.reused for report in document.analyses.values())
    assert scripted.invocations(video_id_of(scripted, "again.mp4")) == ONE_EACH
    assert document.verdict == scripted.document(first).verdict


def test_a_new_execution_mends_what_a_failed_one_left(scripted: ScriptedStack) -> None:
    scripted.behave(Analyzer.OBJECTS, "error")
    failed = scripted.screen("by-hand.mp4", tiny_clip(audio=True, seed=52))
    scripted.behave(Analyzer.OBJECTS, "answer")
    mended = scripted.start_again(failed, "mended-by-hand")
    assert mended.status == "SUCCEEDED"
    assert scripted.document_of("by-hand.mp4").status is DocumentStatus.COMPLETE
    video_id = video_id_of(scripted, "by-hand.mp4")
    assert scripted.invocations(video_id) == {**ONE_EACH, Analyzer.OBJECTS: 2}


def test_extraction_is_not_repeated_by_a_redrive(scripted: ScriptedStack) -> None:
    scripted.behave(Analyzer.FACES, "error")
    failed = scripted.screen("extracted-once.mp4", tiny_clip(audio=True, seed=53))
    media = f"media/{video_id_of(scripted, 'extracted-once.mp4')}/"
    before = {key: _written(scripted, key) for key in scripted.work_keys(media)}
    scripted.behave(Analyzer.FACES, "answer")
    scripted.redrive(failed)
    assert before
    assert {key: _written(scripted, key) for key in scripted.work_keys(media)} == before


def _written(scripted: ScriptedStack, key: str) -> str:
    head = scripted.s3.head_object(Bucket=scripted.description.work_bucket, Key=key)
    return f"{head['LastModified']} {head['ETag']}"


def test_the_command_redrives_by_the_videos_name_and_tells_the_end(
    scripted: ScriptedStack,
) -> None:
    scripted.behave(Analyzer.FACES, "error")
    scripted.screen("by-command.mp4", tiny_clip(seed=54))
    again = scripted.command("redrive", "by-command.mp4")
    assert (again.returncode, "IncompleteAnalysis" in again.stdout) == (3, True), again.stderr
    scripted.heal()
    mended = scripted.command("redrive", "by-command.mp4")
    assert (mended.returncode, "SUCCEEDED" in mended.stdout) == (0, True), mended.stderr
    refused = scripted.command("redrive", "by-command.mp4")
    assert refused.returncode == 70
    assert "SUCCEEDED cannot be redriven" in refused.stderr
