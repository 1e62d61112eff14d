"""Rows of the videos table: what was published about a video, and who was known in it.

Items (key `video`):
    bucket/key               the video: decision, status, times; in index by-decision
    face:<digest>:bucket/key one per known person in it; in index by-face-label
    paces                    how fast the model servers were; see paces.py
"""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from screener import identity, storage
from screener.publishing import Edition, Expected, Order, Published
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from screener.document import Document

MAX_FACE_ROWS = 100


def expected_document(dynamodb: "DynamoDBClient", table: str, edition: Edition) -> Expected | None:
    """What should lie where the document of an edition goes, going by the table.

    Returns:
        None when that has to be looked up: a newer document was published, or the row does not say.

    Raises:
        botocore.exceptions.ClientError: DynamoDB refuses.
    """
    row = _read(dynamodb, table, edition.bucket, edition.key)
    if not row:
        return Expected(storage.document_key(edition.key), None)
    if edition.order.is_older_than(Order.decode(row.get("edition", ""))):
        return None
    etag = row.get("document_etag")
    return Expected(S3Location.parse(row["document"]).key, etag) if etag else None


def is_published(
    dynamodb: "DynamoDBClient", table: str, bucket: str, key: str, video_id: str
) -> bool:
    """Whether the last document of this key is about this version of the video.

    Raises:
        botocore.exceptions.ClientError: DynamoDB refuses.
    """
    return _read(dynamodb, table, bucket, key).get("video_id") == video_id


def write_rows(
    dynamodb: "DynamoDBClient",
    table: str,
    document: "Document",
    edition: Edition,
    published: Published,
) -> bool:
    """Write the video's row and one per known person; remove those of people no longer found.

    Returns:
        Whether the rows are of this document; False when a newer run has written already.
    """
    video = _row_key(edition.bucket, edition.key)
    matches = document.faces.known_matches[:MAX_FACE_ROWS] if document.faces else []
    labels = [match.label for match in matches]
    row = _video_row(document, edition, published) | {"face_labels": labels}
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
                    "document": published.location.uri,
                }
            ),
        )
    for old in before.get("face_labels", {}).get("L", []):
        if old["S"] not in labels:
            dynamodb.delete_item(TableName=table, Key={"video": {"S": _face_key(video, old["S"])}})
    return True


def _video_row(document: "Document", edition: Edition, published: Published) -> dict[str, Any]:
    reasons = document.verdict.reasons
    row: dict[str, Any] = {
        "bucket": edition.bucket,
        "key": edition.key,
        "video_id": edition.video_id,
        "version_id": document.video.version_id,
        "edition": edition.order.encode(),
        "document": published.location.uri,
        "document_etag": published.etag,
        "status": document.status.value,
        "decision": document.verdict.decision.value,
        "processed_at": document.pipeline.processed_at,
        "execution_arn": document.pipeline.execution_arn,
        "software_version": document.pipeline.software_version,
        "policy": document.verdict.policy.name if document.verdict.policy else None,
        "policy_sha256": document.verdict.policy.sha256 if document.verdict.policy else None,
        "reason": reasons[0].brief if reasons else None,
        "categories": document.verdict.categories,
        "duration_ms": document.video.duration_ms,
        "cost_usd": str(document.cost.total_usd)
        if document.cost and document.cost.total_usd is not None
        else None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _read(dynamodb: "DynamoDBClient", table: str, bucket: str, key: str) -> dict[str, str]:
    """The texts of a video's row that other runs go by; nothing where there is no row."""
    item = dynamodb.get_item(
        TableName=table,
        Key={"video": {"S": _row_key(bucket, key)}},
        # "document" is a reserved word.
        ProjectionExpression="video_id, edition, #document, document_etag",
        ExpressionAttributeNames={"#document": "document"},
    ).get("Item", {})
    return {name: value["S"] for name, value in item.items()}


def _row_key(bucket: str, key: str) -> str:
    return f"{bucket}/{key}"


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
