"""RejudgeVideos: one batch of documents, judged again from stored observations."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.rejudge_videos.rejudge import rejudge_videos
from screener import aws
from screener.announcing import Channels
from screener.archive_messages import BatchCounts, RejudgingTask
from screener.settings import WorkSettings

logger = Logger()


class RejudgeVideosSettings(WorkSettings):
    table_name: str
    event_bus_name: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`RejudgingTask` -> `BatchCounts`."""
    task = RejudgingTask.model_validate(event)
    settings = RejudgeVideosSettings.load()
    logger.append_keys(rejudging=task.rejudging.prefix)
    result = rejudge_videos(
        task,
        Channels(
            aws.s3(),
            aws.dynamodb(),
            aws.events(),
            settings.table_name,
            settings.event_bus_name,
        ),
        settings.work_bucket,
        datetime.now(UTC).isoformat(),
    )
    left = sum(item.left is not None for item in result.documents)
    counts = BatchCounts(
        judged=len(result.documents) - left,
        changed=sum(item.changed for item in result.documents),
        left=left,
    )
    logger.info("judged again", extra=counts.model_dump())
    return counts.model_dump(mode="json")
