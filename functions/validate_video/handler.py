"""ValidateVideo: is this object a video that can be screened, and in which time ranges?"""

from datetime import UTC, datetime
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.validate_video.validate import VideoLimits, validate
from screener import aws
from screener.media import MediaLimits, warm_up
from screener.messages import ValidationTask
from screener.sampling import Sampling
from screener.settings import WorkSettings

logger = Logger()
warm_up()


class ValidateVideoSettings(WorkSettings):
    sampling: Sampling
    """JSON; fields left out keep their defaults."""
    sampling_by_prefix: dict[str, Sampling]
    """Key prefix -> sampling that replaces the stack's; the longest prefix wins."""
    max_video_bytes: Annotated[int, Field(ge=1)]
    max_video_seconds: Annotated[int, Field(ge=1)]
    range_seconds: Annotated[int, Field(ge=1)]
    """Longer videos are cut into ranges of about this length; see `ranges.py`."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`ValidationTask` -> `ScreeningJob`. `InvalidVideo` leaves as an error for the Catch."""
    task = ValidationTask.model_validate(event)
    settings = ValidateVideoSettings.load()
    job = validate(
        task,
        aws.s3(),
        settings.sampling,
        settings.sampling_by_prefix,
        VideoLimits(
            max_bytes=settings.max_video_bytes,
            max_seconds=settings.max_video_seconds,
            range_seconds=settings.range_seconds,
            media=MediaLimits.within(
                int(context.memory_limit_in_mb), context.get_remaining_time_in_millis()
            ),
        ),
        datetime.now(UTC).isoformat(),
    )
    logger.append_keys(video_id=job.video_id, execution=job.execution_arn)
    logger.info("valid", extra={"video": job.video.model_dump(), "ranges": len(job.ranges)})
    return job.model_dump(mode="json")
