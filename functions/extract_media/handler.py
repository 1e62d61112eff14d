"""ExtractMedia: one time range of a video becomes a frame bundle and an audio file."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.extract_media.extract import extract_range
from screener import aws
from screener.media import MediaLimits, warm_up
from screener.messages import ExtractionTask
from screener.settings import WorkSettings

logger = Logger()
warm_up()


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`ExtractionTask` -> `ExtractedRange`."""
    task = ExtractionTask.model_validate(event)
    logger.append_keys(video_id=task.job.video_id, execution=task.job.execution_arn)
    extracted = extract_range(
        task,
        aws.s3(),
        WorkSettings.load().work_bucket,
        MediaLimits.within(int(context.memory_limit_in_mb), context.get_remaining_time_in_millis()),
        threads=len(os.sched_getaffinity(0)),
    )
    logger.info("extracted", extra={"range": extracted.model_dump()})
    return extracted.model_dump(mode="json")
