"""Messages of videos that wait for a place come back soon, not after the queue's timeout."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

SOONEST_SECONDS = 5
LATEST_SECONDS = 90
"""The queue's `maxReceiveCount` times this is how long a video may wait: a day."""
SHARE = 0.1


def return_seconds(waited_seconds: float) -> int:
    """Whole seconds until a video that has waited so long is tried again."""
    return int(min(LATEST_SECONDS, max(SOONEST_SECONDS, SHARE * waited_seconds)))


def bring_back_soon(
    sqs: "SQSClient", queue_url: str, records: Sequence[Any], now: datetime
) -> None:
    """Make the messages of one batch visible again after `return_seconds`.

    Without it they come back when the queue's visibility timeout is over, so a call that fails,
    or a network from which SQS cannot be reached, loses time and nothing else.
    """
    if not records:
        return
    try:
        answer = sqs.change_message_visibility_batch(
            QueueUrl=queue_url,
            Entries=[
                {
                    "Id": str(place),
                    "ReceiptHandle": record.receipt_handle,
                    "VisibilityTimeout": return_seconds(_waited_seconds(record, now)),
                }
                for place, record in enumerate(records)
            ],
        )
    except (ClientError, BotoCoreError) as error:
        logger.warning("messages come back with the queue's timeout: %s", error)
        return
    for failed in answer.get("Failed", []):
        logger.warning("a message comes back with the queue's timeout: %s", failed)


def _waited_seconds(record: Any, now: datetime) -> float:
    return now.timestamp() - int(record.attributes.sent_timestamp) / 1_000
