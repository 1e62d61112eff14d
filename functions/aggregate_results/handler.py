"""AggregateResults: observations and policy become the document, whatever is missing."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.aggregate_results.aggregate import aggregate
from screener import aws
from screener.announcing import Channels
from screener.measuring import count_document
from screener.messages import AggregationTask
from screener.settings import AnalyzersSettings

logger = Logger()
metrics = Metrics()


class AggregateResultsSettings(AnalyzersSettings):
    table_name: str
    event_bus_name: str


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`AggregationTask` -> `DocumentWritten`."""
    task = AggregationTask.model_validate(event)
    settings = AggregateResultsSettings.load()
    logger.append_keys(video_id=task.job.video_id, execution=task.job.execution_arn)
    document, written = aggregate(
        task,
        Channels(
            aws.s3(),
            aws.dynamodb(),
            aws.events(),
            settings.table_name,
            settings.event_bus_name,
        ),
        settings.work_bucket,
        settings.analyzers,
        datetime.now(UTC).isoformat(),
    )
    count_document(metrics, document, superseded=written.superseded)
    logger.info(
        written.decision,
        extra={
            "status": written.status,
            "superseded": written.superseded,
            "failed": written.failed,
        },
    )
    return written.model_dump(mode="json")
