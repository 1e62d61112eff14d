from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from functions.start_screening.waiting import bring_back_soon, return_seconds

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/intake"


@pytest.fixture
def sqs():
    return boto3.Session("testing", "testing", region_name="us-east-1").client("sqs")


def record(waited_seconds: float, handle: str = "h") -> SimpleNamespace:
    sent = round((NOW.timestamp() - waited_seconds) * 1_000)
    attributes = SimpleNamespace(sent_timestamp=str(sent))
    return SimpleNamespace(receipt_handle=handle, attributes=attributes)


@pytest.mark.parametrize(
    ("waited", "seconds"), [(-60, 5), (0, 5), (49, 5), (120, 12), (600, 60), (10_000, 90)]
)
def test_a_video_is_tried_again_within_a_tenth_of_what_it_has_waited(waited, seconds):
    assert return_seconds(waited) == seconds


def test_each_message_of_a_batch_gets_its_own_time(sqs):
    with Stubber(sqs) as answering:
        entries = [
            {"Id": "0", "ReceiptHandle": "new", "VisibilityTimeout": 5},
            {"Id": "1", "ReceiptHandle": "old", "VisibilityTimeout": 60},
        ]
        answering.add_response(
            "change_message_visibility_batch",
            {
                "Successful": [{"Id": "0"}],
                "Failed": [{"Id": "1", "SenderFault": True, "Code": "x"}],
            },
            {"QueueUrl": QUEUE, "Entries": entries},
        )
        bring_back_soon(sqs, QUEUE, [record(1, "new"), record(600, "old")], NOW)
        answering.assert_no_pending_responses()


def test_nothing_is_asked_when_nobody_waits(sqs):
    with Stubber(sqs):
        bring_back_soon(sqs, QUEUE, [], NOW)


def test_a_queue_that_refuses_fails_nothing(sqs, caplog):
    with Stubber(sqs) as refusing:
        refusing.add_client_error("change_message_visibility_batch", "AccessDenied")
        bring_back_soon(sqs, QUEUE, [record(1)], NOW)
    assert "queue's timeout" in caplog.text


def test_a_network_that_does_not_lead_to_the_queue_fails_nothing(caplog):
    def unreachable(**_):
        raise ConnectTimeoutError(endpoint_url=QUEUE)

    nowhere = SimpleNamespace(change_message_visibility_batch=unreachable)
    bring_back_soon(nowhere, QUEUE, [record(1)], NOW)
    assert "queue's timeout" in caplog.text
