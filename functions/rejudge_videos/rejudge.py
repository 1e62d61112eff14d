"""Judges one batch of documents again and says how each one ended."""

from screener import collector, identity, storage
from screener.announcing import Channels, publish
from screener.archive_messages import BatchResult, Rejudged, RejudgingTask
from screener.document import DocumentHead
from screener.errors import InvalidPolicy
from screener.observation_store import MAX_OBSERVATION_BYTES, read_object
from screener.policy.known_faces import InvalidKnownFaces, KnownFaces
from screener.policy.loading import parse_policy
from screener.policy.model import Policy
from screener.policy.stored import load_known_index, read_policy
from screener.publishing import DocumentConflict
from screener.rejudging import CannotRejudge, rejudge, verdict_again
from screener.stored_documents import UnusableDocument, find_replaced, read_stored_head

SUPERSEDED = "a newer document is there"
MAX_BATCH_BYTES = 16 * 1024 * 1024


class Judge:
    """One policy and one index of known people, for any number of documents.

    Args:
        channels: where documents and the news of them go.
        work_bucket: where observations, policy and index are.
        prefix: of the execution; its copy of the policy is the one that counts.

    Raises:
        InvalidPolicy: the copy is gone.
        botocore.exceptions.ClientError: S3 refuses.
    """

    def __init__(self, channels: Channels, work_bucket: str, prefix: str) -> None:
        self._channels = channels
        self._work_bucket = work_bucket
        self._policy = self._read_policy(storage.rejudging_policy_key(prefix))
        self._known: KnownFaces | InvalidKnownFaces | None = load_known_index(
            channels.s3, work_bucket
        )

    @collector.paused()
    def judge(self, address: str, processed_at: str, *, dry_run: bool) -> Rejudged:
        """Judge one document, and replace it unless this is a dry run.

        What is true of the document is a result; what a service refuses is an error, so that the
        state machine tries the batch again.

        Raises:
            EventRefused: EventBridge did not take the event.
            botocore.exceptions.ClientError: a service refuses.
        """
        try:
            document = read_stored_head(self._channels.s3, address)
            if dry_run:
                verdict = verdict_again(document, self._policy, self._known, self._observations)
            else:
                new = self._replace(address, document, processed_at)
                if new is None:
                    return Rejudged(document=address, left=SUPERSEDED)
                verdict = new.verdict
        except (CannotRejudge, UnusableDocument, DocumentConflict) as why:
            return Rejudged(document=address, left=str(why))
        strongest = verdict.reasons[0] if verdict.reasons else None
        return Rejudged(
            document=address,
            old=document.verdict.decision,
            new=verdict.decision,
            code=strongest.code if strongest else None,
            category=strongest.category if strongest else None,
        )

    def _replace(
        self, address: str, document: DocumentHead, processed_at: str
    ) -> DocumentHead | None:
        new = rejudge(document, self._policy, self._known, self._observations, processed_at)
        present = find_replaced(self._channels.s3, address, new)
        if present is None or publish(self._channels, new, *present).superseded:
            return None
        return new

    def _observations(self, key: str) -> bytes | None:
        return read_object(self._channels.s3, self._work_bucket, key, MAX_OBSERVATION_BYTES)

    def _read_policy(self, key: str) -> Policy:
        uri = f"s3://{self._work_bucket}/{key}"
        data = read_policy(self._channels.s3, self._work_bucket, key)
        if data is None:
            raise InvalidPolicy(f"{uri}: not there any more")
        return parse_policy(data, uri)


def rejudge_videos(
    task: RejudgingTask, channels: Channels, work_bucket: str, processed_at: str
) -> BatchResult:
    """Judge a batch and leave its result in the work bucket.

    The key follows from the batch, so a retry finds what the try before it did and goes on from
    there: a document that was replaced already would otherwise pass for unchanged.

    Raises:
        InvalidPolicy: the execution's copy of the policy is gone.
        EventRefused: EventBridge did not take an event.
        botocore.exceptions.ClientError: a service refuses.
    """
    prefix, dry_run = task.rejudging.prefix, task.rejudging.dry_run
    key = storage.rejudging_batch_key(prefix, identity.digest_of(task.documents, 32))
    judge = Judge(channels, work_bucket, prefix)
    earlier = read_object(channels.s3, work_bucket, key, MAX_BATCH_BYTES)
    done = [] if earlier is None else BatchResult.model_validate_json(earlier).documents
    for address in task.documents[len(done) :]:
        done.append(judge.judge(address, processed_at, dry_run=dry_run))
        if not dry_run or len(done) == len(task.documents):
            channels.s3.put_object(
                Bucket=work_bucket,
                Key=key,
                Body=BatchResult(documents=done).model_dump_json().encode(),
                ContentType="application/json",
            )
    return BatchResult(documents=done)
