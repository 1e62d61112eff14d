"""Putting a pack into its folder: found or fetched, checked, then moved there in one step.

A lock per pack keeps two commands from fetching the same gigabytes; the move, which `folders.py`
makes, would keep them from harming each other even without it.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from local.packs import sources
from local.packs.catalogue import Catalogue, CatalogueEntry, CatalogueFile
from local.packs.class_names import class_names_of
from local.packs.errors import DigestMismatch, PackUnavailable
from local.packs.folders import place, workspace, write_pack_file
from local.packs.places import packs_folder, scratch_folder
from screener.errors import InvalidPack
from screener.packs import (
    PACK_FILE,
    InstalledPack,
    Pack,
    describe_file,
    read_pack,
    verify_pack,
)

DownloadProgress = Callable[[str, int, int | None], None]
"""Called with (what, bytes so far, total bytes when known)."""


class Outcome(StrEnum):
    PRESENT = "present"
    INSTALLED = "installed"


class Pulled(NamedTuple):
    """What `pull_pack` did."""

    outcome: Outcome
    installed: InstalledPack
    origin: str
    """For people: where the bytes came from, now or when they were first installed."""
    unpinned: dict[str, str]
    """Files that no digest vouched for -> the SHA-256 that was seen."""


class Request(NamedTuple):
    """Where `pull_pack` may look and what the user insists on."""

    home: Path
    mirror: Path | None = None
    network: bool = False
    force: bool = False
    pins: Mapping[str, str] = {}
    """File name inside the pack -> SHA-256 that it must have."""


def installed_pack(home: Path, name: str) -> InstalledPack | None:
    """The installed pack of this name, if its files are there with their sizes (not hashed).

    Raises:
        InvalidPack: there is a folder, but it does not hold a whole pack.
    """
    folder = packs_folder(home) / name
    if not folder.exists():
        return None
    found = read_pack(folder)
    for file in found.pack.files:
        path = folder / file.path
        if not path.is_file() or path.stat().st_size != file.size_bytes:
            raise InvalidPack(
                f"{folder}: {file.path} is missing or cut short; "
                f"`screener packs pull --force {name}` fetches the pack again"
            )
    return found


def pull_pack(
    catalogue: Catalogue, entry: CatalogueEntry, request: Request, progress: DownloadProgress
) -> Pulled:
    """Make sure that a pack is installed: wheels first, then the mirror, then its source.

    Raises:
        PackUnavailable: nowhere where `request` allows to look.
        DownloadFailed: the official source did not deliver.
        DigestMismatch: the bytes are not the expected ones.
        InvalidPack: a finished pack in the mirror, or the one installed, is not whole.
    """
    scratch = scratch_folder(request.home)
    scratch.mkdir(parents=True, exist_ok=True)
    if present := _present(entry, request):
        return present
    with FileLock(scratch / f"{entry.name}.lock"):
        # Another command may have installed it while this one waited for the lock.
        if present := _present(entry, request):
            return present
        with workspace(request.home, entry.name) as folder:
            origin = _gather(entry, request, folder, progress)
            if not (folder / PACK_FILE).exists():
                write_pack_file(folder, _describe(catalogue, entry, folder, origin))
            made = verify_pack(folder)
            _check_pins(entry, made.pack, request.pins)
            place(folder, packs_folder(request.home) / entry.name)
    installed = read_pack(packs_folder(request.home) / entry.name)
    pinned = {file.path for file in entry.files if file.sha256} | set(request.pins)
    seen = {file.path: file.sha256 for file in installed.pack.files if file.path not in pinned}
    return Pulled(Outcome.INSTALLED, installed, origin, seen)


def _present(entry: CatalogueEntry, request: Request) -> Pulled | None:
    if request.force:
        return None
    found = installed_pack(request.home, entry.name)
    if found is None or not _is_current(entry, found.pack):
        return None
    _check_pins(entry, found.pack, request.pins)
    origin = str(found.pack.provenance.get("origin", found.pack.source))
    return Pulled(Outcome.PRESENT, found, origin, {})


def _is_current(entry: CatalogueEntry, pack: Pack) -> bool:
    """False when the catalogue has learnt more about the weights since they were installed."""
    # `build` adds parameters of its own, so the pack may know more than the catalogue.
    return (pack.version, pack.licence) == (
        entry.version,
        entry.licence,
    ) and pack.parameters | entry.parameters == pack.parameters


def _gather(
    entry: CatalogueEntry, request: Request, folder: Path, progress: DownloadProgress
) -> str:
    """Bring every file into `folder` and return where they came from."""
    if found := sources.in_wheels(entry):
        _copy_files(entry, found, folder)
        return found.origin
    if request.mirror is not None:
        if finished := sources.finished_pack(entry, request.mirror):
            _copy_finished(entry, finished, folder)
            return f"mirror {finished}"
        if found := sources.in_mirror(entry, request.mirror):
            _copy_files(entry, found, folder)
            return found.origin
    if request.network and entry.downloadable:
        for file in entry.files:
            _fetch(file, request, folder / file.path, progress)
        return entry.source
    raise PackUnavailable(_advice(entry, request))


def _advice(entry: CatalogueEntry, request: Request) -> str:
    looked = ["the installed wheels"]
    if request.mirror is not None:
        looked.append(f"the mirror {request.mirror}")
    where = " and ".join(looked)
    if entry.downloadable:
        return f"{entry.name} is not in {where}; `{entry.command}` downloads it"
    if entry.build is not None:
        return (
            f"{entry.name} is not in {where} and nobody publishes it as ONNX; "
            f"`{entry.command}` downloads its weights and exports them"
        )
    return f"{entry.name} is not in {where}, and it has no other source"


def _copy_files(entry: CatalogueEntry, found: sources.FoundFiles, folder: Path) -> None:
    for file in entry.files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        # Contents only: the copy is not to inherit a mirror's read-only mode.
        shutil.copyfile(found.paths[file.path], target)
        if (
            file.sha256 is not None
            and (seen := describe_file(target.parent, target.name).sha256) != file.sha256
        ):
            raise DigestMismatch(
                f"{found.paths[file.path]}: sha256 is {seen}, "
                f"but {file.path} of {entry.name} has {file.sha256}"
            )


def _copy_finished(entry: CatalogueEntry, finished: Path, folder: Path) -> None:
    source = verify_pack(finished).pack
    if (source.name, source.analyzer, source.role) != (entry.name, entry.analyzer, entry.role):
        raise InvalidPack(
            f"{finished}: is {source.name} for {source.analyzer}.{source.role}, "
            f"not {entry.name} for {entry.slot}"
        )
    expected = {file.path: file.sha256 for file in entry.files if file.sha256}
    for file in source.files:
        if file.sha256 != expected.get(file.path, file.sha256):
            raise DigestMismatch(
                f"{finished / file.path}: sha256 is {file.sha256}, "
                f"but {entry.name} has {expected[file.path]}"
            )
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(finished / file.path, target)
    shutil.copyfile(finished / PACK_FILE, folder / PACK_FILE)


def _fetch(file: CatalogueFile, request: Request, target: Path, progress: DownloadProgress) -> None:
    # Imported here: a pack that is already on this machine needs no HTTP client.
    from local.packs.download import download, extract_member

    assert file.url is not None  # noqa: S101  # `downloadable` said so
    pin = request.pins.get(file.path, file.sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Outside the workspace, so that what arrived survives a broken connection.
    name = f"{hashlib.sha256(file.url.encode()).hexdigest()[:16]}-{file.url.rpartition('/')[2]}"
    arrived = scratch_folder(request.home) / "downloads" / name
    arrived.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{arrived}.lock"):
        if not arrived.exists():
            download(
                file.url,
                arrived,
                sha256=None if file.member else pin,
                size_bytes=None if file.member else file.size_bytes,
                progress=lambda have, total: progress(name[17:], have, total),
            )
        if file.member is None:
            arrived.replace(target)
            return
        extract_member(arrived, file.member, target, size_bytes=file.size_bytes)
        if pin is not None and (seen := describe_file(target.parent, target.name).sha256) != pin:
            arrived.unlink()
            raise DigestMismatch(f"{file.url}: {file.member}: sha256 is {seen}, expected {pin}")


def discard_downloads(home: Path) -> None:
    """Remove archives kept for the sake of a second pack in them."""
    for path in (scratch_folder(home) / "downloads").glob("*.zip"):
        with FileLock(f"{path}.lock"):
            path.unlink(missing_ok=True)


def _describe(catalogue: Catalogue, entry: CatalogueEntry, folder: Path, origin: str) -> Pack:
    labels = catalogue.labels[entry.labels] if entry.labels else []
    weights = [folder / file.path for file in entry.files if file.path.endswith(".onnx")]
    return Pack(
        name=entry.name,
        version=entry.version,
        analyzer=entry.analyzer,
        role=entry.role,
        source=entry.source,
        licence=entry.licence,
        files=[describe_file(folder, file.path) for file in entry.files],
        input_size=entry.input_size,
        class_names=(class_names_of(weights[0]) if len(weights) == 1 else []) or labels,
        parameters=entry.parameters,
        provenance={"origin": origin},
    )


def _check_pins(entry: CatalogueEntry, pack: Pack, pins: Mapping[str, str]) -> None:
    digests = {file.path: file.sha256 for file in pack.files}
    for path, expected in pins.items():
        if path not in digests:
            raise DigestMismatch(f"{entry.name} has no file {path}; it has {', '.join(digests)}")
        if digests[path] != expected:
            raise DigestMismatch(
                f"{entry.name}: sha256 of {path} is {digests[path]}, expected {expected}"
            )
