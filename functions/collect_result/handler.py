"""CollectResult: one turn of the polling loop."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.collect_result.collect import collect
from screener import aws
from screener.messages import CollectTask
from screener.settings import WorkSettings

logger = Logger()


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`CollectTask` -> `PollResult`."""
    task = CollectTask.model_validate(event)
    settings = WorkSettings.load()
    logger.append_keys(analyzer=task.item.analyzer, inference_id=task.item.inference_id)
    result = collect(task, aws.s3(), settings.work_bucket, datetime.now(UTC))
    logger.info(
        result.status,
        extra={"polls": result.polls, "error": result.error.type if result.error else None},
    )
    return result.model_dump(mode="json")
