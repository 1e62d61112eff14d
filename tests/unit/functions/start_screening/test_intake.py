import json
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from functions.start_screening.intake import Intake, TooManyExecutions, parse_event
from screener.errors import InvalidEvent

WAIT_FOREVER = json.dumps(
    {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
)


def event(key="uploads/a.mp4", bucket="media", **changes) -> str:
    detail = {
        "bucket": {"name": bucket},
        "object": {"key": key, "etag": "e1", "version-id": "v1", "sequencer": "0A", "size": 3},
        "reason": "PutObject",
    }
    return json.dumps(
        {"source": "aws.s3", "detail-type": "Object Created", "detail": detail} | changes
    )


@pytest.fixture
def state_machine(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("stepfunctions", region_name="us-east-1")
        arn = client.create_state_machine(
            name="screening",
            definition=WAIT_FOREVER,
            roleArn="arn:aws:iam::123456789012:role/screening",
        )["stateMachineArn"]
        yield client, arn


def executions(state_machine) -> list[str]:
    client, arn = state_machine
    return [item["name"] for item in client.list_executions(stateMachineArn=arn)["executions"]]


def start(state_machine, *bodies, max_running=10) -> list[str]:
    client, arn = state_machine
    handler = Intake(client, arn, "media", max_running).batch()
    return [handler(SimpleNamespace(body=body)) for body in bodies]


def test_an_upload_starts_one_execution_with_its_pointers_as_input(state_machine):
    (name,) = start(state_machine, event())
    client, arn = state_machine
    execution = client.list_executions(stateMachineArn=arn)["executions"][0]
    assert execution["name"] == name
    assert json.loads(
        client.describe_execution(executionArn=execution["executionArn"])["input"]
    ) == {
        "bucket": "media",
        "key": "uploads/a.mp4",
        "version_id": "v1",
        "etag": "e1",
        "sequencer": "0A",
    }


def test_a_duplicate_event_starts_nothing(state_machine):
    first, second = start(state_machine, event(), event())
    assert first == second
    assert executions(state_machine) == [first]


def test_a_duplicate_with_another_sequencer_starts_nothing_either(state_machine):
    start(state_machine, event(), event().replace('"0A"', '"0B"'))
    assert len(executions(state_machine)) == 1


def unversioned(etag, sequencer, version=None):
    told = {"key": "uploads/a.mp4", "etag": etag, "sequencer": sequencer}
    if version:
        told["version-id"] = version
    return event(detail={"bucket": {"name": "media"}, "object": told})


@pytest.mark.parametrize("version", [None, "null"])
def test_without_versions_content_that_comes_back_is_a_new_upload(state_machine, version):
    bad, good, bad_again = (
        unversioned(etag, sequencer, version)
        for etag, sequencer in (("e1", "0A"), ("e2", "0B"), ("e1", "0C"))
    )
    start(state_machine, bad, good, bad_again, bad_again)
    assert len(executions(state_machine)) == 3


def test_a_new_version_of_the_same_key_is_a_new_execution(state_machine):
    start(state_machine, event(), event().replace('"v1"', '"v2"'))
    assert len(executions(state_machine)) == 2


@pytest.mark.parametrize(
    "key", ["up loads/a+b c.mp4", "ünï/видео 🎬.MP4", "we\"ird's<&>.mov", "a" * 1020 + ".mp4"]
)
def test_odd_keys_survive(state_machine, key):
    start(state_machine, event(key=key))
    client, arn = state_machine
    execution = client.list_executions(stateMachineArn=arn)["executions"][0]
    described = client.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(described["input"])["key"] == key


def test_the_bound_on_running_executions_is_kept(state_machine):
    client, arn = state_machine
    handler = Intake(client, arn, "media", max_running=2).batch()
    for number in range(2):
        handler(SimpleNamespace(body=event(key=f"uploads/{number}.mp4")))
    with pytest.raises(TooManyExecutions):
        handler(SimpleNamespace(body=event(key="uploads/2.mp4")))
    with pytest.raises(TooManyExecutions):
        start(state_machine, event(key="uploads/3.mp4"), max_running=2)
    assert len(executions(state_machine)) == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not an S3 event"),
        ("[]", "not an S3 event"),
        ('{"source": "aws.s3"}', "detail"),
        (event(source="my.app"), "not an S3 upload"),
        (event(**{"detail-type": "Object Deleted"}), "not an S3 upload"),
        (event(bucket="another-bucket"), "another-bucket"),
        (event(key="uploads/a.moderation.json"), "document of ours"),
        (event(key=""), "key"),
        (event(key="x" * 1025), "key"),
    ],
)
def test_an_event_that_is_not_an_upload_of_ours_is_refused_by_name(body, reason):
    with pytest.raises(InvalidEvent, match=reason):
        parse_event(body, "media")
