"""AWS clients, made once per process with bounded timeouts and retries."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 4},
    # Path style also works on the local stack, whose endpoint has no wildcard names.
    s3={"addressing_style": "path"},
)


@cache
def s3() -> "S3Client":
    return boto3.client("s3", config=_CONFIG)


@cache
def dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def events() -> "EventBridgeClient":
    return boto3.client("events", config=_CONFIG)


@cache
def stepfunctions() -> "SFNClient":
    return boto3.client("stepfunctions", config=_CONFIG)


@cache
def sqs() -> "SQSClient":
    # Only ever asked for a convenience, and perhaps from a network that does not lead to it.
    hurried = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
    return boto3.client("sqs", config=_CONFIG.merge(hurried))
