"""Writes a document and tells the rest of the world about it: table rows, event."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from screener.document import Document
from screener.errors import ScreenerError
from screener.publishing import Edition, Expected, Published, publish_document
from screener.storage import S3Location
from screener.video_rows import expected_document, write_rows

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client

EVENT_SOURCE = "screener"
EVENT_TYPE = "Screening Completed"


class EventRefused(ScreenerError):
    """EventBridge took the request but not the event."""


@dataclass(frozen=True)
class Channels:
    """Where documents and the news of them go."""

    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    events: "EventBridgeClient"
    table_name: str
    event_bus_name: str


def publish(
    channels: Channels, document: Document, edition: Edition, expected: Expected | None = None
) -> Published:
    """Write a document, then its rows, then its event; nothing when a newer one is there.

    In this order: whoever hears the event finds the row, and whoever finds the row finds the
    document. A retry after a failure in between writes all of them again, with equal content.

    Args:
        channels: where to.
        document: what to write.
        edition: of the document.
        expected: what lies in its place; without it the video's row says what should.

    Raises:
        DocumentConflict: other writers kept changing the document.
        EventRefused: EventBridge did not take the event.
        botocore.exceptions.ClientError: a service refuses.
    """
    if expected is None:
        expected = expected_document(channels.dynamodb, channels.table_name, edition)
    published = publish_document(channels.s3, document, edition, expected)
    if not published.superseded and write_rows(
        channels.dynamodb, channels.table_name, document, edition, published
    ):
        send_event(channels.events, channels.event_bus_name, document, edition, published.location)
    return published


def send_event(
    events: "EventBridgeClient",
    event_bus: str,
    document: Document,
    edition: Edition,
    location: S3Location,
) -> None:
    """Publish a "Screening Completed" event.

    Raises:
        EventRefused: EventBridge did not take it.
    """
    answer = events.put_events(
        Entries=[
            {
                "Source": EVENT_SOURCE,
                "DetailType": EVENT_TYPE,
                "EventBusName": event_bus,
                "Detail": json.dumps(event_detail(document, edition, location)),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise EventRefused(f"EventBridge refused the event: {answer['Entries']}")


def event_detail(document: Document, edition: Edition, location: S3Location) -> dict[str, Any]:
    """Detail of the event: what a subscriber needs to decide whether to read the document."""
    strongest = document.verdict.reasons[:5]
    return {
        "bucket": edition.bucket,
        "key": edition.key,
        "version_id": document.video.version_id,
        "video_id": edition.video_id,
        "document": location.uri,
        "status": document.status.value,
        "partial": document.partial,
        "decision": document.verdict.decision.value,
        "flagged": document.moderation.flagged if document.moderation else None,
        "categories": document.verdict.categories,
        "reasons": [{"code": reason.code, "detail": reason.brief} for reason in strongest],
        "execution_arn": document.pipeline.execution_arn,
    }
