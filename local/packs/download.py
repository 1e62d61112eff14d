"""Fetching one file from its official source: resumed, bounded, checked.

Looked at: `pooch` (checksums, but starts over after a broken connection), `huggingface_hub`
(resumes, but knows one site only, and several packs live on GitHub), `requests` (what this
module uses for everything below HTTP's Range).
"""

import hashlib
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import requests

from local.packs.errors import DigestMismatch, DownloadFailed

Progress = Callable[[int, int | None], None]
"""Called with (bytes so far, total bytes when known)."""

_ATTEMPTS = 50
_FRUITLESS_ATTEMPTS = 3
"""In a row, each without a byte more than before: then the source is given up."""
_FIRST_PAUSE_SECONDS = 1.0
_TIMEOUT_SECONDS = (10.0, 60.0)
_BLOCK_BYTES = 64 << 10
"""Small, because a block that the connection breaks in is lost."""
_MOST_BYTES = 16 << 30
"""No pack is larger; a source that sends more is not what it claims to be."""


class _Interrupted(Exception):
    """The connection broke; what arrived so far may be kept."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    size_bytes: int | None,
    progress: Progress,
    pause_seconds: float = _FIRST_PAUSE_SECONDS,
) -> str:
    """Fetch `url` to `target`, going on where an earlier attempt stopped.

    What arrived is kept in `<target>.part` beside a note of the source's version, so that two
    versions of a file are never joined.

    Returns:
        The file's SHA-256.

    Raises:
        DownloadFailed: unreachable, an HTTP error, too large, or broken off too often.
        DigestMismatch: complete, but not the expected bytes; nothing is kept.
    """
    part = _Part(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    fruitless = 0
    for attempt in range(1, _ATTEMPTS + 1):
        before = part.size
        try:
            _fetch(url, part, size_bytes, progress)
            break
        except _Interrupted as cause:
            fruitless = 0 if part.size > before else fruitless + 1
            if fruitless == _FRUITLESS_ATTEMPTS or attempt == _ATTEMPTS:
                raise DownloadFailed(f"{url}: gave up after {attempt} attempts: {cause}") from cause
            time.sleep(pause_seconds * 2**fruitless)
    with part.path.open("rb") as file:
        seen = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and seen != sha256:
        part.discard()
        raise DigestMismatch(f"{url}: sha256 is {seen}, expected {sha256}")
    part.path.replace(target)
    part.discard()
    return seen


class _Part:
    """A file in the making and the version of the source that it comes from."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> str | None:
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return None
        version = note.get("version") if isinstance(note, dict) else None
        return version if isinstance(version, str) else None

    def start(self, version: str | None) -> None:
        self.path.unlink(missing_ok=True)
        self._note.write_text(json.dumps({"version": version}))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _fetch(url: str, part: _Part, size_bytes: int | None, progress: Progress) -> None:
    headers = {"Accept-Encoding": "identity"}
    have, version = part.size, part.version
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            if response.status_code == requests.codes.range_not_satisfiable:
                # The part is already as long as the file, or the file has changed.
                part.discard()
            _check_answer(url, response)
            resumed = response.status_code == requests.codes.partial_content
            if resumed and not response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            ):
                part.discard()
                raise _Interrupted("the source answered with another range than asked for")
            if not resumed:
                part.start(_version(response))
                have = 0
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else size_bytes
            limit = size_bytes or _MOST_BYTES
            with part.path.open("ab") as file:
                for block in response.iter_content(_BLOCK_BYTES):
                    have += len(block)
                    if have > limit:
                        part.discard()
                        raise DownloadFailed(f"{url}: sends more than the {limit} bytes expected")
                    file.write(block)
                    progress(have, total)
            if total is not None and have < total:
                raise _Interrupted(f"{have} of {total} bytes arrived")
    except requests.RequestException as cause:
        raise _Interrupted(str(cause)) from cause


def _check_answer(url: str, response: requests.Response) -> None:
    if url.startswith("https:") and not response.url.startswith("https:"):
        raise DownloadFailed(f"{url}: redirects to {response.url}, which is not https")
    status = response.status_code
    if status == requests.codes.range_not_satisfiable or status >= 500 or status == 429:
        raise _Interrupted(f"HTTP {status}")
    if status not in (requests.codes.ok, requests.codes.partial_content):
        raise DownloadFailed(f"{url}: HTTP {status} {response.reason}")


def _version(response: requests.Response) -> str | None:
    """A strong validator for If-Range, or None: then a broken download starts over."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else None


def extract_member(archive: Path, member: str, target: Path, *, size_bytes: int | None) -> None:
    """Copy one file out of a zip archive; no other member is looked at.

    Raises:
        DownloadFailed: not a zip, no such member, or larger than expected.
    """
    limit = size_bytes or _MOST_BYTES
    try:
        with zipfile.ZipFile(archive) as opened:
            # Some releases put the files into a folder of the archive's own name.
            names = [name for name in opened.namelist() if name.rpartition("/")[2] == member]
            if len(names) != 1:
                raise DownloadFailed(f"{archive.name}: holds {len(names)} files named {member}")
            with opened.open(names[0]) as source, target.open("wb") as sink:
                _copy(source, sink, limit, f"{archive.name}: {member}")
    except zipfile.BadZipFile as cause:
        raise DownloadFailed(f"{archive.name}: not a zip archive: {cause}") from cause


def _copy(source: IO[bytes], sink: IO[bytes], limit: int, what: str) -> None:
    copied = 0
    while block := source.read(_BLOCK_BYTES):
        copied += len(block)
        if copied > limit:
            raise DownloadFailed(f"{what} is larger than the {limit} bytes expected")
        sink.write(block)
