"""RejectVideo: a refused upload gets its document, too."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.reject_video.reject import reject
from screener import aws
from screener.announcing import Channels, publish
from screener.measuring import count_document
from screener.messages import DocumentWritten, Rejection
from screener.settings import Settings

logger = Logger()
metrics = Metrics()


class RejectVideoSettings(Settings):
    table_name: str
    event_bus_name: str


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`Rejection` -> `DocumentWritten`."""
    rejection = Rejection.model_validate(event)
    settings = RejectVideoSettings.load()
    document, edition = reject(rejection, aws.s3(), datetime.now(UTC).isoformat())
    logger.append_keys(video_id=edition.video_id, execution=rejection.execution_arn)
    published = publish(
        Channels(
            aws.s3(),
            aws.dynamodb(),
            aws.events(),
            settings.table_name,
            settings.event_bus_name,
        ),
        document,
        edition,
    )
    count_document(metrics, document, superseded=published.superseded)
    logger.info("refused", extra={"reason": document.verdict.reasons[0].code})
    return DocumentWritten(
        document=published.location.uri,
        status=document.status.value,
        decision=document.verdict.decision.value,
        superseded=published.superseded,
    ).model_dump(mode="json")
