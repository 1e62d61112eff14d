"""Lists an archive's documents by the table, into one object that the Map reads."""

import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from screener import storage
from screener.archive_messages import BATCH_SIZE, Batch, Listing, ListingTask, Manifest, Rejudging
from screener.errors import InvalidPolicy
from screener.policy.loading import DEFAULT_PRESET, parse_policy, preset_bytes
from screener.policy.stored import read_policy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


def list_videos(
    task: ListingTask,
    s3: "S3Client",
    dynamodb: "DynamoDBClient",
    work_bucket: str,
    table_name: str,
) -> Listing:
    """Fix the policy and the list of documents of one execution.

    A retry finds the objects of the first try and replaces them.

    Raises:
        InvalidPolicy: there is none at the key, or it cannot be used.
        botocore.exceptions.ClientError: a service refuses.
    """
    prefix = storage.rejudging_prefix(task.execution_name)
    s3.put_object(
        Bucket=work_bucket,
        Key=storage.rejudging_policy_key(prefix),
        Body=_policy(s3, work_bucket, task.request.policy_key),
    )
    manifest = Manifest(bucket=work_bucket, key=f"{prefix}videos.json")
    with tempfile.TemporaryFile() as file:
        listed = _write(file, documents(dynamodb, table_name, task.request.prefix))
        file.seek(0)
        s3.put_object(
            Bucket=work_bucket, Key=manifest.key, Body=file, ContentType="application/json"
        )
    return Listing(
        manifest=manifest,
        rejudging=Rejudging(prefix=prefix, dry_run=task.request.dry_run),
        listed=listed,
    )


def documents(dynamodb: "DynamoDBClient", table_name: str, prefix: str) -> Iterator[str]:
    """s3:// URIs of the documents of all videos whose key begins with `prefix`."""
    request: dict[str, Any] = {
        "TableName": table_name,
        # "document" and "key" are reserved words. Rows of people in videos have no key.
        "ProjectionExpression": "#document",
        "FilterExpression": "attribute_exists(#key)",
        "ExpressionAttributeNames": {"#document": "document", "#key": "key"},
    }
    if prefix:
        request["FilterExpression"] = "begins_with(#key, :prefix)"
        request["ExpressionAttributeValues"] = {":prefix": {"S": prefix}}
    for page in dynamodb.get_paginator("scan").paginate(**request):
        for row in page["Items"]:
            yield row["document"]["S"]


def _policy(s3: "S3Client", work_bucket: str, key: str) -> bytes:
    uri = f"s3://{work_bucket}/{key}"
    data = read_policy(s3, work_bucket, key)
    if data is None:
        if key != storage.POLICY_KEY:
            raise InvalidPolicy(f"{uri}: there is no such policy")
        return preset_bytes(DEFAULT_PRESET)
    parse_policy(data, uri)
    return data


def _write(file: IO[bytes], addresses: Iterator[str]) -> int:
    """A JSON list of batches, one after the other: an archive's list is not held in memory."""
    count = 0
    file.write(b"[")
    while batch := list(islice(addresses, BATCH_SIZE)):
        file.write(b",\n" if count else b"\n")
        file.write(Batch(documents=batch).model_dump_json().encode())
        count += len(batch)
    file.write(b"\n]\n")
    return count
