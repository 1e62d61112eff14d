"""Removes what is stored about a person, or about a video."""

from typing import TYPE_CHECKING, NamedTuple

from screener import storage
from screener.observations import Analyzer
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


class Forgotten(NamedTuple):
    objects: int
    rows: int


def forget_video(s3: "S3Client", work_bucket: str, video_id: str) -> int:
    """Delete a video's observations and extracted media, every version of them.

    Returns:
        How many objects (versions) were deleted.
    """
    return sum(
        _delete_all(s3, work_bucket, prefix)
        for prefix in (storage.observations_prefix(video_id), f"media/{video_id}/")
    )


def forget_person(
    s3: "S3Client", dynamodb: "DynamoDBClient", work_bucket: str, table: str, label: str
) -> Forgotten:
    """Delete the face observations of every video in which a person was found, and the rows
    that say so. The documents beside the videos keep the name: rejudge them without the person.
    """
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        IndexName="by-face-label",
        KeyConditionExpression="face_label = :label",
        ExpressionAttributeValues={":label": {"S": label}},
    )
    rows = [item for page in pages for item in page["Items"]]
    objects = 0
    for row in rows:
        prefix = f"{storage.observations_prefix(row['video_id']['S'])}{Analyzer.FACES.value}/"
        objects += _delete_all(s3, work_bucket, prefix)
        dynamodb.delete_item(TableName=table, Key={"video": row["video"]})
    return Forgotten(objects, len(rows))


def forget_older_versions(s3: "S3Client", location: S3Location) -> int:
    """Delete every version of an object but the current one: the index of known faces keeps its
    history, and a person's faces would live on in it.

    Returns:
        How many versions were deleted.
    """
    deleted = 0
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=location.bucket, Prefix=location.key
    )
    for page in pages:
        for item in page.get("Versions", []):
            if item["Key"] == location.key and not item["IsLatest"]:
                s3.delete_object(
                    Bucket=location.bucket, Key=item["Key"], VersionId=item["VersionId"]
                )
                deleted += 1
    return deleted


def _delete_all(s3: "S3Client", bucket: str, prefix: str) -> int:
    deleted = 0
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        for item in versions:
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
        deleted += len(page.get("Versions", []))
    return deleted
