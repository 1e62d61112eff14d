"""PlanAnalyses: looks into the observation store and lists what is missing."""

from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.plan_analyses.plan import Planner
from screener import aws, paces, storage
from screener.messages import PlanRequest
from screener.settings import AnalyzersSettings
from screener.video_rows import is_published

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

logger = Logger()


class PlanAnalysesSettings(AnalyzersSettings):
    request_ttl_seconds: Annotated[int, Field(ge=60, le=21_600)]
    invocation_timeout_seconds: Annotated[int, Field(ge=1, le=3_600)]
    table_name: str


def stored_observations(
    s3: "S3Client", dynamodb: "DynamoDBClient", request: PlanRequest, bucket: str, table: str
) -> set[str]:
    """Keys of every observation of a video: one LIST per thousand instead of a HEAD each.

    Not even that on the first run of a version, unless somebody ran it by hand before its turn.
    """
    job = request.job
    if not request.may_be_done and not is_published(
        dynamodb, table, job.video.bucket, job.video.key, job.video_id
    ):
        return set()
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=storage.observations_prefix(job.video_id)
    )
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`PlanRequest` -> `AnalysisPlan`."""
    request = PlanRequest.model_validate(event)
    settings = PlanAnalysesSettings.load()
    logger.append_keys(video_id=request.job.video_id, execution=request.execution.Id)
    planner = Planner(
        settings.analyzers,
        settings.work_bucket,
        settings.request_ttl_seconds,
        settings.invocation_timeout_seconds,
    )
    s3, dynamodb, table = aws.s3(), aws.dynamodb(), settings.table_name
    plan = planner.plan(
        request,
        stored_observations(s3, dynamodb, request, settings.work_bucket, table),
        paces.recall(dynamodb, table),
    )
    logger.info(
        "planned",
        extra={
            "items": len(plan.items),
            "analyses": {name: summary.status for name, summary in plan.analyses.items()},
        },
    )
    return plan.model_dump(mode="json")
