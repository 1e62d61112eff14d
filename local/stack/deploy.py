"""Creates the plan's resources through the services' own APIs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from local.account import ACCOUNT_ID
from local.stack.naming import REGION
from local.stack.plan import StackPlan

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_ROLE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:role/screener-local"


class Services:
    """Clients of the local stack, made when they are first needed.

    Args:
        endpoint_url: the gateway.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._session = boto3.Session(
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - any will do
            region_name=REGION,
        )
        self._clients: dict[str, Any] = {}

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(  # type: ignore[call-overload]
                service,
                endpoint_url=self._endpoint_url,
                config=Config(
                    s3={"addressing_style": "path"},
                    proxies={},
                    max_pool_connections=20,
                    retries={"mode": "standard", "total_max_attempts": 2},
                ),
            )
        return self._clients[service]

    @property
    def s3(self) -> "S3Client":
        return self._client("s3")  # type: ignore[no-any-return]

    @property
    def sqs(self) -> "SQSClient":
        return self._client("sqs")  # type: ignore[no-any-return]

    @property
    def stepfunctions(self) -> "SFNClient":
        return self._client("stepfunctions")  # type: ignore[no-any-return]

    @property
    def sns(self) -> "SNSClient":
        return self._client("sns")  # type: ignore[no-any-return]

    @property
    def events(self) -> "EventBridgeClient":
        return self._client("events")  # type: ignore[no-any-return]

    def dynamodb_create_table(self, request: Mapping[str, Any]) -> None:
        self._client("dynamodb").create_table(**request)


@dataclass(frozen=True)
class Deployment:
    """What exists after `deploy`."""

    queue_urls: Mapping[str, str]
    """Queue name -> URL at the gateway."""
    state_machine_arns: Mapping[str, str]
    topic_arns: Mapping[str, str]
    """Logical id -> ARN."""


def deploy(plan: StackPlan, services: Services) -> Deployment:
    """Create everything but the functions and endpoints, which are services of our own.

    Raises:
        ClientError: a service refuses a property; the template is wrong there.
    """
    for bucket in plan.buckets.values():
        services.s3.create_bucket(Bucket=bucket.name)
        if bucket.versioned:
            services.s3.put_bucket_versioning(
                Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
            )
    queue_urls = {}
    # A queue's redrive policy names its dead-letter queue, which must exist by then.
    for queue in sorted(
        plan.queues.values(), key=lambda queue: "RedrivePolicy" in queue.attributes
    ):
        answer = services.sqs.create_queue(QueueName=queue.name, Attributes=queue.attributes)  # type: ignore[arg-type]
        queue_urls[queue.name] = answer["QueueUrl"]
    for table in plan.tables.values():
        services.dynamodb_create_table(table.request)
    topic_arns = {
        logical_id: services.sns.create_topic(Name=name)["TopicArn"]
        for logical_id, name in plan.topics.items()
    }
    for bus in plan.event_buses.values():
        services.events.create_event_bus(Name=bus)
    state_machine_arns = {
        logical_id: services.stepfunctions.create_state_machine(
            name=machine.name, definition=machine.definition, roleArn=_ROLE_ARN
        )["stateMachineArn"]
        for logical_id, machine in plan.state_machines.items()
    }
    return Deployment(queue_urls, state_machine_arns, topic_arns)
