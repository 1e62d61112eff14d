import pytest
from example_messages import EXECUTION, job

from functions.plan_analyses.handler import stored_observations
from screener.messages import ExecutionContext, PlanRequest
from tests.aws_stand_in import TABLE, WORK_BUCKET, stand_in


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


@pytest.fixture
def stored(aws):
    """The one observation that is stored of the video."""
    key = f"observations/{job().video_id}/faces/a/0000.json"
    aws.s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=b"{}")
    return key


def found(aws, *, is_first_run, redrives=0):
    request = PlanRequest(
        job=job().model_copy(update={"is_first_run": is_first_run}),
        media=[],
        execution=ExecutionContext(Id=EXECUTION, RedriveCount=redrives),
    )
    return stored_observations(aws.s3, aws.dynamodb, request, WORK_BUCKET, TABLE)


def publish(aws, video_id):
    video = job().video
    row = {"video": {"S": f"{video.bucket}/{video.key}"}, "video_id": {"S": video_id}}
    aws.dynamodb.put_item(TableName=TABLE, Item=row)


def test_the_first_run_of_a_version_lists_nothing(aws):
    publish(aws, "an-earlier-version")
    seen = aws.asked_of(WORK_BUCKET)
    assert found(aws, is_first_run=True) == set()
    assert seen == []


@pytest.mark.parametrize(("is_first_run", "redrives"), [(False, 0), (True, 1)])
def test_any_other_run_finds_what_is_stored(aws, stored, is_first_run, redrives):
    assert found(aws, is_first_run=is_first_run, redrives=redrives) == {stored}


def test_a_version_that_was_run_by_hand_before_its_turn_is_not_analysed_again(aws, stored):
    publish(aws, job().video_id)
    assert found(aws, is_first_run=True) == {stored}
