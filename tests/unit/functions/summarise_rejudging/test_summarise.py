import json

import pytest

from functions.summarise_rejudging.summarise import summarise
from screener.archive_messages import BatchResult, Listing, Manifest, Rejudged, Rejudging
from screener.document import Decision
from screener.storage import rejudging_batch_key, rejudging_prefix
from tests.aws_stand_in import WORK_BUCKET, stand_in

PREFIX = rejudging_prefix("one")
APPROVE, REVIEW, REJECT = Decision.APPROVE, Decision.REVIEW, Decision.REJECT


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


def put(aws, name, *results, prefix=PREFIX):
    documents = [
        Rejudged(document=f"s3://m/{name}-{number}", left=one)
        if isinstance(one, str)
        else Rejudged(document=f"s3://m/{name}-{number}", old=one[0], new=one[1])
        for number, one in enumerate(results)
    ]
    body = BatchResult(documents=documents).model_dump_json().encode()
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=rejudging_batch_key(prefix, name), Body=body)


def run(aws, listed):
    listing = Listing(
        manifest=Manifest(bucket=WORK_BUCKET, key=f"{PREFIX}videos.json"),
        rejudging=Rejudging(prefix=PREFIX, dry_run=True),
        listed=listed,
    )
    return summarise(listing, aws.s3, WORK_BUCKET)


def stored(aws, name):
    return aws.s3.get_object(Bucket=WORK_BUCKET, Key=f"{PREFIX}{name}")["Body"].read()


def test_verdicts_are_counted_old_against_new(aws):
    put(aws, "a", (APPROVE, APPROVE), (APPROVE, REJECT), "expired")
    put(aws, "b", (REVIEW, REJECT), (REVIEW, APPROVE))
    put(aws, "other", (REJECT, REJECT), prefix=rejudging_prefix("one-more"))
    summary = run(aws, listed=5)
    assert (summary.judged, summary.changed, summary.left, summary.missing) == (4, 3, 1, 0)
    assert summary.verdicts == {APPROVE: 2, REVIEW: 0, REJECT: 2}
    assert summary.confusion == {
        APPROVE: {APPROVE: 1, REVIEW: 0, REJECT: 1},
        REVIEW: {APPROVE: 1, REVIEW: 0, REJECT: 1},
        REJECT: {APPROVE: 0, REVIEW: 0, REJECT: 0},
    }
    assert json.loads(stored(aws, "summary.json")) == summary.model_dump(mode="json")


def test_the_list_of_changes_names_what_changed_and_what_was_left(aws):
    put(aws, "a", (APPROVE, APPROVE), (APPROVE, REJECT), "expired")
    run(aws, listed=3)
    lines = [json.loads(line) for line in stored(aws, "changes.jsonl").splitlines()]
    assert lines == [
        {"document": "s3://m/a-1", "old": "approve", "new": "reject"},
        {"document": "s3://m/a-2", "left": "expired"},
    ]


def test_what_no_batch_reported_is_missing(aws):
    put(aws, "a", (APPROVE, APPROVE))
    summary = run(aws, listed=21)
    assert (summary.judged, summary.missing) == (1, 20)


def test_many_batches_are_all_counted(aws):
    for number in range(120):
        put(aws, f"{number:03}", (APPROVE, REVIEW))
    assert run(aws, listed=120).verdicts[REVIEW] == 120


def test_counting_again_replaces_the_summary(aws):
    put(aws, "a", (APPROVE, REVIEW))
    assert run(aws, listed=2).missing == 1
    put(aws, "b", (APPROVE, REVIEW))
    assert run(aws, listed=2).missing == 0
    assert json.loads(stored(aws, "summary.json"))["missing"] == 0
