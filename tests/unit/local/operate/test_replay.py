"""Failed executions once more, on moto's Step Functions."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from local.operate.replay import (
    Candidate,
    Way,
    find_failed,
    name_stem,
    parse_since,
    replay,
    replay_name,
)
from local.operate.stacks import Clients
from screener import identity
from screener.errors import ConfigurationError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/any"
DEFINITION = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-02-28T10:00:00+00:00", datetime(2026, 2, 28, 10, tzinfo=UTC)),
        ("2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
    ],
)
def test_since_is_a_span_or_an_instant(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "24", "h", "yesterday", "-3h", "1w"])
def test_any_other_since_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--since"):
        parse_since(text, NOW)


def test_a_replay_has_a_new_name_that_leads_back_to_its_video() -> None:
    name = identity.execution_name("bucket", "uploads/" + "long " * 40 + ".mp4", "v1", None, None)
    first = replay_name(name, NOW)
    second = replay_name(first, NOW + timedelta(hours=1))
    assert len({name, first, second}) == 3
    assert max(map(len, (name, first, second))) <= identity.EXECUTION_NAME_LIMIT
    assert len({name_stem(one) for one in (name, first, second)}) == 1
    other = identity.execution_name("bucket", "uploads/other.mp4", "v1", None, None)
    assert name_stem(other) != name_stem(name)


def machine_with(sfn: Any, *names: str, request: dict[str, str] | None = None) -> str:
    """A state machine with aborted executions; moto does not run it here."""
    machine = sfn.create_state_machine(name="screening", definition=DEFINITION, roleArn=ROLE)[
        "stateMachineArn"
    ]
    for name in names:
        started = sfn.start_execution(
            stateMachineArn=machine,
            name=name,
            input=json.dumps(request or {"bucket": "films", "key": f"uploads/{name}.mp4"}),
        )
        sfn.stop_execution(executionArn=started["executionArn"])
    return machine


def test_what_cannot_be_redriven_is_started_anew_with_the_same_input(aws: Clients) -> None:
    sfn = aws("stepfunctions")
    machine = machine_with(sfn, "a" * 40)
    (candidate,) = find_failed(sfn, machine, LONG_AGO)
    assert (candidate.way, candidate.key) == (Way.NEW, f"uploads/{'a' * 40}.mp4")
    (done,) = replay(sfn, machine, [candidate], NOW)
    described = sfn.describe_execution(executionArn=done.execution_arn)
    assert json.loads(described["input"]) == {"bucket": "films", "key": candidate.key}
    assert described["name"] == replay_name("a" * 40, NOW)


def test_replaying_twice_starts_one_execution(aws: Clients) -> None:
    sfn = aws("stepfunctions")
    machine = machine_with(sfn, "a" * 40)
    assert len(list(replay(sfn, machine, find_failed(sfn, machine, LONG_AGO), NOW))) == 1
    (candidate,) = find_failed(sfn, machine, LONG_AGO)
    assert candidate.way is Way.NOTHING
    assert replay_name("a" * 40, NOW) in candidate.why
    assert list(replay(sfn, machine, [candidate], NOW)) == []


def test_older_failures_are_left_alone(aws: Clients) -> None:
    sfn = aws("stepfunctions")
    machine = machine_with(sfn, "a" * 40)
    assert list(find_failed(sfn, machine, datetime.now(UTC) + timedelta(hours=1))) == []


def test_an_execution_that_names_no_video_is_left_alone(aws: Clients) -> None:
    sfn = aws("stepfunctions")
    machine = machine_with(sfn, "by-hand", request={"foo": "bar"})
    (candidate,) = find_failed(sfn, machine, LONG_AGO)
    assert (candidate.way, candidate.why) == (Way.NOTHING, "its input names no video")


ARN = "arn:aws:states:us-east-1:123456789012:execution:screening:one"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:screening"
REDRIVABLE = Candidate(
    arn=ARN,
    name="one",
    status="FAILED",
    stopped_at=NOW,
    bucket="films",
    key="a.mp4",
    way=Way.REDRIVE,
    why="runs on from where it failed",
)


@pytest.fixture
def recorded() -> tuple[Any, Stubber]:
    """Step Functions with recorded answers: moto has no redrive."""
    client = boto3.client(
        "stepfunctions",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    return client, Stubber(client)


def test_what_ended_before_is_not_even_listed(recorded: tuple[Any, Stubber]) -> None:
    client, answers = recorded
    for status in ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"):
        started = NOW - timedelta(days=40)
        listed = {"executionArn": ARN, "stateMachineArn": MACHINE, "name": "one"}
        answers.add_response(
            "list_executions",
            {
                "executions": [
                    {**listed, "status": status, "startDate": started, "stopDate": started}
                ],
                "nextToken": "89 days more",
            },
            {"stateMachineArn": MACHINE, "statusFilter": status},
        )
    with answers:
        assert list(find_failed(client, MACHINE, NOW - timedelta(days=1))) == []
    answers.assert_no_pending_responses()


def test_a_redrivable_execution_is_redriven(recorded: tuple[Any, Stubber]) -> None:
    client, stubber = recorded
    stubber.add_response("redrive_execution", {"redriveDate": NOW}, {"executionArn": ARN})
    with stubber:
        (done,) = replay(client, MACHINE, [REDRIVABLE], NOW)
    assert (done.way, done.execution_arn) == (Way.REDRIVE, ARN)
    stubber.assert_no_pending_responses()


def test_a_redrive_that_is_refused_becomes_a_new_execution(recorded: tuple[Any, Stubber]) -> None:
    client, stubber = recorded
    stubber.add_client_error("redrive_execution", "ExecutionNotRedrivable")
    stubber.add_response(
        "describe_execution",
        {
            "executionArn": ARN,
            "stateMachineArn": MACHINE,
            "status": "FAILED",
            "startDate": NOW,
            "input": '{"bucket":"films","key":"a.mp4"}',
        },
        {"executionArn": ARN},
    )
    stubber.add_response("start_execution", {"executionArn": ARN + "-r", "startDate": NOW})
    with stubber:
        (done,) = replay(client, MACHINE, [REDRIVABLE], NOW)
    assert done.way is Way.NEW


def test_any_other_refusal_is_not_hidden(recorded: tuple[Any, Stubber]) -> None:
    client, stubber = recorded
    stubber.add_client_error("redrive_execution", "AccessDeniedException")
    with stubber, pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        list(replay(client, MACHINE, [REDRIVABLE], NOW))
