import json

import pytest
from example_messages import EXECUTION, extracted, job

from functions.plan_analyses.plan import Planner
from screener.errors import InvalidVideo
from screener.messages import ExecutionContext, PlannedStatus, PlanRequest
from screener.observations import Analyzer
from screener.paces import Measurement, Paces
from screener.settings import DeployedAnalyzer

ALL = {
    analyzer: DeployedAnalyzer(endpoint=f"screener-{analyzer}", packs=f"s3://p/{analyzer}/d1")
    for analyzer in Analyzer
}


def planner(deployed=ALL):
    return Planner(deployed, "work-bucket", request_ttl_seconds=600, invocation_timeout_seconds=60)


def request(media, *, ranges=1, redrives=0):
    return PlanRequest(
        job=job(ranges),
        media=media,
        execution=ExecutionContext(Id=EXECUTION, RedriveCount=redrives),
    )


def test_every_deployed_analyzer_gets_one_request_per_chunk():
    plan = planner().plan(request([extracted(0), extracted(1)], ranges=2), set(), Paces())
    assert [(item.analyzer, item.chunk) for item in plan.items] == [
        (analyzer, chunk) for analyzer in Analyzer for chunk in (0, 1)
    ]
    assert {summary.status for summary in plan.analyses.values()} == {PlannedStatus.RUN}


def test_audio_goes_to_transcription_and_frames_to_the_others():
    plan = planner().plan(request([extracted()]), set(), Paces())
    inputs = {item.analyzer: (item.input_location, item.content_type) for item in plan.items}
    assert inputs.pop(Analyzer.TRANSCRIPTION) == (
        "s3://work-bucket/media/x/audio-0000.flac",
        "audio/flac",
    )
    assert set(inputs.values()) == {
        ("s3://work-bucket/media/x/frames-0000.tar", "application/x-tar")
    }


def test_stored_observations_are_not_asked_for_again():
    first = planner().plan(request([extracted(0), extracted(1)], ranges=2), set(), Paces())
    faces = first.analyses[Analyzer.FACES].observation_keys
    again = planner().plan(
        request([extracted(0), extracted(1)], ranges=2), {*faces, "observations/other"}, Paces()
    )
    assert Analyzer.FACES not in {item.analyzer for item in again.items}
    assert again.analyses[Analyzer.FACES].status is PlannedStatus.REUSED
    assert again.analyses[Analyzer.FACES].reused
    assert again.analyses[Analyzer.FACES].observation_keys == faces


def test_only_the_missing_chunk_runs_again():
    first = planner().plan(request([extracted(0), extracted(1)], ranges=2), set(), Paces())
    stored = {item.observation_key for item in first.items} - {
        first.analyses[Analyzer.MODERATION].observation_keys[1]
    }
    again = planner().plan(request([extracted(0), extracted(1)], ranges=2), stored, Paces())
    assert [(item.analyzer, item.chunk) for item in again.items] == [(Analyzer.MODERATION, 1)]
    assert not again.analyses[Analyzer.MODERATION].reused


def test_an_analyzer_without_packs_is_not_deployed_and_asks_for_nothing():
    plan = planner(ALL | {Analyzer.FACES: DeployedAnalyzer()}).plan(
        request([extracted()]), set(), Paces()
    )
    assert plan.analyses[Analyzer.FACES].status is PlannedStatus.NOT_DEPLOYED
    assert Analyzer.FACES not in {item.analyzer for item in plan.items}


@pytest.mark.parametrize("reason", ["no audio", "silent"])
def test_transcription_is_skipped_for_the_stated_reason(reason):
    plan = planner().plan(request([extracted(silent=reason)]), set(), Paces())
    assert plan.analyses[Analyzer.TRANSCRIPTION].status is PlannedStatus.SKIPPED
    assert plan.analyses[Analyzer.TRANSCRIPTION].reason == reason


def test_other_weights_and_other_sampling_are_other_observations():
    mine = planner().plan(request([extracted()]), set(), Paces())
    other_weights = planner(
        ALL | {Analyzer.FACES: DeployedAnalyzer(endpoint="e", packs="s3://p/faces/d2")}
    ).plan(request([extracted()]), set(), Paces())
    keys, other_keys = (
        {item.analyzer: item.observation_key for item in plan.items}
        for plan in (mine, other_weights)
    )
    assert keys[Analyzer.FACES] != other_keys[Analyzer.FACES]
    assert keys[Analyzer.MODERATION] == other_keys[Analyzer.MODERATION]


def test_a_redrive_asks_under_a_new_inference_id():
    first = planner().plan(request([extracted()]), set(), Paces())
    again = planner().plan(request([extracted()], redrives=1), set(), Paces())
    assert {item.inference_id for item in first.items}.isdisjoint(
        item.inference_id for item in again.items
    )
    assert again.redrive_count == 1


def test_a_video_without_a_single_frame_is_refused_rather_than_judged():
    with pytest.raises(InvalidVideo, match="no frame"):
        planner().plan(request([extracted(frames=False)]), set(), Paces())


def test_the_largest_plan_fits_into_the_state_with_room_to_spare():
    media = [extracted(chunk) for chunk in range(10)]
    plan = planner().plan(request(media, ranges=10), set(), Paces())
    assert len(plan.items) == 40
    assert len(json.dumps(plan.model_dump(mode="json"))) < 262_144 / 4


def test_header_values_are_ascii_and_within_the_limits():
    for item in planner().plan(request([extracted()]), set(), Paces()).items:
        assert item.custom_attributes.isascii()
        assert len(item.custom_attributes) <= 1024
        assert len(item.inference_id) <= 64


def remembered(*measurements):
    return Paces().learning([Measurement(*one) for one in measurements], ALL)


def test_the_first_look_is_just_after_the_expected_end():
    paces = remembered((Analyzer.MODERATION, 10, 45_000), (Analyzer.TRANSCRIPTION, 10, 15_080))
    plan = planner().plan(request([extracted()]), set(), paces)
    waits = {item.analyzer: (item.expected_seconds, item.poll.wait_seconds) for item in plan.items}
    assert waits == {
        Analyzer.MODERATION: (45.0, 47),
        Analyzer.FACES: (0.0, 1),
        Analyzer.TRANSCRIPTION: (15.08, 16),
        Analyzer.OBJECTS: (0.0, 1),
    }


def test_nothing_is_expected_to_take_longer_than_it_may():
    paces = remembered((Analyzer.FACES, 10, 3_000_000))
    plan = planner().plan(request([extracted()]), set(), paces)
    (faces,) = (item for item in plan.items if item.analyzer is Analyzer.FACES)
    assert faces.expected_seconds == faces.invocation_timeout_seconds == 60
