"""CollectResult: one turn of the polling loop."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.collect_result.collect import collect
from screener import aws
from screener.causes import shortened_error
from screener.messages import CollectTask
from screener.settings import WorkSettings

logger = Logger()


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`CollectTask` -> `PollResult`.

    Its errors become data of the state, forty of them at worst: they end with a short message, and
    with all of it in the log.
    """
    task = CollectTask.model_validate(event)
    settings = WorkSettings.load()
    logger.append_keys(analyzer=task.item.analyzer, inference_id=task.item.inference_id)
    try:
        result = collect(task, aws.s3(), settings.work_bucket, datetime.now(UTC))
    except Exception as error:
        logger.exception("not collected")
        raise shortened_error(error) from None
    logger.info(
        result.status,
        extra={"polls": result.polls, "error": result.error.type if result.error else None},
    )
    return result.model_dump(mode="json")
