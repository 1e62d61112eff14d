from datetime import UTC, datetime

import numpy as np
import pytest

from functions.aggregate_results.aggregate import aggregate
from screener import identity, scene_texts, storage
from screener.document import Document
from screener.errors import InvalidPolicy
from screener.messages import (
    AggregationTask,
    AnalysisError,
    AnalysisItem,
    AnalysisOutcome,
    AnalysisPlan,
    AnalysisStatus,
    AnalysisSummary,
    CaughtError,
    ExtractedRange,
    PlannedStatus,
    ScreeningJob,
    ScreeningRequest,
    TimeRange,
)
from screener.observations import Analyzer
from screener.paces import recall
from screener.policy.known_faces import IdentityNote, IndexMetadata, dump_known_faces
from screener.policy.loading import Preset, load_preset
from screener.sampling import Sampling
from screener.settings import DeployedAnalyzer
from tests.aws_stand_in import MEDIA_BUCKET, TABLE, WORK_BUCKET, stand_in
from tests.observation_examples import (
    RECOGNISER,
    VIDEO,
    VIDEO_ID,
    face,
    faces,
    moderation,
    objects,
    person_vector,
    text_embeddings,
    transcription,
)

DOCUMENT = "uploads/a.moderation.json"
FRAMES = 3
LOCAL = dict.fromkeys(Analyzer, DeployedAnalyzer(instance_type="local"))
OBSERVATIONS = {
    Analyzer.MODERATION: moderation([(0.01, {})] * FRAMES),
    Analyzer.FACES: faces([[face(person_vector(0))]] * FRAMES),
    Analyzer.TRANSCRIPTION: transcription("hello there"),
    Analyzer.OBJECTS: objects([{"person": 0.9}] * FRAMES),
}


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


def key_of(analyzer):
    return storage.observation_key(VIDEO_ID, analyzer, "a1", 0)


def store(aws, observations=OBSERVATIONS):
    for analyzer, item in observations.items():
        body = item if isinstance(item, bytes) else item.model_dump_json().encode()
        aws.s3.put_object(Bucket=WORK_BUCKET, Key=key_of(analyzer), Body=body)


def task(
    plan=None,
    outcomes=(),
    last_modified="2026-11-01T00:00:00+00:00",
    started_at="2026-11-01T00:01:00+00:00",
    **video,
):
    sampling = Sampling()
    description = VIDEO.model_copy(update=video)
    version = identity.content_version(description.version_id, description.etag, last_modified)
    return AggregationTask(
        request=ScreeningRequest(bucket=description.bucket, key=description.key),
        job=ScreeningJob(
            video_id=identity.video_id(description.bucket, description.key, version),
            video=description,
            last_modified=last_modified,
            sampling=sampling,
            sampling_id=sampling.sampling_id,
            ranges=[TimeRange(chunk=0, start_ms=0, end_ms=None)],
            execution_arn="arn:aws:states:us-east-1:123456789012:execution:screening:one",
            started_at=started_at,
        ),
        media=[
            ExtractedRange(
                chunk=0,
                frames_key="media/x/frames-0000.tar",
                frame_count=FRAMES,
                audio_key="media/x/audio-0000.flac",
                audio_skipped=None,
                audio_duration_ms=60_000,
            )
        ],
        plan=AnalysisPlan(
            items=[],
            analyses={
                analyzer: AnalysisSummary(
                    status=PlannedStatus.RUN, observation_keys=[key_of(analyzer)], reused=False
                )
                for analyzer in Analyzer
            }
            | (plan or {}),
            redrive_count=0,
        ),
        outcomes=list(outcomes),
    )


def run(aws, given, deployed=LOCAL):
    return aggregate(given, aws.channels, WORK_BUCKET, deployed, datetime.now(UTC).isoformat())


def test_a_whole_video_becomes_document_row_and_event(aws):
    store(aws)
    document, written = run(aws, task())
    assert written.document == f"s3://{MEDIA_BUCKET}/{DOCUMENT}"
    assert (written.status, written.redrivable, written.superseded) == ("complete", False, False)
    stored = aws.document(DOCUMENT)
    assert stored == document.model_dump(mode="json")
    assert stored["analyses"]["faces"]["packs"][1]["name"] == RECOGNISER.name
    row = aws.row("media-bucket/uploads/a.mp4")
    assert row["decision"]["S"] == written.decision
    assert [item["video"] for item in aws.index("by-decision", "decision", written.decision)] == [
        row["video"]
    ]
    (event,) = aws.heard()
    assert (event["source"], event["detail-type"]) == ("screener", "Screening Completed")
    assert event["detail"]["decision"] == written.decision
    assert event["detail"]["document"] == written.document


def test_the_document_holds_no_biometrics(aws):
    store(aws)
    run(aws, task())
    text = aws.s3.get_object(Bucket=MEDIA_BUCKET, Key=DOCUMENT)["Body"].read().decode()
    embedding = OBSERVATIONS[Analyzer.FACES].frames[0].faces[0].embedding
    assert embedding not in text
    assert "landmarks" not in text
    assert '"embedding"' not in text


@pytest.mark.parametrize(
    ("stored", "error"),
    [
        (None, "NoObservations"),
        (b"", "InvalidObservations"),
        (b"{", "InvalidObservations"),
        (b'{"frames": 7}', "InvalidObservations"),
        (b"\xff\xfe\x00", "InvalidObservations"),
        (moderation([(0.1, {})] * (FRAMES - 1)), "InvalidObservations"),
    ],
    ids=["missing", "empty", "cut off", "wrong type", "not text", "a frame was not analysed"],
)
def test_unusable_observations_are_a_failure_that_can_be_redriven(aws, stored, error):
    observations = dict(OBSERVATIONS)
    del observations[Analyzer.MODERATION]
    if stored is not None:
        observations[Analyzer.MODERATION] = stored
    store(aws, observations)
    document, written = run(aws, task())
    report = document.analyses[Analyzer.MODERATION]
    assert (report.status, report.error.type) == ("failed", error)
    assert document.moderation is None
    assert document.faces is not None
    assert (written.status, written.decision, written.redrivable) == ("partial", "review", True)
    assert list(written.failed) == ["moderation"]
    assert written.failed["moderation"].startswith(error)


def test_the_outcome_of_the_item_explains_a_failure_best(aws):
    store(aws, {k: v for k, v in OBSERVATIONS.items() if k is not Analyzer.OBJECTS})
    outcome = AnalysisOutcome(
        analyzer=Analyzer.OBJECTS,
        chunk=0,
        status=AnalysisStatus.TIMED_OUT,
        error=AnalysisError(type="AnalysisTimedOut", message="nothing after 3600 s"),
    )
    document, written = run(aws, task(outcomes=[outcome]))
    assert document.analyses[Analyzer.OBJECTS].status == "timed_out"
    assert written.failed == {"objects": "AnalysisTimedOut: nothing after 3600 s"}


def test_an_error_of_the_state_machine_is_reported_as_it_was_caught(aws):
    store(aws, {k: v for k, v in OBSERVATIONS.items() if k is not Analyzer.FACES})
    outcome = AnalysisOutcome(
        analyzer=Analyzer.FACES,
        chunk=0,
        status=AnalysisStatus.FAILED,
        error=CaughtError(Error="SageMakerRuntime.ValidationException", Cause="no such endpoint"),
    )
    _, written = run(aws, task(outcomes=[outcome]))
    assert written.failed == {"faces": "SageMakerRuntime.ValidationException: no such endpoint"}


def test_not_deployed_is_partial_but_nothing_to_redrive(aws):
    store(aws)
    absent = AnalysisSummary(
        status=PlannedStatus.NOT_DEPLOYED,
        reason="this stack has no model pack for it",
        observation_keys=[],
        reused=False,
    )
    document, written = run(aws, task(plan={Analyzer.OBJECTS: absent}))
    assert (written.status, written.decision, written.redrivable) == ("partial", "review", False)
    assert document.analyses[Analyzer.OBJECTS].action.startswith("screener packs pull")


def test_no_audio_is_complete(aws):
    store(aws)
    skipped = AnalysisSummary(
        status=PlannedStatus.SKIPPED, reason="no audio", observation_keys=[], reused=False
    )
    document, written = run(aws, task(plan={Analyzer.TRANSCRIPTION: skipped}))
    assert written.status == "complete"
    assert document.analyses[Analyzer.TRANSCRIPTION].reason == "no audio"
    assert document.transcription is None


def test_cost_is_busy_time_at_the_instance_price(aws):
    store(aws)
    types = LOCAL | {Analyzer.MODERATION: DeployedAnalyzer(instance_type="ml.g4dn.xlarge")}
    document, _ = run(aws, task(), types)
    assert document.analyses[Analyzer.MODERATION].cost_usd == pytest.approx(0.736 * 1.8 / 3600)
    assert document.cost.total_usd == document.analyses[Analyzer.MODERATION].cost_usd


@pytest.mark.parametrize("said", ["NaN", "Infinity", "1e999"])
def test_a_time_that_is_no_number_leaves_a_document_that_can_be_read(aws, said):
    seen = (
        OBSERVATIONS[Analyzer.FACES].model_dump_json().replace('"total":900.0', f'"total":{said}')
    )
    assert said in seen
    store(aws, OBSERVATIONS | {Analyzer.FACES: seen.encode()})
    run(aws, task())
    document = Document.model_validate(aws.document(DOCUMENT))
    assert document.analyses[Analyzer.FACES].timings_ms == {}
    assert document.analyses[Analyzer.MODERATION].timings_ms["total"] > 0


def test_reused_observations_cost_nothing_again(aws):
    store(aws)
    reused = AnalysisSummary(
        status=PlannedStatus.REUSED, observation_keys=[key_of(Analyzer.MODERATION)], reused=True
    )
    types = LOCAL | {Analyzer.MODERATION: DeployedAnalyzer(instance_type="ml.g4dn.xlarge")}
    document, _ = run(aws, task(plan={Analyzer.MODERATION: reused}), types)
    assert document.analyses[Analyzer.MODERATION].reused
    assert document.cost.total_usd == 0


def asking_for(*analyzers):
    """A plan that asks for these analyses."""
    given = task()
    items = [
        AnalysisItem(
            analyzer=analyzer,
            chunk=0,
            endpoint_name="e",
            input_location="s3://work/frames.tar",
            content_type="application/x-tar",
            custom_attributes="{}",
            inference_id="i",
            observation_key=key_of(analyzer),
            request_ttl_seconds=600,
            invocation_timeout_seconds=60,
            poll_growth=0.1,
        )
        for analyzer in analyzers
    ]
    return given.model_copy(update={"plan": given.plan.model_copy(update={"items": items})})


def expected_seconds(aws, analyzer, units):
    return recall(aws.dynamodb, TABLE).expected_seconds(analyzer, LOCAL[analyzer], units)


def test_what_the_analyses_took_is_expected_of_the_next_video(aws):
    store(aws)
    run(aws, asking_for(*Analyzer))
    assert expected_seconds(aws, Analyzer.MODERATION, FRAMES) == pytest.approx(1.8)
    assert expected_seconds(aws, Analyzer.TRANSCRIPTION, 60) == pytest.approx(2.0)


def test_observations_of_an_earlier_plan_say_nothing_of_the_servers_now(aws):
    store(aws)
    run(aws, asking_for(Analyzer.FACES))
    assert expected_seconds(aws, Analyzer.FACES, FRAMES) > 0
    assert expected_seconds(aws, Analyzer.MODERATION, FRAMES) == 0


def test_an_unlisted_instance_type_has_no_invented_price(aws):
    store(aws)
    types = LOCAL | {Analyzer.FACES: DeployedAnalyzer(instance_type="ml.unheard.of")}
    document, _ = run(aws, task(), types)
    assert document.analyses[Analyzer.FACES].cost_usd is None
    assert document.cost.total_usd is None


def test_the_stacks_own_policy_replaces_the_preset(aws):
    store(aws)
    body = (
        b"schema_version: 1\nname: own\nversion: '7'\nrequired_analyses: []\n"
        b"moderation: {consensus: both, opennsfw2_threshold: 0.5, nudenet_thresholds: {}}\n"
        b"faces: {default_threshold: 0.5}\nspeech: {}\nobjects: {weapon_threshold: 0.5}\n"
        b"scenes: {}\nrules: []\n"
    )
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=storage.POLICY_KEY, Body=body)
    document, written = run(aws, task())
    assert (document.verdict.policy.name, document.verdict.policy.version) == ("own", "7")
    assert written.decision == "approve"


def test_a_broken_policy_fails_visibly_and_writes_nothing(aws):
    store(aws)
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=storage.POLICY_KEY, Body=b"rules: 7\n")
    with pytest.raises(InvalidPolicy, match=r"config/policy.yaml:1:1: .*required"):
        run(aws, task())
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=MEDIA_BUCKET)


def index_of(*labels):
    return dump_known_faces(
        np.stack([person_vector(n) for n in range(len(labels))]),
        list(labels),
        IndexMetadata(
            recogniser=RECOGNISER,
            identities={labels[0]: IdentityNote(urls=["https://example.org/p"], notes="banned")},
        ),
    )


def test_known_people_are_in_document_and_table(aws):
    store(aws)
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=storage.KNOWN_FACES_KEY, Body=index_of("ann", "bob"))
    document, _ = run(aws, task())
    (match,) = document.faces.known_matches
    assert (match.label, match.urls, match.notes) == ("ann", ["https://example.org/p"], "banned")
    assert match.max_similarity > 0.99
    (row,) = aws.index("by-face-label", "face_label", "ann")
    assert row["video_key"]["S"] == "media-bucket/uploads/a.mp4"


def test_the_row_of_a_person_who_is_no_longer_found_goes(aws):
    store(aws)
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=storage.KNOWN_FACES_KEY, Body=index_of("ann"))
    run(aws, task())
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=storage.KNOWN_FACES_KEY, Body=index_of("bob"))
    run(aws, task())
    assert aws.index("by-face-label", "face_label", "ann") == []
    assert len(aws.index("by-face-label", "face_label", "bob")) == 1


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_a_corrupt_index_costs_the_answer_not_the_verdict(aws, data):
    store(aws)
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=storage.KNOWN_FACES_KEY, Body=data)
    document, written = run(aws, task())
    assert document.faces.known_faces.status == "not_evaluated"
    assert written.decision == "review"


def test_an_older_upload_never_replaces_a_newer_document(aws):
    store(aws)
    run(aws, task(last_modified="2026-11-02T00:00:00+00:00", version_id="v1"))
    before = aws.document(DOCUMENT)
    aws.heard()
    _, written = run(aws, task(last_modified="2026-11-01T00:00:00+00:00", version_id="v0"))
    assert written.superseded
    assert not written.redrivable
    assert aws.document(DOCUMENT) == before
    assert aws.heard() == []


def test_the_row_tells_what_to_replace_so_that_nothing_is_looked_up(aws):
    store(aws)
    seen = aws.asked_of(MEDIA_BUCKET)
    run(aws, task())
    run(aws, task(started_at="2026-11-01T00:02:00+00:00"))
    run(aws, task(last_modified="2026-11-02T00:00:00+00:00", version_id="v2"))
    assert seen == ["PutObject"] * 3
    assert aws.document(DOCUMENT)["video"]["version_id"] == "v2"


def test_a_row_that_is_behind_does_not_cost_the_newer_document(aws):
    store(aws)
    run(aws, task())
    row = aws.row("media-bucket/uploads/a.mp4")
    run(aws, task(last_modified="2026-11-03T00:00:00+00:00", version_id="v3"))
    # As if the newer run had ended between its document and its row.
    aws.dynamodb.put_item(TableName=TABLE, Item=row)
    _, written = run(aws, task(last_modified="2026-11-02T00:00:00+00:00", version_id="v2"))
    assert written.superseded
    assert aws.document(DOCUMENT)["video"]["version_id"] == "v3"


def test_a_video_without_a_row_does_not_take_the_place_of_another(aws):
    store(aws)
    run(aws, task())
    aws.dynamodb.delete_item(TableName=TABLE, Key={"video": {"S": "media-bucket/uploads/a.mp4"}})
    _, again = run(aws, task(started_at="2026-11-01T00:02:00+00:00"))
    assert again.document == f"s3://{MEDIA_BUCKET}/{DOCUMENT}"
    _, other = run(aws, task(key="uploads/a.mov"))
    assert other.document != again.document


def test_a_document_that_was_deleted_is_written_again(aws):
    store(aws)
    run(aws, task())
    aws.s3.delete_object(Bucket=MEDIA_BUCKET, Key=DOCUMENT)
    run(aws, task(started_at="2026-11-01T00:02:00+00:00"))
    assert aws.document(DOCUMENT)["status"] == "complete"


def test_two_videos_of_one_name_have_two_documents(aws):
    store(aws)
    run(aws, task())
    _, other = run(aws, task(key="uploads/a.mov"))
    assert other.document.endswith("/uploads/a.mov.moderation.json")
    assert aws.document(DOCUMENT)["video"]["key"] == "uploads/a.mp4"
    _, again = run(aws, task(key="uploads/a.mov", version_id="v2"))
    assert again.document == other.document


def test_an_unusable_observation_is_removed_so_that_a_redrive_makes_it_anew(aws):
    short = OBSERVATIONS[Analyzer.OBJECTS]
    store(
        aws,
        {
            **OBSERVATIONS,
            Analyzer.FACES: b"\x00 not json",
            Analyzer.OBJECTS: short.model_copy(update={"frames": short.frames[:1]}),
        },
    )
    _, written = run(aws, task())
    assert (written.status, written.redrivable) == ("partial", True)
    assert set(written.failed) == {Analyzer.FACES, Analyzer.OBJECTS}
    assert all("InvalidObservations" in why for why in written.failed.values())
    left = {
        item["Key"]
        for item in aws.s3.list_objects_v2(Bucket=WORK_BUCKET, Prefix="observations/")["Contents"]
    }
    assert left == {key_of(Analyzer.MODERATION), key_of(Analyzer.TRANSCRIPTION)}


def test_observations_that_only_the_judge_finds_unusable_are_made_anew_by_a_redrive(aws):
    short = face(person_vector(0)[:10])
    store(aws, {**OBSERVATIONS, Analyzer.FACES: faces([[short]] * FRAMES)})
    _, written = run(aws, task())
    assert written.redrivable
    assert "10 values instead of" in written.failed[Analyzer.FACES]
    left = {
        item["Key"]
        for item in aws.s3.list_objects_v2(Bucket=WORK_BUCKET, Prefix="observations/")["Contents"]
    }
    assert left == {key_of(analyzer) for analyzer in Analyzer} - {key_of(Analyzer.FACES)}


def test_scenes_are_scored_with_the_stored_embeddings_of_the_prompts(aws):
    policy = load_preset(Preset.BALANCED)
    vectors = {prompt: person_vector(i) for i, prompt in enumerate(policy.scenes.prompts)}
    seen = objects([{}] * FRAMES, images=[vectors["a nature landscape"]] * FRAMES)
    store(aws, OBSERVATIONS | {Analyzer.OBJECTS: seen})
    packs = identity.packs_digest((pack.role, pack.sha256) for pack in seen.packs)
    aws.s3.put_object(
        Bucket=WORK_BUCKET,
        Key=scene_texts.embeddings_key(policy, packs),
        Body=text_embeddings(vectors).model_dump_json().encode(),
    )
    document, written = run(aws, task())
    assert document.objects.scene_classifications.dominant_scene == "a nature landscape"
    assert written.decision == "approve"
