"""The stack's policy and its index of known people, from the work bucket."""

from typing import TYPE_CHECKING

from screener import storage
from screener.errors import InvalidObservations, InvalidPolicy
from screener.observation_store import read_object
from screener.policy.known_faces import (
    MAX_INDEX_BYTES,
    InvalidKnownFaces,
    KnownFaces,
    load_known_faces,
)
from screener.policy.loading import (
    DEFAULT_PRESET,
    MAX_POLICY_BYTES,
    load_preset,
    parse_policy,
)
from screener.policy.model import Policy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def load_policy(s3: "S3Client", work_bucket: str) -> Policy:
    """The stack's own policy; the balanced preset where it has none.

    Raises:
        InvalidPolicy: there is one and it cannot be used.
    """
    data = read_policy(s3, work_bucket, storage.POLICY_KEY)
    if data is None:
        return load_preset(DEFAULT_PRESET)
    return parse_policy(data, f"s3://{work_bucket}/{storage.POLICY_KEY}")


def read_policy(s3: "S3Client", work_bucket: str, key: str) -> bytes | None:
    """A policy file, unparsed; None where there is none.

    Raises:
        InvalidPolicy: larger than any policy.
    """
    try:
        return read_object(s3, work_bucket, key, MAX_POLICY_BYTES)
    except InvalidObservations as cause:
        uri = f"s3://{work_bucket}/{key}"
        raise InvalidPolicy(f"{uri}: larger than {MAX_POLICY_BYTES} bytes") from cause


def load_known_index(s3: "S3Client", work_bucket: str) -> KnownFaces | InvalidKnownFaces | None:
    """The index; None where there is none; the error when it is broken: that costs the answer
    about known people, not the verdict."""
    try:
        data = read_object(s3, work_bucket, storage.KNOWN_FACES_KEY, MAX_INDEX_BYTES)
        return None if data is None else load_known_faces(data)
    except InvalidObservations as cause:
        return InvalidKnownFaces(str(cause))
    except InvalidKnownFaces as cause:
        return cause
