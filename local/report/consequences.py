"""What the verdict makes of each segment."""

from collections import defaultdict
from collections.abc import Sequence

from screener.document import UNANSWERED, Decision, Document
from screener.sections import Certainty, Segment


def consequences(document: Document, segments: Sequence[Segment]) -> list[Decision]:
    """The gravest that a reason of the verdict decides about each segment's category.

    An uncertain segment asks for review at most, also where a certain one of its category rejects.
    APPROVE is also what no rule speaks of.
    """
    gravest: defaultdict[str, Decision] = defaultdict(lambda: Decision.APPROVE)
    for reason in document.verdict.reasons:
        if reason.category is not None and reason.code not in UNANSWERED:
            gravest[reason.category] = max(
                gravest[reason.category], reason.decision, key=lambda decision: decision.gravity
            )
    return [
        gravest[segment.category]
        if segment.certainty is Certainty.CONFIRMED
        else min(gravest[segment.category], Decision.REVIEW, key=lambda decision: decision.gravity)
        for segment in segments
    ]
