"""Intake: S3 events from the queue start executions. A duplicate event starts nothing."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.start_screening.intake import Intake, TooManyExecutions
from functions.start_screening.waiting import bring_back_soon
from screener import aws
from screener.settings import Settings

logger = Logger()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


class StartScreeningSettings(Settings):
    media_bucket: str
    state_machine_arn: str
    intake_queue_url: str
    max_running_executions: Annotated[int, Field(ge=1)]


@cache
def intake() -> Intake:
    settings = StartScreeningSettings.load()
    return Intake(
        aws.stepfunctions(),
        settings.state_machine_arn,
        settings.media_bucket,
        settings.max_running_executions,
    )


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Start one execution per record.

    Records that could not be started come back as `batchItemFailures`: SQS delivers them
    again, and to the dead-letter queue in the end. Those that wait for a place come soon.
    """
    start = intake().batch()
    waiting: list[Any] = []

    def start_and_log(record: Any) -> str:
        try:
            name = start(record)
        except Exception as error:
            logger.warning("not started", extra={"reason": f"{type(error).__name__}: {error}"})
            if isinstance(error, TooManyExecutions):
                waiting.append(record)
            raise
        logger.info("started", extra={"execution": name})
        return name

    response = process_partial_response(
        event=event, record_handler=start_and_log, processor=processor, context=context
    )
    queue_url = StartScreeningSettings.load().intake_queue_url
    bring_back_soon(aws.sqs(), queue_url, waiting, datetime.now(UTC))
    return dict(response)
