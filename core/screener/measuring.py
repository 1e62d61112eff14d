"""CloudWatch metrics of documents. A sudden change of the flag rate is worth an alarm.

All are counts; `VideosFlagged / VideosScreened` is the flag rate.
"""

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from screener.document import Decision, Document, DocumentStatus

if TYPE_CHECKING:
    from aws_lambda_powertools import Metrics

_BY_DECISION = {
    Decision.APPROVE: "VideosApproved",
    Decision.REVIEW: "VideosForReview",
    Decision.REJECT: "VideosRejected",
}


def count_document(metrics: "Metrics", document: Document, *, superseded: bool) -> None:
    """Count one document; a superseded one was not written and says nothing."""
    if superseded:
        metrics.add_metric("DocumentsSuperseded", MetricUnit.Count, 1)
        return
    invalid = document.status is DocumentStatus.INVALID
    flagged = document.moderation is not None and document.moderation.flagged
    metrics.add_metric("VideosScreened", MetricUnit.Count, 1)
    metrics.add_metric("VideosInvalid", MetricUnit.Count, int(invalid))
    metrics.add_metric("VideosPartial", MetricUnit.Count, int(document.partial))
    metrics.add_metric("VideosFlagged", MetricUnit.Count, int(flagged))
    if not invalid:
        metrics.add_metric(_BY_DECISION[document.verdict.decision], MetricUnit.Count, 1)
