"""Names that follow from content: same inputs, same name.

This is what makes a duplicate event harmless and a replay cheap. Every name is ASCII,
because names travel in HTTP headers and S3 keys that are signed as ASCII.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

VIDEO_ID_LENGTH = 32
SHORT_ID_LENGTH = 16
EXECUTION_NAME_LIMIT = 80  # Step Functions: StartExecution.name
INFERENCE_ID_LIMIT = 64  # SageMaker: InvokeEndpointAsync.InferenceId

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def digest_of(parts: Iterable[str], length: int) -> str:
    """First `length` hex digits of the SHA-256 over the parts, each prefixed by its length.

    The prefix keeps ("ab", "c") and ("a", "bc") apart.
    """
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        sha.update(f"{len(data)}:".encode())
        sha.update(data)
    return sha.hexdigest()[:length]


def canonical_json(value: Mapping[str, Any]) -> str:
    """JSON that is equal whenever the values are equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def video_id(bucket: str, key: str, version: str) -> str:
    """Identity of one object version; `version` comes from `content_version`."""
    return digest_of(["video", bucket, key, version], VIDEO_ID_LENGTH)


def content_version(version_id: str | None, etag: str | None, last_modified: str | None) -> str:
    """What tells one object version from every other under its key.

    A version id does. Without one, in a bucket that keeps no versions, an etag is not enough: it is
    an MD5 in the common case, and two different videos can be made to share one.
    """
    return version_id or f"{etag or ''} {last_modified or ''}".strip()


def sampling_id(parameters: Mapping[str, Any]) -> str:
    """Identity of a way to sample a video."""
    return digest_of(["sampling", canonical_json(parameters)], SHORT_ID_LENGTH)


def analysis_id(packs_digest: str, request: Mapping[str, Any]) -> str:
    """Identity of an analysis: these weights, asked this, about media sampled this way."""
    return digest_of(["analysis", packs_digest, canonical_json(request)], SHORT_ID_LENGTH)


def packs_digest(packs: Iterable[tuple[str, str]]) -> str:
    """Identity of the packs that one endpoint serves, from their (role, digest) pairs."""
    return digest_of((part for pair in sorted(packs) for part in pair), 64)


def execution_name(
    bucket: str, key: str, version_id: str | None, etag: str | None, sequencer: str | None
) -> str:
    """A readable, deterministic Step Functions execution name for one upload.

    Args:
        bucket: of the object.
        key: of the object.
        version_id: in a bucket with versions, where it is all that counts.
        etag: of the object.
        sequencer: S3's order of writes to one key. In a bucket without versions it tells the third
            upload from the first when both had the same content.
    """
    version = version_id or f"{etag or ''} {sequencer or ''}".strip()
    stem = unicodedata.normalize("NFKD", PurePosixPath(key).stem).encode("ascii", "ignore").decode()
    readable = _NOT_IN_A_NAME.sub("-", stem).strip("-") or "video"
    identity = video_id(bucket, key, version)
    return f"{readable[: EXECUTION_NAME_LIMIT - VIDEO_ID_LENGTH - 1]}-{identity}"


def inference_id(observation_key: str, attempt: int) -> str:
    """Name of one inference request: what it will answer, and which redrive asked for it."""
    return digest_of(["inference", observation_key, str(attempt)], INFERENCE_ID_LIMIT)
