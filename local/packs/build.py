"""Making packs that nobody publishes as ONNX: export with the real library, then compare."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from pydantic import ValidationError

from local.packs.catalogue import CatalogueEntry, Recipe
from local.packs.environment import last_lines
from local.packs.errors import BuildFailed
from local.packs.folders import place, workspace, write_pack_file
from local.packs.places import packs_folder, scratch_folder
from local.packs.recipes.contract import EXPORT_FILE, RANDOM_WEIGHTS, Export, Job, Precision
from screener.observations import Analyzer
from screener.packs import InstalledPack, Pack, describe_file, read_pack, verify_pack

_REPOSITORY = Path(__file__).resolve().parents[2]
_TIMEOUT_SECONDS = 3600

MakePython = Callable[[], Path]
"""Gives the build environment's Python, installing it first if need be."""


class Order(NamedTuple):
    """What to build, and as what."""

    name: str
    analyzer: Analyzer
    role: str
    version: str
    source: str
    licence: str
    recipe: Recipe
    model: str
    weights: str
    network: str
    precision: Precision
    parameters: dict[str, object]


def order_from_catalogue(
    entry: CatalogueEntry,
    *,
    name: str | None,
    weights: str | None,
    licence: str | None,
    precision: Precision,
    mirror: Path | None,
) -> Order:
    """An order for a pack of the catalogue.

    Args:
        entry: what to build.
        name: of the pack, when not the catalogue's.
        weights: a file, or "random"; by default the mirror's, else the library's download.
        licence: of weights of the user's own.
        precision: a half-precision pack gets a name of its own.
        mirror: folder with weights.

    Raises:
        BuildFailed: the pack is not one that is built, not in that precision, or the name would
            mislead.
    """
    source = entry.build
    if source is None:
        raise BuildFailed(f"{entry.name} is not built; `{entry.command}` gets it")
    _refuse_precision(entry.name, source.recipe, precision)
    if weights is not None and name is None:
        raise BuildFailed(
            f"weights of your own need a --name of their own, for {entry.name} stands for those "
            f"of {entry.source}"
        )
    version, origin, terms = entry.version, entry.source, entry.licence
    if weights == RANDOM_WEIGHTS:
        version, origin = "random", "random weights, for tests only"
    elif weights is not None:
        own = _own_weights(Path(weights))
        weights, version, origin = str(own.path), own.version, own.source
        terms = licence or own.licence
    elif mirror is not None:
        found = [mirror / path for path in source.mirror if (mirror / path).is_file()]
        weights = str(found[0]) if found else None
    return Order(
        name=name or entry.name + _suffix(precision),
        analyzer=entry.analyzer,
        role=entry.role,
        version=version,
        source=origin,
        licence=terms,
        recipe=source.recipe,
        model=source.model,
        weights=weights or source.weights,
        network=entry.files[0].path,
        precision=precision,
        parameters=entry.parameters,
    )


def order_for_own_detector(
    weights: Path, *, name: str | None, licence: str | None, precision: Precision
) -> Order:
    """An order for an Ultralytics detector of the user's own.

    Raises:
        BuildFailed: no such file, no name can be made from it, or not in that precision.
    """
    _refuse_precision(weights.name, Recipe.ULTRALYTICS, precision)
    own = _own_weights(weights)
    slug = re.sub(r"[^a-z0-9]+", "-", (name or weights.stem).lower()).strip("-")
    if not slug:
        raise BuildFailed(f"{weights.name}: give the pack a --name of letters and digits")
    return Order(
        name=slug + _suffix(precision),
        analyzer=Analyzer.OBJECTS,
        role="detector",
        version=own.version,
        source=own.source,
        licence=licence or own.licence,
        recipe=Recipe.ULTRALYTICS,
        model=slug,
        weights=str(own.path),
        network=f"{slug}.onnx",
        precision=precision,
        parameters={},
    )


def _refuse_precision(name: str, recipe: Recipe, precision: Precision) -> None:
    # Boxes and scores of detectors leave their tolerances long before a cosine shows it.
    if precision is Precision.INT8 and recipe is not Recipe.OPEN_CLIP:
        raise BuildFailed(f"{name}: 8 bits are for CLIP only")


class _OwnWeights(NamedTuple):
    path: Path
    version: str
    source: str
    licence: str


def _own_weights(path: Path) -> _OwnWeights:
    if not path.is_file():
        raise BuildFailed(f"{path}: no such file")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _OwnWeights(
        path.absolute(),
        digest[:12],
        f"weights of your own, sha256 {digest}",
        "not stated (weights of your own)",
    )


def _suffix(precision: Precision) -> str:
    return "" if precision is Precision.FP32 else f"-{precision}"


def build_pack(
    order: Order, home: Path, make_python: MakePython, images: Path | None = None
) -> InstalledPack:
    """Export, compare, and install; what differs too much from the library is refused.

    Args:
        order: see `order_from_catalogue` and `order_for_own_detector`.
        home: SCREENER_HOME.
        make_python: see `local.packs.environment.build_environment`.
        images: folder with real images to compare on, besides the recipe's own two.

    Raises:
        BuildFailed: the export failed, or differs more than the recipe allows.
        InvalidPack: the export is not what a pack may hold.
    """
    python = make_python()
    scratch_folder(home).mkdir(parents=True, exist_ok=True)
    with (
        FileLock(scratch_folder(home) / f"{order.name}.lock"),
        workspace(home, f"{order.name}-work") as work,
        workspace(home, order.name) as folder,
    ):
        job = Job(
            recipe=order.recipe,
            model=order.model,
            weights=order.weights,
            precision=order.precision,
            folder=folder,
            network=order.network,
            images=images.absolute() if images else None,
        )
        export = _run(python, job, work, home)
        _refuse_differences(order, export)
        write_pack_file(folder, _describe(order, export, folder))
        verify_pack(folder)
        place(folder, packs_folder(home) / order.name)
    return read_pack(packs_folder(home) / order.name)


def _run(python: Path, job: Job, work: Path, home: Path) -> Export:
    job_file = work / "job.json"
    job_file.write_text(job.model_dump_json())
    environment = os.environ | {
        "PYTHONPATH": f"{_REPOSITORY}{os.pathsep}{_REPOSITORY / 'core'}",
        # Ultralytics installs what it misses and reports what it does; neither is wanted here.
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(work),
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": str(work / "keras"),
        "OPENNSFW2_HOME": str(home / "build" / "opennsfw2"),
    }
    try:
        done = subprocess.run(
            [str(python), "-m", "local.packs.recipes", str(job_file)],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as cause:
        raise BuildFailed(f"{job.model}: exporting took more than {_TIMEOUT_SECONDS} s") from cause
    if done.returncode != 0:
        log = home / "build" / f"{job.folder.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout + done.stderr)
        reason = last_lines(done.stderr, 1) or f"exit status {done.returncode}"
        raise BuildFailed(f"{job.model}: exporting failed: {reason} (whole output: {log})")
    report = job.folder / EXPORT_FILE
    try:
        export = Export.model_validate_json(report.read_bytes())
    except (OSError, ValidationError) as cause:
        raise BuildFailed(f"{job.model}: the export left no usable report: {cause}") from cause
    report.unlink()
    return export


def _refuse_differences(order: Order, export: Export) -> None:
    # Written so that a NaN, which compares as false with everything, is refused too.
    worse = [parity for parity in export.parity if not parity.value <= parity.limit]
    if worse or not export.parity:
        found = "; ".join(f"{it.measure}: {it.value:.3g}, allowed {it.limit:g}" for it in worse)
        raise BuildFailed(f"{order.name}: differs from its library: {found or 'nothing compared'}")


def _describe(order: Order, export: Export, folder: Path) -> Pack:
    return Pack(
        name=order.name,
        version=order.version,
        analyzer=order.analyzer,
        role=order.role,
        source=order.source,
        licence=order.licence,
        files=[describe_file(folder, path) for path in export.files],
        input_size=export.input_size,
        class_names=export.class_names,
        parameters=order.parameters | export.parameters,
        provenance={
            "origin": f"exported from {order.weights or order.model}",
            "libraries": export.libraries,
            "compared_on": export.compared_on,
            "parity": [parity.model_dump() for parity in export.parity],
        },
    )
