"""Events go to the queues of the rules that they match, and to no others."""

import json

from local.stack.event_router import EventRouter
from local.stack.plan import RuleSpec
from tests.unit.local.stack.conftest import Running

PATTERN = {
    "source": ["aws.s3"],
    "detail": {
        "bucket": {"name": ["videos"]},
        "object": {"key": [{"suffix": {"equals-ignore-case": ".mp4"}}]},
    },
}


def event(key: str, bucket: str = "videos") -> dict[str, object]:
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key}},
    }


def test_matching_events_arrive_whole_and_others_do_not(running: Running) -> None:
    sqs = running.services.sqs
    url = sqs.create_queue(QueueName="routed")["QueueUrl"]
    router = EventRouter([RuleSpec("r", json.dumps(PATTERN), ("routed",))], {"routed": url}, sqs)
    router.deliver(event("a.MP4"))
    router.deliver(event("ü.mp4"))
    router.deliver(event("a.mp4.moderation.json"))
    router.deliver(event("a.mp4", bucket="others"))
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(one["Body"]) for one in messages] == [event("a.MP4"), event("ü.mp4")]
