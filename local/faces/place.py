"""Where an index is: a file, or an object of a work bucket."""

from pathlib import Path

from local.commands.place import home
from screener import aws, storage
from screener.observation_store import read_object
from screener.policy.known_faces import (
    MAX_INDEX_BYTES,
    InvalidKnownFaces,
    KnownFaces,
    load_known_faces,
)
from screener.storage import S3Location


def default_index() -> str:
    """The laptop's own: the local stack takes it along."""
    return str(home() / storage.KNOWN_FACES_KEY)


def read_index(address: str) -> KnownFaces | None:
    """The index; None where there is none.

    Raises:
        InvalidKnownFaces: there is something else.
        OSError: it cannot be read.
    """
    if address.startswith("s3://"):
        location = S3Location.parse(address)
        data = read_object(aws.s3(), location.bucket, location.key, MAX_INDEX_BYTES)
    else:
        path = Path(address)
        data = path.read_bytes() if path.exists() else None
    try:
        return None if data is None else load_known_faces(data)
    except InvalidKnownFaces as cause:
        raise InvalidKnownFaces(f"{address}: {cause}") from cause


def write_index(address: str, data: bytes) -> None:
    """Replace the index as a whole.

    Raises:
        OSError: it cannot be written.
    """
    if address.startswith("s3://"):
        location = S3Location.parse(address)
        aws.s3().put_object(Bucket=location.bucket, Key=location.key, Body=data)
        return
    path = Path(address)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    # Biometrics: for the owner only, from the first byte on.
    part.touch(mode=0o600)
    part.chmod(0o600)
    part.write_bytes(data)
    part.replace(path)
