import json
from itertools import chain

import pytest

from functions.list_videos.list import list_videos
from screener.archive_messages import BATCH_SIZE, ListingTask, RejudgingRequest
from screener.errors import InvalidPolicy
from screener.policy.loading import DEFAULT_PRESET, Preset, preset_bytes
from screener.storage import POLICY_KEY
from tests.aws_stand_in import TABLE, WORK_BUCKET, stand_in


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


def put_video(aws, key):
    row = {
        "video": f"media-bucket/{key}",
        "key": key,
        "document": f"s3://media-bucket/{key}.moderation.json",
        "decision": "review",
        "processed_at": "2026-11-23T00:00:00+00:00",
    }
    aws.dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in row.items()})


def put_person(aws, key):
    row = {
        "video": f"face:0123456789abcdef:media-bucket/{key}",
        "video_key": f"media-bucket/{key}",
        "face_label": "Ada",
        "processed_at": "2026-11-23T00:00:00+00:00",
        "document": f"s3://media-bucket/{key}.moderation.json",
    }
    aws.dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in row.items()})


def run(aws, **request):
    task = ListingTask(request=RejudgingRequest(**request), execution_name="one")
    return list_videos(task, aws.s3, aws.dynamodb, WORK_BUCKET, TABLE)


def stored(aws, key):
    return aws.s3.get_object(Bucket=WORK_BUCKET, Key=key)["Body"].read()


def batches(aws, listing):
    return [batch["documents"] for batch in json.loads(stored(aws, listing.manifest.key))]


def test_every_video_is_listed_once_and_people_are_not(aws):
    for key in ("uploads/a.mp4", 'uploads/ü "b".mp4'):
        put_video(aws, key)
        put_person(aws, key)
    listing = run(aws)
    assert listing.listed == 2
    assert sorted(chain(*batches(aws, listing))) == [
        "s3://media-bucket/uploads/a.mp4.moderation.json",
        's3://media-bucket/uploads/ü "b".mp4.moderation.json',
    ]


def test_a_long_list_comes_in_batches_that_a_function_can_finish(aws):
    for number in range(2 * BATCH_SIZE + 1):
        put_video(aws, f"uploads/{number}.mp4")
    listing = run(aws)
    assert listing.listed == 2 * BATCH_SIZE + 1
    assert sorted(map(len, batches(aws, listing))) == [1, BATCH_SIZE, BATCH_SIZE]


def test_a_prefix_is_of_keys_and_not_of_buckets(aws):
    for key in ("uploads/a.mp4", "media-bucket/a.mp4"):
        put_video(aws, key)
    assert run(aws, prefix="uploads/").listed == 1
    assert run(aws, prefix="media-bucket/uploads/").listed == 0


def test_an_empty_archive_is_an_empty_list(aws):
    listing = run(aws)
    assert (listing.listed, batches(aws, listing)) == (0, [])


def test_nothing_is_written_beside_videos_unless_asked(aws):
    assert run(aws).rejudging.dry_run is True
    assert run(aws, dry_run=False).rejudging.dry_run is False


def test_the_policy_is_fixed_when_the_list_is(aws):
    strict = preset_bytes(Preset.STRICT)
    aws.s3.put_object(Bucket=WORK_BUCKET, Key="config/new.yaml", Body=strict)
    listing = run(aws, policy_key="config/new.yaml")
    aws.s3.delete_object(Bucket=WORK_BUCKET, Key="config/new.yaml")
    assert stored(aws, f"{listing.rejudging.prefix}policy.yaml") == strict


def test_without_a_policy_of_its_own_the_stacks_preset_judges(aws):
    listing = run(aws)
    assert stored(aws, f"{listing.rejudging.prefix}policy.yaml") == preset_bytes(DEFAULT_PRESET)


@pytest.mark.parametrize(
    ("key", "body", "why"),
    [
        ("config/none.yaml", None, "there is no such policy"),
        ("config/bad.yaml", b"name: 1\n", "config/bad.yaml:1"),
        (POLICY_KEY, b"[", "config/policy.yaml"),
    ],
)
def test_a_policy_that_cannot_be_used_stops_before_anything_is_listed(aws, key, body, why):
    if body is not None:
        aws.s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=body)
    with pytest.raises(InvalidPolicy, match=why):
        run(aws, policy_key=key)
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=WORK_BUCKET, Prefix="rejudge/")


@pytest.mark.parametrize("key", ["observations/x.yaml", "../config/x.yaml", "config/x.json", ""])
def test_a_policy_lies_in_the_configuration(key):
    with pytest.raises(ValueError, match="policy_key"):
        RejudgingRequest(policy_key=key)
