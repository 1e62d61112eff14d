"""The index of known people: `config/known_faces.npz`.

    embeddings  (N, D) float16, unit vectors
    labels      (N,) text, who each row is
    metadata    () text, JSON of `IndexMetadata`

One person may have many rows. Embeddings of different recognisers do not compare, so the
index names the pack that made it.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from screener.errors import ScreenerError
from screener.model import Message
from screener.observations import PackReference

MAX_INDEX_BYTES = 1 << 30
MAX_ROWS = 1_000_000
MAX_DIMENSION = 4_096
MAX_LABEL_LENGTH = 200
_MEMBERS = ("embeddings", "labels", "metadata")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class InvalidKnownFaces(ScreenerError):
    """The index of known faces cannot be used; the message says why."""


class IdentityNote(Message):
    """What the document says about a known person beside the label."""

    urls: list[Annotated[str, Field(max_length=2_000, pattern=r"^https?://")]] = []
    notes: Annotated[str, Field(max_length=2_000)] = ""
    enrolled_at: str = ""


class IndexMetadata(Message):
    format: Annotated[int, Field(ge=1, le=1)] = 1
    recogniser: PackReference
    identities: dict[Annotated[str, Field(max_length=MAX_LABEL_LENGTH)], IdentityNote] = {}


@dataclass(frozen=True)
class KnownFaces:
    """A usable index."""

    embeddings: NDArray[np.float32]
    """Shape (N, D), unit length; rows sorted by label."""
    labels: tuple[str, ...]
    metadata: IndexMetadata
    sha256: str

    @cached_property
    def people(self) -> tuple[str, ...]:
        """Distinct labels, sorted."""
        return tuple(sorted(set(self.labels)))

    def similarities(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each face's cosine similarity to each person's nearest row.

        Args:
            faces: unit vectors, shape (F, D).

        Returns:
            Shape (F, P), in the order of `people`.
        """
        each: NDArray[np.float32] = faces @ self.embeddings.T
        best = each[:, self._first_rows]
        # First all people's second rows, then their third: five times faster than person by person.
        for people, rows in self._further_rows:
            best[:, people] = np.maximum(best[:, people], each[:, rows])
        return best

    @cached_property
    def _first_rows(self) -> NDArray[np.intp]:
        _, first = np.unique(np.array(self.labels), return_index=True)
        return first

    @cached_property
    def _further_rows(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """People with an (n+1)th row, and that row, for n from 1."""
        counts = np.diff(self._first_rows, append=len(self.labels))
        further = []
        for number in range(1, int(counts.max(initial=0))):
            people = np.flatnonzero(counts > number)
            further.append((people, self._first_rows[people] + number))
        return further

    def note(self, label: str) -> IdentityNote:
        return self.metadata.identities.get(label, IdentityNote())


def load_known_faces(data: bytes) -> KnownFaces:
    """Read an index. Nothing in it is trusted: no pickle, bounded sizes, finite numbers.

    Raises:
        InvalidKnownFaces: anything about it is not as described at the top of this file.
    """
    arrays = _read_arrays(data)
    embeddings, labels = arrays["embeddings"], arrays["labels"]
    if embeddings.ndim != 2 or embeddings.dtype.kind != "f":
        raise InvalidKnownFaces(
            f"embeddings must be a table of floats, not {embeddings.dtype} {embeddings.shape}"
        )
    rows, dimension = embeddings.shape
    if labels.shape != (rows,) or labels.dtype.kind != "U":
        raise InvalidKnownFaces(f"labels must be {rows} texts, not {labels.dtype} {labels.shape}")
    if rows > MAX_ROWS or not 0 < dimension <= MAX_DIMENSION:
        raise InvalidKnownFaces(f"{rows} rows of {dimension} values are out of bounds")
    names = tuple(str(label) for label in labels)
    for name in names:
        if not 0 < len(name) <= MAX_LABEL_LENGTH or _CONTROL.search(name):
            raise InvalidKnownFaces(f"not a usable label: {name[:50]!r}")
    order = sorted(range(rows), key=names.__getitem__)
    return KnownFaces(
        embeddings=_unit(embeddings.astype(np.float32))[order],
        labels=tuple(names[row] for row in order),
        metadata=_metadata(arrays["metadata"]),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def dump_known_faces(
    embeddings: NDArray[np.float32], labels: list[str], metadata: IndexMetadata
) -> bytes:
    """Inverse of `load_known_faces`; equal content gives equal bytes."""
    target = io.BytesIO()
    arrays: Mapping[str, NDArray[np.generic]] = {
        "embeddings": embeddings.astype(np.float16),
        "labels": np.array(labels, dtype=np.str_),
        "metadata": np.array(metadata.model_dump_json()),
    }
    # Not np.savez: it stamps the time of writing into the file, and the digest would move.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return target.getvalue()


def _read_arrays(data: bytes) -> dict[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            if sum(sizes.values()) > MAX_INDEX_BYTES:
                raise InvalidKnownFaces(f"it unpacks to more than {MAX_INDEX_BYTES} bytes")
            missing = [name for name in _MEMBERS if f"{name}.npy" not in sizes]
            if missing:
                raise InvalidKnownFaces(f"it lacks {', '.join(missing)}")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in _MEMBERS}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as cause:
        raise InvalidKnownFaces(f"not a readable .npz file: {cause}") from cause
    except (RuntimeError, MemoryError, SyntaxError) as cause:
        raise InvalidKnownFaces(f"not a readable .npz file: {cause}") from cause


def _metadata(array: NDArray[np.generic]) -> IndexMetadata:
    if array.shape != () or array.dtype.kind != "U":
        raise InvalidKnownFaces("metadata must be one text")
    try:
        return IndexMetadata.model_validate_json(str(array))
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidKnownFaces(f"metadata: {place}: {first['msg']}") from cause


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths < 1e-3).any():
        raise InvalidKnownFaces("embeddings hold empty or infinite vectors")
    unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
    return unit
