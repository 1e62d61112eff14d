"""EventBridge's part of the intake: events that match a rule go to the rule's queues."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from moto.events.models import EventPattern

from local.stack.plan import RuleSpec

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class EventRouter:
    """Routes events by the template's rules.

    moto evaluates the patterns; its own delivery is not used because it takes no events from
    outside.

    Args:
        rules: patterns and queues.
        queue_urls: queue name -> URL.
        sqs: delivers.
    """

    def __init__(
        self, rules: Iterable[RuleSpec], queue_urls: Mapping[str, str], sqs: "SQSClient"
    ) -> None:
        self._rules = [(EventPattern.load(rule.pattern), rule.queue_names) for rule in rules]
        self._queue_urls = queue_urls
        self._sqs = sqs

    def deliver(self, event: dict[str, Any]) -> None:
        """Send an event to every queue of every rule that it matches."""
        for pattern, queue_names in self._rules:
            if pattern.matches_event(event):  # type: ignore[arg-type]
                for name in queue_names:
                    self._sqs.send_message(
                        QueueUrl=self._queue_urls[name], MessageBody=json.dumps(event)
                    )

    def matches(self, event: dict[str, Any]) -> bool:
        """Whether any rule would deliver this event."""
        return any(pattern.matches_event(event) for pattern, queues in self._rules if queues)  # type: ignore[arg-type]
