"""SummariseRejudging: what another policy changed, in one object."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.summarise_rejudging.summarise import summarise
from screener import aws
from screener.archive_messages import Listing
from screener.settings import WorkSettings

logger = Logger()


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`Listing` -> `RejudgingSummary`."""
    listing = Listing.model_validate(event)
    logger.append_keys(rejudging=listing.rejudging.prefix)
    summary = summarise(listing, aws.s3(), WorkSettings.load().work_bucket)
    logger.info("summarised", extra={"summary": summary.model_dump(mode="json")})
    return summary.model_dump(mode="json")
