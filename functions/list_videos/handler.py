"""ListVideos: the table's videos become the list that the Map runs over."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.list_videos.list import list_videos
from screener import aws
from screener.archive_messages import ListingTask
from screener.settings import WorkSettings

logger = Logger()


class ListVideosSettings(WorkSettings):
    table_name: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`ListingTask` -> `Listing`."""
    task = ListingTask.model_validate(event)
    settings = ListVideosSettings.load()
    logger.append_keys(execution=task.execution_name)
    listing = list_videos(task, aws.s3(), aws.dynamodb(), settings.work_bucket, settings.table_name)
    logger.info("listed", extra={"listed": listing.listed, "request": task.request.model_dump()})
    return listing.model_dump(mode="json")
