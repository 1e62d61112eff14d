"""Buckets, table and event bus on moto, as the template declares them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto import mock_aws

from screener.announcing import Channels

MEDIA_BUCKET = "media-bucket"
WORK_BUCKET = "work-bucket"
TABLE = "videos"
BUS = "default"
# One for all tests: a session reads megabytes of service descriptions.
_SESSION = boto3.Session("testing", "testing", region_name="us-east-1")


def make_videos_table(dynamodb: Any) -> None:
    """The table of videos, with its indexes."""
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"}
            for name in ("video", "decision", "face_label", "processed_at")
        ],
        KeySchema=[{"AttributeName": "video", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": name, "KeyType": "HASH"},
                    {"AttributeName": "processed_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, name in (("by-decision", "decision"), ("by-face-label", "face_label"))
        ],
    )


class StandIn:
    """Clients of a fresh account with what Screener needs in it."""

    def __init__(self) -> None:
        self.s3 = _SESSION.client("s3")
        self.dynamodb = _SESSION.client("dynamodb")
        self.events = _SESSION.client("events")
        self._sqs = _SESSION.client("sqs")
        for bucket in (MEDIA_BUCKET, WORK_BUCKET):
            self.s3.create_bucket(Bucket=bucket)
        make_videos_table(self.dynamodb)
        self._queue = self._sqs.create_queue(QueueName="heard")["QueueUrl"]
        self.events.put_rule(Name="heard", EventPattern=json.dumps({"source": ["screener"]}))
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        self.events.put_targets(
            Rule="heard", Targets=[{"Id": "1", "Arn": arn["Attributes"]["QueueArn"]}]
        )

    def asked_of(self, bucket: str) -> list[str]:
        """Names of the requests that `s3` makes to a bucket from now on."""
        names: list[str] = []

        def note(model: Any, params: dict[str, Any], **_: Any) -> None:
            if params["Bucket"] == bucket:
                names.append(model.name)

        self.s3.meta.events.register("provide-client-params.s3", note)
        return names

    @property
    def channels(self) -> Channels:
        return Channels(self.s3, self.dynamodb, self.events, TABLE, BUS)

    def document(self, key: str) -> dict:
        return json.loads(self.s3.get_object(Bucket=MEDIA_BUCKET, Key=key)["Body"].read())

    def row(self, video: str) -> dict | None:
        answer = self.dynamodb.get_item(TableName=TABLE, Key={"video": {"S": video}})
        return answer.get("Item")

    def index(self, name: str, attribute: str, value: str) -> list[dict]:
        return self.dynamodb.query(
            TableName=TABLE,
            IndexName=name,
            KeyConditionExpression="#name = :value",
            ExpressionAttributeNames={"#name": attribute},
            ExpressionAttributeValues={":value": {"S": value}},
        )["Items"]

    def heard(self) -> list[dict]:
        """Events so far."""
        answer = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@contextmanager
def stand_in() -> Iterator[StandIn]:
    with mock_aws():
        yield StandIn()
