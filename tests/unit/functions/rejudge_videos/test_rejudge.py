import dataclasses

import pytest
from botocore.exceptions import ClientError

from functions.rejudge_videos.rejudge import SUPERSEDED, rejudge_videos
from screener import identity
from screener.announcing import Channels, publish
from screener.archive_messages import Rejudging, RejudgingTask
from screener.composing import judged_document, pipeline_run
from screener.document import Decision
from screener.errors import InvalidPolicy
from screener.observations import Analyzer
from screener.policy.engine import judge
from screener.policy.loading import Preset, load_preset, preset_bytes
from screener.publishing import Edition
from screener.storage import rejudging_policy_key, rejudging_prefix
from tests.aws_stand_in import BUS, MEDIA_BUCKET, TABLE, WORK_BUCKET, stand_in
from tests.observation_examples import material, moderation

PREFIX = rejudging_prefix("one")
NOW = "2026-11-23T00:00:00+00:00"
LATER = "2026-11-24T00:00:00+00:00"
# Balanced reviews it, strict rejects it.
DOUBTFUL = moderation([(0.35, {"FEMALE_BREAST_EXPOSED": 0.3}), (0.1, {}), (0.1, {})])


@pytest.fixture
def aws():
    with stand_in() as account:
        account.s3.put_object(
            Bucket=WORK_BUCKET,
            Key=rejudging_policy_key(PREFIX),
            Body=preset_bytes(Preset.STRICT),
        )
        yield account


def screen(aws, name, started_at=NOW, version="v1"):
    """Publish a document under the balanced policy and store its observations."""
    given = material(DOUBTFUL)
    for analyzer, item in given.analyses.items():
        key = f"observations/{name}/{analyzer.value}/x/0000.json"
        body = item.observations[0].model_dump_json().encode()
        aws.s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=body)
        item.observation_keys[:] = [key]
    key = f"uploads/{name}.mp4"
    video = given.video.model_copy(update={"key": key, "version_id": version})
    video_id = identity.video_id(video.bucket, key, version)
    given = dataclasses.replace(given, video_id=video_id, video=video)
    document = judged_document(
        given,
        judge(given, load_preset(Preset.BALANCED), None),
        pipeline_run("arn:aws:states:::one", started_at, NOW),
        last_modified=NOW,
        instance_types=dict.fromkeys(Analyzer, "ml.g4dn.xlarge"),
    )
    edition = Edition(
        MEDIA_BUCKET, document.video.key, document.video_id, NOW, "0A", document.pipeline.started_at
    )
    published = publish(aws.channels, document, edition)
    assert document.verdict.decision is Decision.REVIEW
    aws.heard()
    return published.location.uri


def run(aws, *documents, dry_run=False, channels=None):
    task = RejudgingTask(
        rejudging=Rejudging(prefix=PREFIX, dry_run=dry_run), documents=list(documents)
    )
    return rejudge_videos(task, channels or aws.channels, WORK_BUCKET, LATER).documents


def decision(aws, name):
    return aws.document(f"uploads/{name}.moderation.json")["verdict"]["decision"]


def test_document_row_and_event_follow_the_new_policy(aws):
    (result,) = run(aws, screen(aws, "a"))
    assert (result.old, result.new, result.changed) == (Decision.REVIEW, Decision.REJECT, True)
    assert result.code == "rule"
    assert decision(aws, "a") == "reject"
    row = aws.row("media-bucket/uploads/a.mp4")
    assert (row["decision"]["S"], row["processed_at"]["S"]) == ("reject", LATER)
    (event,) = aws.heard()
    assert event["detail"]["decision"] == "reject"


def test_a_dry_run_tells_the_same_and_writes_nothing_beside_the_video(aws):
    address = screen(aws, "a")
    (told,) = run(aws, address, dry_run=True)
    assert decision(aws, "a") == "review"
    assert aws.row("media-bucket/uploads/a.mp4")["decision"]["S"] == "review"
    assert aws.heard() == []
    aws.s3.delete_object(Bucket=WORK_BUCKET, Key=batch_keys(aws)[0])
    assert run(aws, address) == [told]


def batch_keys(aws):
    listed = aws.s3.list_objects_v2(Bucket=WORK_BUCKET, Prefix=f"{PREFIX}batches/")
    return [item["Key"] for item in listed.get("Contents", [])]


def test_what_cannot_be_judged_again_is_told_and_costs_its_neighbours_nothing(aws):
    expired, good = screen(aws, "expired"), screen(aws, "good")
    for analyzer in Analyzer:
        key = f"observations/expired/{analyzer.value}/x/0000.json"
        aws.s3.delete_object(Bucket=WORK_BUCKET, Key=key)
    aws.s3.put_object(Bucket=MEDIA_BUCKET, Key="uploads/odd.moderation.json", Body=b"{}")
    results = run(
        aws,
        expired,
        "s3://media-bucket/uploads/odd.moderation.json",
        "s3://media-bucket/uploads/gone.moderation.json",
        "not an address",
        good,
    )
    assert [item.left is None for item in results] == [False, False, False, False, True]
    for item, why in zip(
        results, ["has expired", "not a document", "not there any more", "not an S3"], strict=False
    ):
        assert why in item.left
        assert item.new is None
    assert decision(aws, "expired") == "review"
    assert decision(aws, "good") == "reject"


class Between:
    """S3 in whose middle something happens: before the first reading of an observation."""

    def __init__(self, s3, happens):
        self._s3, self._happens = s3, happens

    def get_object(self, **request):
        if request["Key"].startswith("observations/") and self._happens:
            happens, self._happens = self._happens, None
            happens()
        return self._s3.get_object(**request)

    def __getattr__(self, name):
        return getattr(self._s3, name)


def between(aws, happens):
    return Channels(Between(aws.s3, happens), aws.dynamodb, aws.events, TABLE, BUS)


@pytest.mark.parametrize("newer", [{"started_at": LATER}, {"version": "v2"}], ids=["run", "upload"])
def test_a_newer_document_that_came_meanwhile_stays(aws, newer):
    address = screen(aws, "a")
    channels = between(aws, lambda: screen(aws, "a", **newer))
    (result,) = run(aws, address, channels=channels)
    assert (result.left, result.new) == (SUPERSEDED, None)
    assert decision(aws, "a") == "review"
    assert aws.heard() == []


def test_a_retry_goes_on_where_the_try_before_it_stopped(aws):
    first, second = screen(aws, "a"), screen(aws, "b")

    class Refusing(Between):
        def get_object(self, **request):
            if request["Key"].startswith("observations/b/"):
                raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
            return super().get_object(**request)

    channels = Channels(Refusing(aws.s3, None), aws.dynamodb, aws.events, TABLE, BUS)
    with pytest.raises(ClientError):
        run(aws, first, second, channels=channels)
    assert (decision(aws, "a"), decision(aws, "b")) == ("reject", "review")
    assert len(aws.heard()) == 1

    results = run(aws, first, second)

    # The first document says "reject" by now; what it said before is not forgotten.
    assert [(item.old, item.new) for item in results] == [(Decision.REVIEW, Decision.REJECT)] * 2
    assert len(aws.heard()) == 1, "nobody hears of the first one twice"
    assert len(batch_keys(aws)) == 1


def test_results_name_no_reasons_details(aws):
    run(aws, screen(aws, "a"))
    body = aws.s3.get_object(Bucket=WORK_BUCKET, Key=batch_keys(aws)[0])["Body"].read()
    detail = aws.document("uploads/a.moderation.json")["verdict"]["reasons"][0]["detail"]
    assert detail.encode() not in body


def test_without_its_copy_of_the_policy_nothing_is_judged(aws):
    address = screen(aws, "a")
    aws.s3.delete_object(Bucket=WORK_BUCKET, Key=rejudging_policy_key(PREFIX))
    with pytest.raises(InvalidPolicy, match="not there any more"):
        run(aws, address)
    assert decision(aws, "a") == "review"
