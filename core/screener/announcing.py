"""Tells the rest of the world about a written document: table row, event.

Table items (key `video`):
    bucket/key               the video: decision, status, times; in index by-decision
    face:<digest>:bucket/key one per known person in it; in index by-face-label
    paces                    how fast the model servers were; see paces.py
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from screener import identity
from screener.document import Decision, Document
from screener.errors import ScreenerError
from screener.publishing import Edition, Published, publish_document
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client

EVENT_SOURCE = "screener"
EVENT_TYPE = "Screening Completed"
MAX_FACE_ROWS = 100
_MAX_REASON_LENGTH = 500


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


def publish(channels: Channels, document: Document, edition: Edition) -> Published:
    """Write a document, then its rows, then its event; nothing when a newer one is there.

    In this order: whoever hears the event finds the row, and whoever finds the row finds the
    document. A retry after a failure in between writes all of them again, with equal content.

    Raises:
        DocumentConflict: other writers kept changing the document.
        EventRefused: EventBridge did not take the event.
        botocore.exceptions.ClientError: a service refuses.
    """
    published = publish_document(channels.s3, document, edition)
    if not published.superseded and write_rows(
        channels.dynamodb, channels.table_name, document, edition, published.location
    ):
        send_event(channels.events, channels.event_bus_name, document, edition, published.location)
    return published


def write_rows(
    dynamodb: "DynamoDBClient",
    table: str,
    document: Document,
    edition: Edition,
    location: S3Location,
) -> bool:
    """Write the video's row and one per known person; remove those of people no longer found.

    Returns:
        Whether the rows are of this document; False when a newer run has written already.
    """
    video = f"{edition.bucket}/{edition.key}"
    matches = document.faces.known_matches[:MAX_FACE_ROWS] if document.faces else []
    labels = [match.label for match in matches]
    row = _video_row(document, edition, location) | {"face_labels": labels}
    try:
        before = dynamodb.put_item(
            TableName=table,
            Item=_item(row | {"video": video}),
            ConditionExpression=(
                "attribute_not_exists(#order) OR #order <= :order OR video_id = :same"
            ),
            ExpressionAttributeNames={"#order": "edition"},
            ExpressionAttributeValues={
                ":order": {"S": edition.order.encode()},
                ":same": {"S": edition.video_id},
            },
            ReturnValues="ALL_OLD",
        ).get("Attributes", {})
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    for match in matches:
        dynamodb.put_item(
            TableName=table,
            Item=_item(
                {
                    "video": _face_key(video, match.label),
                    "video_key": video,
                    "video_id": edition.video_id,
                    "face_label": match.label,
                    "processed_at": document.pipeline.processed_at,
                    "similarity": str(match.max_similarity),
                    "certainty": match.certainty.value,
                    "timestamp_ms": match.timestamp_ms,
                    "video_decision": document.verdict.decision.value,
                    "document": location.uri,
                }
            ),
        )
    for old in before.get("face_labels", {}).get("L", []):
        if old["S"] not in labels:
            dynamodb.delete_item(TableName=table, Key={"video": {"S": _face_key(video, old["S"])}})
    return True


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
        "categories": _categories(document),
        "reasons": [
            {"code": reason.code, "detail": reason.detail[:_MAX_REASON_LENGTH]}
            for reason in strongest
        ],
        "execution_arn": document.pipeline.execution_arn,
    }


def _video_row(document: Document, edition: Edition, location: S3Location) -> dict[str, Any]:
    reasons = document.verdict.reasons
    row: dict[str, Any] = {
        "bucket": edition.bucket,
        "key": edition.key,
        "video_id": edition.video_id,
        "version_id": document.video.version_id,
        "edition": edition.order.encode(),
        "document": location.uri,
        "status": document.status.value,
        "decision": document.verdict.decision.value,
        "processed_at": document.pipeline.processed_at,
        "execution_arn": document.pipeline.execution_arn,
        "software_version": document.pipeline.software_version,
        "policy": document.verdict.policy.name if document.verdict.policy else None,
        "policy_sha256": document.verdict.policy.sha256 if document.verdict.policy else None,
        "reason": reasons[0].detail[:_MAX_REASON_LENGTH] if reasons else None,
        "categories": _categories(document),
        "duration_ms": document.video.duration_ms,
        "cost_usd": str(document.cost.total_usd)
        if document.cost and document.cost.total_usd is not None
        else None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _categories(document: Document) -> list[str]:
    """Categories of the reasons that weigh, strongest first."""
    found = [
        reason.category
        for reason in document.verdict.reasons
        if reason.category and reason.decision is not Decision.APPROVE
    ]
    return list(dict.fromkeys(found))


def _face_key(video: str, label: str) -> str:
    # A bucket's name holds no colon, so this can never be another video's key.
    return f"face:{identity.digest_of(['face', label], 16)}:{video}"


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _attribute(value) for name, value in row.items()}


def _attribute(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case list():
            return {"L": [_attribute(item) for item in value]}
        case _:
            return {"S": str(value)}
