"""Packs to S3, where SageMaker's `ModelDataSource` reads them: uncompressed, by content.

    s3://BUCKET/PREFIX/packs/<analyzer>/<packs digest>/<pack name>/<file>

An endpoint gets one such prefix and sees it as /opt/ml/model/<pack name>/<file>. The prefix
follows from the weights, so publishing again changes nothing and a new choice never touches
what a running endpoint reads.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from local.packs.errors import PublishFailed
from local.packs.selection import packs_digest
from screener import storage
from screener.observations import Analyzer
from screener.packs import PACK_FILE, InstalledPack, verify_pack
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DIGEST = "sha256"
"""Object metadata: the SHA-256 that pack.json lists. S3's own checksum of a large object is
one over its parts, and says nothing about a file without knowing the part size."""
_TRANSFER = TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=64 << 20)
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})

Say = Callable[[str], None]


class Target(NamedTuple):
    """A bucket and what comes before `packs/`."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, uri: str) -> "Target":
        """Parse `s3://bucket` or `s3://bucket/prefix`.

        Raises:
            PublishFailed: not an S3 address.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise PublishFailed(f"{uri!r} is not s3://BUCKET or s3://BUCKET/PREFIX")
        prefix = prefix.strip("/")
        return cls(bucket, f"{prefix}/" if prefix else "")


class Published(NamedTuple):
    """One analyzer's packs on S3."""

    analyzer: Analyzer
    uri: str
    """For the template's <Analyzer>Packs parameter; ends in the digest and a slash."""
    uploaded: int
    """Objects that were not there yet."""
    present: int


def publish_packs(
    client: "S3Client", target: Target, analyzer: Analyzer, packs: Sequence[InstalledPack], say: Say
) -> Published:
    """Upload one analyzer's packs, what is there already left alone.

    Every pack is verified first, and its pack.json goes last: a prefix with every pack.json
    is whole.

    Raises:
        InvalidPack: a pack is not whole; nothing of it was uploaded.
        PublishFailed: S3 refused, or holds other bytes under a name that ours determine.
    """
    verified = [verify_pack(found.folder) for found in packs]
    prefix = target.prefix + storage.packs_prefix(analyzer, packs_digest(verified))
    uploaded = present = 0
    for found in verified:
        for path, digest in _files(found):
            place = S3Location(target.bucket, f"{prefix}{found.pack.name}/{path}")
            local = found.folder / path
            try:
                if _is_there(client, place, local.stat().st_size, digest):
                    present += 1
                    continue
                say(f"{place.uri}  {local.stat().st_size / 1e6:,.1f} MB")
                _upload(client, place, local, digest)
            except (ClientError, BotoCoreError, Boto3Error) as cause:
                raise PublishFailed(f"{place.uri}: {cause}") from cause
            uploaded += 1
    return Published(analyzer, f"s3://{target.bucket}/{prefix}", uploaded, present)


def _files(found: InstalledPack) -> list[tuple[str, str | None]]:
    """(path, digest), the weights before the description that vouches for them.

    The description has no digest: `provenance` differs between machines that made one pack.
    """
    weights: list[tuple[str, str | None]] = [(file.path, file.sha256) for file in found.pack.files]
    return [*weights, (PACK_FILE, None)]


def _is_there(client: "S3Client", place: S3Location, size_bytes: int, digest: str | None) -> bool:
    try:
        head = client.head_object(Bucket=place.bucket, Key=place.key)
    except ClientError as error:
        # Without ListBucket, S3 answers 403 for what is missing; then uploading will tell.
        if error.response["Error"]["Code"] in _MISSING | {"403"}:
            return False
        raise
    if digest is None:
        return True
    if head["ContentLength"] != size_bytes or head["Metadata"].get(_DIGEST) != digest:
        raise PublishFailed(
            f"{place.uri} holds other bytes than its name says; remove it and publish again"
        )
    return True


def _upload(client: "S3Client", place: S3Location, local: Path, digest: str | None) -> None:
    client.upload_file(
        str(local),
        place.bucket,
        place.key,
        # S3 checks the bytes on arrival against a checksum that boto3 computes on the way.
        ExtraArgs={"ChecksumAlgorithm": "SHA256", "Metadata": {_DIGEST: digest} if digest else {}},
        Config=_TRANSFER,
    )
