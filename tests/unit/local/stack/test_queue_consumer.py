"""SQS to function through a real queue: batches, partial failures, filters, dead letters."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.lambda_runtime.errors import TooManyRequests
from local.lambda_runtime.service import InvokeResult
from local.stack.plan import MappingSpec
from local.stack.queue_consumer import QueueConsumer, failed_items
from tests.unit.local.stack.conftest import Running

Invoke = Callable[[str, bytes], InvokeResult]


class Intake:
    """A queue with a dead-letter queue, and a consumer that hands its messages to `answer`."""

    def __init__(self, running: Running, name: str) -> None:
        self.sqs = running.services.sqs
        self.dead = self.sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
        policy = {"deadLetterTargetArn": f"{self.arn}-dead", "maxReceiveCount": 2}
        self.url = self.sqs.create_queue(
            QueueName=name,
            Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(policy)},
        )["QueueUrl"]
        self.name = name
        self.events: list[dict[str, Any]] = []
        self.consumers: list[QueueConsumer] = []

    def consume(self, answer: Callable[[dict[str, Any]], InvokeResult], *filters: str) -> None:
        def invoke(name: str, payload: bytes) -> InvokeResult:
            assert name == "function"
            event = json.loads(payload)
            self.events.append(event)
            return answer(event)

        self.consumers.append(
            QueueConsumer(
                MappingSpec("function", self.name, 10, 0, 2, True, filters),
                queue_url=self.url,
                queue_arn=self.arn,
                sqs=self.sqs,
                invoke=invoke,
                region="us-east-1",
            )
        )

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def bodies(self) -> list[str]:
        return [record["body"] for event in self.events for record in event["Records"]]

    def count(self, url: str) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


@pytest.fixture
def intake(running: Running, request: pytest.FixtureRequest) -> Iterator[Intake]:
    intake = Intake(running, f"queue-{abs(hash(request.node.name)) % 10**9}")
    yield intake
    for consumer in intake.consumers:
        consumer.close()


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def taken(event: dict[str, Any]) -> InvokeResult:
    return InvokeResult(b'{"batchItemFailures": []}', None)


def test_records_look_as_lambda_makes_them_and_are_gone_when_taken(intake: Intake) -> None:
    intake.consume(taken)
    intake.send('é + "quoted"')
    eventually(lambda: intake.count(intake.url) == 0 and bool(intake.events))
    (record,) = intake.events[0]["Records"]
    assert record["body"] == 'é + "quoted"'
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == intake.arn
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageId"]
    assert record["receiptHandle"]
    assert record["md5OfBody"]


def test_a_message_given_back_comes_again_and_dies_after_its_last_receive(intake: Intake) -> None:
    def refuse_bad(event: dict[str, Any]) -> InvokeResult:
        failures = [
            {"itemIdentifier": record["messageId"]}
            for record in event["Records"]
            if record["body"] == "bad"
        ]
        return InvokeResult(json.dumps({"batchItemFailures": failures}).encode(), None)

    intake.consume(refuse_bad)
    intake.send("good", "bad", "fine")
    eventually(lambda: intake.count(intake.dead) == 1)
    assert sorted(intake.bodies()) == ["bad", "bad", "fine", "good"]
    assert intake.count(intake.url) == 0


def test_a_function_that_fails_or_is_throttled_leaves_the_batch_queued(intake: Intake) -> None:
    answers = iter([InvokeResult(b'{"errorType": "Boom"}', "Unhandled"), None])

    def answer(event: dict[str, Any]) -> InvokeResult:
        result = next(answers, None)
        if result is None:
            raise TooManyRequests("Rate Exceeded")
        return result

    intake.consume(answer)
    intake.send("x")
    eventually(lambda: intake.count(intake.dead) == 1)
    assert intake.bodies() == ["x", "x"]


def test_what_no_filter_lets_through_is_deleted_unseen(intake: Intake) -> None:
    intake.consume(taken, '{"body": {"key": [{"prefix": "uploads/"}]}}')
    intake.send('{"key": "elsewhere/a"}', "not json", '{"key": "uploads/b"}')
    eventually(lambda: intake.count(intake.url) == 0 and bool(intake.events))
    assert intake.bodies() == ['{"key": "uploads/b"}']


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "b"}]}', {"b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "z"}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{}]}', {"a", "b"}),
        (b'{"batchItemFailures": ["a"]}', {"a", "b"}),
        (b'{"batchItemFailures": "a"}', {"a", "b"}),
        (b'["a"]', {"a", "b"}),
        (b"\xff", {"a", "b"}),
    ],
)
def test_an_answer_that_is_not_understood_gives_the_whole_batch_back(
    payload: bytes, failed: set[str]
) -> None:
    assert failed_items(payload, ["a", "b"]) == failed
