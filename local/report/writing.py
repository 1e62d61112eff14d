"""Writes a document's report and its companions, with pictures where the frames are still there."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError

from local.report.edit_lists import segments_csv, segments_edl
from local.report.evidence import BundleOpener, evidence_frames
from local.report.masking import mask_terms
from local.report.page import render_report
from local.report.subtitles import web_vtt
from screener import storage
from screener.document import Document

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_BUNDLE_BYTES = 1 << 30
_NOT_THERE = frozenset({"NoSuchKey", "404", "NoSuchBucket"})

EXPORTS: dict[str, Callable[[Document], str]] = {
    ".vtt": web_vtt,
    ".csv": segments_csv,
    ".edl": segments_edl,
}
"""Companions of a report by their suffix."""


def write_report(
    document: Document,
    target: Path,
    *,
    open_bundle: BundleOpener | None = None,
    masked: bool = False,
    originals: bool = True,
) -> Path:
    """Write the HTML report.

    Args:
        document: what to report.
        target: the file; replaced when it exists, never left half written.
        open_bundle: where frames are; None leaves the pictures out.
        masked: show flagged words as first letters and asterisks.
        originals: let the page show frames without blur.

    Raises:
        OSError: the file cannot be written.
    """
    frames = evidence_frames(document, open_bundle, originals=originals) if open_bundle else []
    return _write(target, render_report(document, frames, masked=masked))


def write_export(document: Document, target: Path, *, masked: bool = False) -> Path:
    """Write the companion that the target's suffix asks for (`EXPORTS`).

    Raises:
        KeyError: no companion has the suffix.
        OSError: the file cannot be written.
    """
    return _write(target, EXPORTS[target.suffix](mask_terms(document) if masked else document))


def s3_bundles(s3: "S3Client", work_bucket: str, document: Document) -> BundleOpener:
    """Frame bundles in a work bucket; they expire, so a missing one is no error."""

    def open_bundle(chunk: int) -> BinaryIO | None:
        if document.video_id is None or document.sampling is None:
            return None
        key = storage.frames_key(document.video_id, document.sampling.sampling_id, chunk)
        try:
            answer = s3.get_object(Bucket=work_bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise
        if answer["ContentLength"] > MAX_BUNDLE_BYTES:
            return None
        with answer["Body"] as body:
            return BytesIO(body.read())

    return open_bundle


def _write(target: Path, text: str) -> Path:
    # newline="" keeps the line ends that each format prescribes.
    part = target.with_name(f".{target.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    part.replace(target)
    return target
