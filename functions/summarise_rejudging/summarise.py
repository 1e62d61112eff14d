"""Adds up what the batches left into one summary and one list of changes."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from screener.archive_messages import BatchResult, Listing, Rejudged, RejudgingSummary
from screener.document import Decision
from screener.storage import S3Location, rejudging_batch_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READERS = 8
_BATCHES_AT_ONCE = 100


def summarise(listing: Listing, s3: "S3Client", work_bucket: str) -> RejudgingSummary:
    """Count verdicts, old against new; what no batch reported is missing, never unchanged.

    Raises:
        botocore.exceptions.ClientError: S3 refuses.
    """
    prefix = listing.rejudging.prefix
    changes = S3Location(work_bucket, f"{prefix}changes.jsonl")
    confusion: Counter[tuple[Decision, Decision]] = Counter()
    changed = left = 0
    with tempfile.TemporaryFile() as file:
        for item in _results(s3, work_bucket, prefix):
            if item.old is not None and item.new is not None:
                confusion[item.old, item.new] += 1
            else:
                left += 1
            changed += item.changed
            if item.changed or item.left is not None:
                file.write(item.model_dump_json(exclude_none=True).encode() + b"\n")
        file.seek(0)
        s3.put_object(Bucket=changes.bucket, Key=changes.key, Body=file)
    summary = RejudgingSummary(
        dry_run=listing.rejudging.dry_run,
        listed=listing.listed,
        judged=confusion.total(),
        changed=changed,
        left=left,
        missing=max(0, listing.listed - confusion.total() - left),
        verdicts={new: sum(confusion[old, new] for old in Decision) for new in Decision},
        confusion={old: {new: confusion[old, new] for new in Decision} for old in Decision},
        changes=changes.uri,
    )
    s3.put_object(
        Bucket=work_bucket,
        Key=f"{prefix}summary.json",
        Body=summary.model_dump_json(indent=2).encode(),
        ContentType="application/json",
    )
    return summary


def _results(s3: "S3Client", bucket: str, prefix: str) -> Iterator[Rejudged]:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=rejudging_batch_key(prefix, "").removesuffix(".json")
    )
    keys = (item["Key"] for page in pages for item in page.get("Contents", []))

    def read(key: str) -> BatchResult:
        with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
            return BatchResult.model_validate_json(body.read())

    with ThreadPoolExecutor(_READERS) as readers:
        while some := list(islice(keys, _BATCHES_AT_ONCE)):
            for batch in readers.map(read, some):
                yield from batch.documents
