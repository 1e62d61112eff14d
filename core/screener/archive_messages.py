"""The payloads of statemachine/rejudging.asl.json, and what it leaves in the work bucket.

Execution input     RejudgingRequest
ListVideos          ListingTask                               -> Listing
  RejudgeVideos     RejudgingTask (one batch)                 -> BatchCounts
SummariseRejudging  Listing                                   -> RejudgingSummary

Below `rejudge/{execution}/`: policy.yaml, videos.json (list of `Batch`), batches/ (one
`BatchResult` each), map-run/ (what Step Functions says about each batch), changes.jsonl (every
`Rejudged` whose verdict changed or that was left as it is), summary.json.
"""

from typing import Annotated

from pydantic import Field

from screener.document import Decision
from screener.messages import Bucket, Key
from screener.model import Message
from screener.storage import POLICY_KEY

BATCH_SIZE = 20
"""Documents per child execution: 45 s for each until a function's 900 s are over. A ten-minute
video takes a tenth of a second of processor time (`python -m bench.rejudge`)."""
Count = Annotated[int, Field(ge=0)]
Documents = Annotated[list[str], Field(min_length=1, max_length=BATCH_SIZE)]
"""s3:// URIs."""


class RejudgingRequest(Message):
    """Input of an execution; `{}` says what the stack's own policy would change everywhere."""

    policy_key: Annotated[str, Field(pattern=r"^config/.+\.ya?ml$", max_length=1024)] = POLICY_KEY
    """Key of the policy in the work bucket. Without an object there, `POLICY_KEY` means the
    preset that screening would take; any other key is an error."""
    prefix: Annotated[str, Field(max_length=1024)] = ""
    """Only videos whose key begins so."""
    dry_run: bool = True
    """Writes nothing beside the videos. The default, so that a forgotten word rewrites nothing."""


class ListingTask(Message):
    """ListVideos' input."""

    request: RejudgingRequest
    execution_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")]


class Batch(Message):
    """One item of the Map."""

    documents: Documents


class Manifest(Message):
    """Where the Map's items are: a JSON list of `Batch`."""

    bucket: Bucket
    key: Key


class Rejudging(Message):
    """What every batch of one execution shares."""

    prefix: Key
    """`storage.rejudging_prefix` of the execution."""
    dry_run: bool


class Listing(Message):
    """What ListVideos found."""

    manifest: Manifest
    rejudging: Rejudging
    listed: Count


class Rejudged(Message):
    """One document. Names no person: reasons' details are in the document only."""

    document: str
    """s3:// URI."""
    old: Decision | None = None
    new: Decision | None = None
    """None when the document was left as it is; `left` then says why."""
    code: str | None = None
    category: str | None = None
    """Of the new verdict's strongest reason."""
    left: str | None = None

    @property
    def changed(self) -> bool:
        return self.new is not None and self.new is not self.old


class BatchResult(Message):
    """One batch as it lies in the work bucket."""

    documents: list[Rejudged]


class BatchCounts(Message):
    """RejudgeVideos' answer, for the console."""

    judged: Count
    changed: Count
    left: Count


class RejudgingTask(Message):
    """RejudgeVideos' input."""

    rejudging: Rejudging
    documents: Documents


class RejudgingSummary(Message):
    """SummariseRejudging's answer, the execution's output, and `summary.json`."""

    dry_run: bool
    listed: Count
    judged: Count
    changed: Count
    left: Count
    """Documents that cannot be judged again and stay as they are; changes.jsonl says why."""
    missing: Count
    """Listed, but their batch failed; map-run/ says why. Redrive or a new execution mends it."""
    verdicts: dict[Decision, Count]
    """Of the new policy."""
    confusion: dict[Decision, dict[Decision, Count]]
    """Old verdict -> new verdict -> documents."""
    changes: str
    """s3:// URI of changes.jsonl."""
