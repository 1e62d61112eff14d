"""Taking a stack down so that nothing is left that costs money by surprise.

CloudFormation keeps buckets, table and key (their deletion policy says so): they hold people's
videos and the proof of decisions. This deletes the stack, says what is left and what it costs,
and deletes the stack's own data when told to. It never touches a media bucket's objects.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from local.operate.stacks import Clients
from screener.errors import ScreenerError
from screener.model import Message

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

KEY_DELETION_DAYS = 30
_COSTS = {
    "AWS::S3::Bucket": "USD 0.023 per GB and month",
    "AWS::DynamoDB::Table": "USD 0.25 per GB and month, and 0.20 for its backups",
    "AWS::KMS::Key": "USD 1 per month",
}


class TeardownFailed(ScreenerError):
    """The stack is still there; the message says why."""


class Leftover(Message):
    """A resource that deleting the stack does not delete."""

    logical_id: str
    kind: str
    name: str

    @property
    def cost(self) -> str:
        return _COSTS[self.kind]


def find_leftovers(cloudformation: Any, stack: str) -> list[Leftover]:
    """What the stack made and will keep; ask before deleting it, the list is gone afterwards.

    Raises:
        ClientError: there is no such stack, or CloudFormation refuses.
    """
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return [
        Leftover(
            logical_id=one["LogicalResourceId"],
            kind=one["ResourceType"],
            name=one["PhysicalResourceId"],
        )
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] in _COSTS and one.get("PhysicalResourceId")
    ]


def delete_stack(cloudformation: Any, stack: str) -> None:
    """Delete a stack with its nested stacks and wait for it.

    Raises:
        TeardownFailed: CloudFormation gave up; its reasons are in the message.
    """
    cloudformation.delete_stack(StackName=stack)
    waiter = cloudformation.get_waiter("stack_delete_complete")
    try:
        waiter.wait(StackName=stack)
    except WaiterError as cause:
        raise TeardownFailed(f"{stack} was not deleted: {cause}. Look at its events") from cause


def delete_data(client: Clients, leftovers: Sequence[Leftover], media_bucket: str) -> Iterator[str]:
    """Delete what is left, the media bucket excepted; says what it did.

    The key is scheduled, not deleted: for 30 days a mistake can be taken back.
    """
    for leftover in leftovers:
        match leftover.kind:
            case "AWS::S3::Bucket" if leftover.name == media_bucket:
                yield f"kept: s3://{leftover.name}, your videos. aws s3 rb --force deletes it"
            case "AWS::S3::Bucket":
                count = empty_bucket(client("s3"), leftover.name)
                client("s3").delete_bucket(Bucket=leftover.name)
                yield f"deleted: s3://{leftover.name} with {count} object versions"
            case "AWS::DynamoDB::Table":
                delete_table(client("dynamodb"), leftover.name)
                yield f"deleted: table {leftover.name}"
            case "AWS::KMS::Key":
                if any(one.name == media_bucket for one in leftovers):
                    yield f"kept: key {leftover.name}, which your videos are encrypted with"
                    continue
                client("kms").schedule_key_deletion(
                    KeyId=leftover.name, PendingWindowInDays=KEY_DELETION_DAYS
                )
                yield f"key {leftover.name} will be deleted in {KEY_DELETION_DAYS} days"


def empty_bucket(s3: "S3Client", bucket: str) -> int:
    """Delete every version of every object; returns how many.

    Raises:
        TeardownFailed: S3 would not delete some of them.
    """
    count = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not versions:
            continue
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={
                "Objects": [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions],
                "Quiet": True,
            },
        )
        if errors := answer.get("Errors"):
            raise TeardownFailed(f"{bucket}: {len(errors)} objects stay, first {errors[0]}")
        count += len(versions)
    return count


def delete_table(dynamodb: "DynamoDBClient", table: str) -> None:
    """Take the protection off and delete; a table that is gone already is fine."""
    try:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=table)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
