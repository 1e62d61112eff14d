"""The AWS side of a request: its input, its output or failure object, its notification."""

import json
import logging
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from local.async_inference.clients import local_client
from local.async_inference.errors import InputUnavailable, OutputRefused, RequestFailed
from local.async_inference.request import AsyncRequest
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

logger = logging.getLogger(__name__)

MAX_INPUT_BYTES = 1 << 30
"""Async Inference takes inputs of up to 1 GB."""
_BLOCK_BYTES = 1 << 20
_READ_ATTEMPTS = 3


class ResultStore:
    """Reads inputs and reports results, for one endpoint.

    Args:
        endpoint_url: the stack's gateway; S3 and SNS are reached through it.
    """

    def __init__(
        self,
        endpoint_name: str,
        *,
        endpoint_url: str,
        region: str,
        success_topic_arn: str | None = None,
        error_topic_arn: str | None = None,
    ) -> None:
        self._endpoint_name = endpoint_name
        self._region = region
        self._success_topic_arn = success_topic_arn
        self._error_topic_arn = error_topic_arn
        self._s3: S3Client = local_client("s3", endpoint_url=endpoint_url, region=region)
        self._sns: SNSClient = local_client("sns", endpoint_url=endpoint_url, region=region)

    def read_input(self, request: AsyncRequest, target: BinaryIO) -> str | None:
        """Copy the input to `target`.

        Returns:
            The content type to send: the request's own, else the object's.

        Raises:
            InputUnavailable: it is not there, may not be read, is too large, or is cut off.
        """
        location = request.input_location
        attempt = 1
        while True:
            try:
                object_type = self._copy_object(location, target)
            except (ClientError, BotoCoreError) as cause:
                # The client tries requests again by itself, but not a body that was cut off.
                if isinstance(cause, ClientError) or attempt == _READ_ATTEMPTS:
                    raise InputUnavailable(f"Cannot read input {location.uri}: {cause}") from cause
                attempt += 1
            else:
                return request.content_type or object_type

    def _copy_object(self, location: S3Location, target: BinaryIO) -> str | None:
        target.seek(0)
        target.truncate()
        answer = self._s3.get_object(Bucket=location.bucket, Key=location.key)
        # `with answer["Body"]` gives the stream below, whose errors are not botocore's.
        with closing(answer["Body"]) as body:
            size = answer["ContentLength"]
            if size > MAX_INPUT_BYTES:
                raise InputUnavailable(
                    f"Input {location.uri} has {size} bytes; at most {MAX_INPUT_BYTES} are allowed"
                )
            for block in body.iter_chunks(_BLOCK_BYTES):
                target.write(block)
        return answer.get("ContentType")

    def write_output(self, request: AsyncRequest, body: BinaryIO, content_type: str | None) -> None:
        """Store the result and announce it.

        Raises:
            OutputRefused: S3 did not take it.
        """
        location = request.output_location
        extra = {"ContentType": content_type} if content_type else {}
        try:
            self._s3.upload_fileobj(body, location.bucket, location.key, ExtraArgs=extra)
        except (ClientError, BotoCoreError) as cause:
            raise OutputRefused(f"Cannot write output {location.uri}: {cause}") from cause
        response = {"contentType": content_type, "outputLocation": location.uri}
        self._announce(
            self._success_topic_arn,
            request,
            {"invocationStatus": "Completed", "responseParameters": response},
        )

    def write_failure(self, request: AsyncRequest, failure: RequestFailed) -> bool:
        """Store the failure and announce it; False when S3 does not take that either."""
        location = request.failure_location
        stored = True
        try:
            self._s3.put_object(
                Bucket=location.bucket,
                Key=location.key,
                Body=str(failure).encode("utf-8", "replace"),
                ContentType="text/plain; charset=utf-8",
            )
        except (ClientError, BotoCoreError):
            # As on AWS, the request then ends without a trace in S3: only its caller's own
            # deadline tells. The log is the last place to say it.
            logger.exception("failure of %s could not be written: %s", location.uri, failure)
            stored = False
        self._announce(
            self._error_topic_arn,
            request,
            {"invocationStatus": "Failed", "failureReason": f"ClientError: {failure}"},
        )
        return stored

    def _announce(
        self, topic_arn: str | None, request: AsyncRequest, outcome: dict[str, object]
    ) -> None:
        if not topic_arn:
            return
        parameters = {
            "accept": request.accept,
            "contentType": request.content_type,
            "customAttributes": request.custom_attributes,
            "endpointName": self._endpoint_name,
            "inputLocation": request.input_location.uri,
        }
        message = {
            "awsRegion": self._region,
            "eventTime": _timestamp(datetime.now(UTC)),
            "receivedTime": _timestamp(request.received_at),
            **outcome,
            "requestParameters": {name: value for name, value in parameters.items() if value},
            "inferenceId": request.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        try:
            self._sns.publish(TopicArn=topic_arn, Message=json.dumps(message))
        except (ClientError, BotoCoreError):
            # The object is written, and it is what counts: a notification is never retried.
            logger.exception("result of %s could not be announced", request.inference_id)


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
