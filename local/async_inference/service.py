"""The Async Inference service of the local stack.

As SageMaker documents it: a request is accepted at once and queued per endpoint; an instance
that picks it up reads the input from S3 then, sends it to its model server, and leaves exactly
one object, the output or the failure; requests expire in the queue; instances come with the
backlog and go when they have been idle, down to zero.

Otherwise than on AWS:
- scaling looks at the queue itself, not at alarms that look at it once a minute;
- when three starts in a row fail, what is queued fails with the reason, where AWS would let it
  wait for its time to live; each new request is then worth one more attempt;
- an instance whose request timed out is replaced, because what it still computes is in the way
  of others on a laptop; AWS keeps it as long as it answers /ping;
- closing the service fails what was accepted but not finished.
"""

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.account import ACCOUNT_ID
from local.async_inference.clients import local_client
from local.async_inference.endpoint import Endpoint
from local.async_inference.errors import EndpointNotFound, RequestRefused, ValidationError
from local.async_inference.instance import Ports
from local.async_inference.metrics import NAMESPACE, EndpointMetrics, to_cloudwatch
from local.async_inference.request import FAILURE_LOCATION, OUTPUT_LOCATION, parse_request
from local.async_inference.results import ResultStore
from local.async_inference.spec import EndpointSpec
from local.processes.keeper import ProcessKeeper

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

__all__ = ["AsyncInferenceService", "EndpointSpec", "Response"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Response:
    """What the HTTP front sends back as it is."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AsyncInferenceService:
    """Runs endpoints.

    Args:
        endpoints: what is deployed.
        endpoint_url: where S3, SNS and CloudWatch are.
        region: of the ARNs and clients.
        log_dir: gets one `<endpoint>.log` each, appended to.
        metrics_interval_seconds: time between two pushes to CloudWatch; AWS's is a minute.

    Raises:
        ValueError: two endpoints have one name, or an output URI is not one.
    """

    def __init__(
        self,
        endpoints: Iterable[EndpointSpec],
        *,
        endpoint_url: str,
        region: str,
        log_dir: Path,
        metrics_interval_seconds: float = 60,
    ) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self._region = region
        self._created = time.time()
        specs = list(endpoints)
        _check(specs)
        self._keeper = ProcessKeeper()
        ports = Ports()
        self._endpoints = {
            spec.name: Endpoint(
                spec,
                keeper=self._keeper,
                ports=ports,
                results=ResultStore(
                    spec.name,
                    endpoint_url=endpoint_url,
                    region=region,
                    success_topic_arn=spec.success_topic_arn,
                    error_topic_arn=spec.error_topic_arn,
                ),
                log=log_dir / f"{spec.name}.log",
            )
            for spec in specs
        }
        self._cloudwatch: CloudWatchClient = local_client(
            "cloudwatch", endpoint_url=endpoint_url, region=region
        )
        self._closing = threading.Event()
        self._reporter = threading.Thread(
            target=self._report_metrics,
            args=[metrics_interval_seconds],
            name="async-inference-metrics",
            daemon=True,
        )
        self._reporter.start()

    def invoke(self, endpoint_name: str, headers: Mapping[str, str]) -> Response:
        """InvokeEndpointAsync: accept or refuse, at once."""
        try:
            endpoint = self._endpoints.get(endpoint_name)
            if endpoint is None:
                raise ValidationError(
                    f"Endpoint {endpoint_name} of account {ACCOUNT_ID} not found."
                )
            request = parse_request(headers, endpoint.spec.output_uri, endpoint.spec.failure_uri)
            endpoint.submit(request)
        except RequestRefused as refusal:
            return Response(
                refusal.status,
                {"Content-Type": "application/json", "x-amzn-errortype": refusal.code},
                json.dumps({"__type": refusal.code, "Message": str(refusal)}).encode(),
            )
        return Response(
            202,
            {
                "Content-Type": "application/json",
                OUTPUT_LOCATION: request.output_location.uri,
                FAILURE_LOCATION: request.failure_location.uri,
            },
            json.dumps({"InferenceId": request.inference_id}).encode(),
        )

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]:
        """DescribeEndpoint's answer; times are Unix seconds, as in the JSON protocol.

        Raises:
            EndpointNotFound: no such endpoint.
        """
        arn = f"arn:aws:sagemaker:{self._region}:{ACCOUNT_ID}:endpoint/{endpoint_name}"
        endpoint = self._endpoints.get(endpoint_name)
        if endpoint is None:
            raise EndpointNotFound(f'Could not find endpoint "{arn}".')
        current, desired = endpoint.current_instances, endpoint.desired_instances
        return {
            "EndpointName": endpoint_name,
            "EndpointArn": arn,
            "EndpointConfigName": endpoint_name,
            "ProductionVariants": [
                {
                    "VariantName": "AllTraffic",
                    "CurrentWeight": 1.0,
                    "DesiredWeight": 1.0,
                    "CurrentInstanceCount": current,
                    "DesiredInstanceCount": desired,
                }
            ],
            "EndpointStatus": "InService" if current == desired else "Updating",
            "CreationTime": self._created,
            "LastModifiedTime": self._created,
        }

    def metrics(self) -> dict[str, EndpointMetrics]:
        """Endpoint name -> how it stands now."""
        return {name: endpoint.metrics() for name, endpoint in self._endpoints.items()}

    def close(self) -> None:
        """End every model server; what was accepted and is not finished fails."""
        self._closing.set()
        threads = [threading.Thread(target=endpoint.close) for endpoint in self._endpoints.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._reporter.join()
        self._keeper.close()

    def _report_metrics(self, interval_seconds: float) -> None:
        before: dict[str, EndpointMetrics] = {}
        while not self._closing.wait(interval_seconds):
            now = self.metrics()
            for name, metrics in now.items():
                data = list(to_cloudwatch(name, metrics, before.get(name)))
                try:
                    self._cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
                except (ClientError, BotoCoreError):
                    # The next period tries again; a missed point harms nothing.
                    logger.warning("metrics of %s not taken", name, exc_info=True)
            before = now


def _check(specs: list[EndpointSpec]) -> None:
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise ValueError(f"endpoint names are not unique: {names}")
    for spec in specs:
        # Refused now, not at the first request.
        parse_request(
            {"X-Amzn-SageMaker-InputLocation": "s3://bucket/key"},
            spec.output_uri,
            spec.failure_uri,
        )
