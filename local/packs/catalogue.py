"""The catalogue: every pack that Screener knows how to get, with licence and digests.

`catalogue.yaml` beside this file is the data. Its order is the order of preference: where
several packs of one role are installed, the first one listed is used.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, model_validator

from local.packs.errors import UnknownPack
from screener.model import Message
from screener.observations import Analyzer

_FILE = Path(__file__).with_name("catalogue.yaml")
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DigestBasis(StrEnum):
    """How the catalogue came to a digest."""

    MEASURED = "measured"
    """Computed by us from the bytes of a wheel or of the official file."""
    PUBLISHED = "published"
    """Read in public places that agree with each other; we have not fetched the file."""
    NONE = "none"
    """Unknown: `pull` prints what it saw, and `--sha256` pins it."""


class CatalogueFile(Message):
    """One file of a pack and where its bytes can be found."""

    path: str
    """Name inside the pack."""
    sha256: Sha256 | None = None
    size_bytes: int | None = None
    basis: DigestBasis = DigestBasis.NONE
    wheel: str | None = None
    """`package/path` below the site-packages of an installed wheel."""
    mirror: list[str] = []
    """Paths below a mirror folder, besides `<pack name>/<path>`, which always works."""
    url: str | None = None
    member: str | None = None
    """The file inside the zip archive that `url` names."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.sha256 is None) != (self.basis is DigestBasis.NONE):
            raise ValueError(f"{self.path}: a digest needs a basis, and a basis a digest")
        if self.url is not None and not self.url.startswith("https://"):
            raise ValueError(f"{self.path}: {self.url} is not https")
        return self


class Recipe(StrEnum):
    """How `screener packs build` makes a pack that nobody publishes as ONNX."""

    ULTRALYTICS = "ultralytics"
    OPEN_CLIP = "open_clip"
    OPENNSFW2 = "opennsfw2"


class BuildSource(Message):
    """What the recipe starts from."""

    recipe: Recipe
    model: str
    """The library's own name of the model, such as "yolov8n" or "ViT-B-32"."""
    weights: str = ""
    """Which weights of that model, where the library has several ("openai")."""
    mirror: list[str] = []
    """Weights below a mirror folder; without them the library downloads its own."""
    download_bytes: int
    """About how much the library downloads."""


class CatalogueEntry(Message):
    """One pack: one role of one analyzer."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    analyzer: Analyzer
    role: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    version: str
    summary: str
    licence: str
    commercial_use: bool
    """False where the licence of the weights forbids it."""
    source: str
    default: bool = False
    """`pull --available` looks for it."""
    input_size: tuple[int, int] | None = None
    labels: str | None = None
    """Key into the catalogue's `labels`, where the weights name no classes themselves."""
    parameters: dict[str, Any] = {}
    files: Annotated[list[CatalogueFile], Field(min_length=1)]
    build: BuildSource | None = None

    @property
    def slot(self) -> str:
        """`analyzer.role`, such as "objects.detector"."""
        return f"{self.analyzer}.{self.role}"

    @property
    def size_bytes(self) -> int | None:
        """Sum over the files; None when one is unknown."""
        sizes = [file.size_bytes for file in self.files]
        return sum(size for size in sizes if size) if all(sizes) else None

    @property
    def evidence(self) -> str:
        """How far the catalogue's digests reach, in one word; see docs/packs.md."""
        bases = {file.basis for file in self.files}
        if self.build is not None and bases == {DigestBasis.NONE}:
            return "built"
        if len(bases) == 1:
            return bases.pop().value
        return "partly"

    @property
    def downloadable(self) -> bool:
        return all(file.url for file in self.files)

    @property
    def command(self) -> str:
        """What a user types to get this pack."""
        return f"screener packs pull {self.name}"


class Catalogue(Message):
    """The whole of `catalogue.yaml`."""

    labels: dict[str, list[str]]
    groups: dict[str, list[str]]
    """Names that stand for several packs, such as a detector and its recogniser."""
    packs: list[CatalogueEntry]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [entry.name for entry in self.packs]
        if len(set(names)) != len(names):
            raise ValueError("two packs have the same name")
        if clash := set(names) & set(self.groups):
            raise ValueError(f"packs and groups share names: {sorted(clash)}")
        for group, members in self.groups.items():
            if missing := set(members) - set(names):
                raise ValueError(f"group {group} names unknown packs: {sorted(missing)}")
        for entry in self.packs:
            if entry.labels is not None and entry.labels not in self.labels:
                raise ValueError(f"{entry.name}: no labels named {entry.labels}")
        return self

    def __getitem__(self, name: str) -> CatalogueEntry:
        for entry in self.packs:
            if entry.name == name:
                return entry
        known = ", ".join([entry.name for entry in self.packs] + sorted(self.groups))
        raise UnknownPack(f"no pack is named {name!r}; there are {known}")

    def expand(self, names: list[str]) -> list[CatalogueEntry]:
        """Entries of packs and groups, each once, in the order asked for.

        Raises:
            UnknownPack: a name is neither.
        """
        wanted = [pack for name in names for pack in self.groups.get(name, [name])]
        return [self[name] for name in dict.fromkeys(wanted)]

    def defaults(self) -> Iterator[tuple[str, list[CatalogueEntry]]]:
        """(slot, its default packs in order of preference), in the order of the catalogue."""
        for slot in dict.fromkeys(entry.slot for entry in self.packs):
            candidates = [entry for entry in self.packs if entry.slot == slot and entry.default]
            if candidates:
                yield slot, candidates

    def preference(self, name: str) -> int:
        """Position of a pack; packs of the user's own come after all others."""
        for position, entry in enumerate(self.packs):
            if entry.name == name:
                return position
        return len(self.packs)


@cache
def load_catalogue() -> Catalogue:
    """Read `catalogue.yaml`, once per process."""
    # The C loader reads the file in a tenth of the time; every call of the command pays for it.
    loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Catalogue.model_validate(yaml.load(_FILE.read_bytes(), Loader=loader))  # noqa: S506
