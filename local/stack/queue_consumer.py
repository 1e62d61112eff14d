"""SQS to Lambda: the event source mapping, with partial batch responses."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.events.models import EventPattern

from local.lambda_runtime.errors import InvocationRefused
from local.lambda_runtime.service import InvokeResult
from local.stack.plan import MappingSpec

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

_POLL_SECONDS = 2
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 10


class QueueConsumer:
    """Polls a queue and invokes a function with what it finds.

    Messages that the mapping's filters do not let through are deleted, as Lambda does. What the
    function did not take stays in the queue: it is delivered again after the
    visibility timeout, and goes to the dead-letter queue after `maxReceiveCount`.

    Args:
        mapping: queue, function, batch size, how many batches at once.
        queue_url: of the queue.
        queue_arn: what the records say.
        sqs: the queue service.
        invoke: (function name, payload) -> result.
        region: what the records say.
    """

    def __init__(
        self,
        mapping: MappingSpec,
        *,
        queue_url: str,
        queue_arn: str,
        sqs: "SQSClient",
        invoke: Callable[[str, bytes], InvokeResult],
        region: str,
    ) -> None:
        self._mapping = mapping
        self._queue_url = queue_url
        self._queue_arn = queue_arn
        self._sqs = sqs
        self._invoke = invoke
        self._region = region
        self._filters = [EventPattern.load(pattern) for pattern in mapping.filters]
        self._stopping = threading.Event()
        self._working = [threading.Lock() for _ in range(mapping.maximum_concurrency)]
        for working in self._working:
            threading.Thread(
                target=self._run, args=[working], name=mapping.queue_name, daemon=True
            ).start()

    def close(self) -> None:
        """Take no more messages; waits for batches in progress, not for polls."""
        self._stopping.set()
        for working in self._working:
            if working.acquire(timeout=_CLOSE_SECONDS):
                working.release()

    def _run(self, working: threading.Lock) -> None:
        while not self._stopping.is_set():
            try:
                received = self._receive()
                with working:
                    if not self._stopping.is_set():
                        self._handle(received)
            except (ClientError, BotoCoreError):
                if not self._stopping.is_set():
                    logger.exception("cannot poll %s", self._mapping.queue_name)
                    self._stopping.wait(_RETRY_SECONDS)

    def _receive(self) -> "list[MessageTypeDef]":
        response = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            # One poll gives at most ten messages; a larger batch would need a window.
            MaxNumberOfMessages=min(self._mapping.batch_size, 10),
            WaitTimeSeconds=_POLL_SECONDS,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return response.get("Messages", [])

    def _handle(self, received: "list[MessageTypeDef]") -> None:
        messages = [message for message in received if self._let_through(message)]
        if messages:
            self._process(messages)

    def _let_through(self, message: "MessageTypeDef") -> bool:
        if not self._filters or matches_any(self._filters, message["Body"]):
            return True
        self._delete(message)
        return False

    def _delete(self, message: "MessageTypeDef") -> None:
        self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _process(self, messages: "list[MessageTypeDef]") -> None:
        payload = json.dumps({"Records": [self._record(message) for message in messages]}).encode()
        try:
            result = self._invoke(self._mapping.function_name, payload)
        except InvocationRefused as refusal:
            logger.warning("%s: %s; the batch stays queued", self._mapping.function_name, refusal)
            return
        if result.function_error:
            logger.warning(
                "%s failed; the batch stays queued: %s",
                self._mapping.function_name,
                result.payload.decode("utf-8", "replace")[:2000],
            )
            return
        failed = self._failed(result.payload, [message["MessageId"] for message in messages])
        for message in messages:
            if message["MessageId"] in failed:
                logger.warning(
                    "%s did not take message %s", self._mapping.function_name, message["MessageId"]
                )
            else:
                self._delete(message)

    def _failed(self, payload: bytes, sent: list[str]) -> set[str]:
        if not self._mapping.reports_item_failures:
            return set()
        return failed_items(payload, sent)

    def _record(self, message: "MessageTypeDef") -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": dict(message.get("Attributes", {})),
            "messageAttributes": dict(message.get("MessageAttributes", {})),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._queue_arn,
            "awsRegion": self._region,
        }


def matches_any(filters: Sequence[EventPattern], body: str) -> bool:
    """Whether a message's body, parsed where it is JSON, passes one of the mapping's filters."""
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = body
    return any(pattern.matches_event({"body": parsed}) for pattern in filters)  # type: ignore[typeddict-item]


def failed_items(payload: bytes, sent: list[str]) -> set[str]:
    """Ids of the messages that a partial batch response gives back.

    As Lambda documents it: no or an empty list means that all were taken; a response that is
    not understood, or names an id that was not sent, means that none was.
    """
    try:
        response = json.loads(payload)
    except ValueError:
        return set(sent)
    if response is None or response == {}:
        return set()
    if not isinstance(response, dict) or not isinstance(
        failures := response.get("batchItemFailures", []) or [], list
    ):
        return set(sent)
    ids = {str(one.get("itemIdentifier")) for one in failures if isinstance(one, dict)}
    understood = len(ids) == len(failures) and ids <= set(sent)
    return ids if understood else set(sent)
