"""Which code runs a pack: one module per family of networks, named by the pack.

`pack.json` parameter `family` is the name of a module in `detectors` or `recognisers`; the
module's `load(pack, runtime)` makes the adapter. One more file there is one more family.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from model_servers.faces import detectors, recognisers
from model_servers.serving.images import Pixels
from model_servers.serving.runtime import Runtime
from screener.errors import InvalidPack
from screener.packs import InstalledPack

LANDMARKS = 5
"""Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture."""


class Prepared(NamedTuple):
    """One image as a detector's network takes it."""

    blob: NDArray[np.float32]
    """(1, 3, H, W)"""
    scale: tuple[float, float]
    """From image to network pixels, across and down."""


class Faces(NamedTuple):
    """Faces of one image in its own pixels, best first."""

    boxes: NDArray[np.float32]
    """(n, 4): left, top, right, bottom; may lie partly outside the image."""
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    """(n, 5, 2)"""

    @classmethod
    def none(cls) -> "Faces":
        empty = np.empty((0, 4), np.float32)
        return cls(empty, empty[:, 0], np.empty((0, LANDMARKS, 2), np.float32))


class Detector(Protocol):
    """Finds faces."""

    def preprocess(self, pixels: Pixels) -> Prepared:
        """Runs in worker threads."""

    def detect(self, prepared: Prepared) -> Faces:
        """Faces above the family's floor, overlapping ones dropped."""


class Recogniser(Protocol):
    """Turns faces to vectors."""

    embedding_size: int

    def align(self, pixels: Pixels, landmarks: NDArray[np.float32]) -> Pixels:
        """The face with these landmarks (5, 2), cut out upright as the network wants it."""

    def embed(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        """Unit vectors (n, embedding_size) of aligned faces, many per network call."""

    def warm_up(self) -> None:
        """Run the network once."""


class _DetectorFamily(Protocol):
    def load(self, pack: InstalledPack, runtime: Runtime) -> Detector: ...


class _RecogniserFamily(Protocol):
    def load(self, pack: InstalledPack, runtime: Runtime) -> Recogniser: ...


def load_detector(pack: InstalledPack, runtime: Runtime) -> Detector:
    """The adapter of a pack's family with its weights.

    Raises:
        InvalidPack: an unknown family, or not a network of that family.
    """
    return cast(_DetectorFamily, _module(detectors, pack)).load(pack, runtime)


def load_recogniser(pack: InstalledPack, runtime: Runtime) -> Recogniser:
    """As `load_detector`.

    Raises:
        InvalidPack: an unknown family, or not a network of that family.
    """
    return cast(_RecogniserFamily, _module(recognisers, pack)).load(pack, runtime)


def _module(package: ModuleType, pack: InstalledPack) -> ModuleType:
    family = pack.pack.parameters.get("family")
    # Only names of files that are there: what a pack says is not imported as it stands.
    known = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    if family not in known:
        raise InvalidPack(
            f"{pack.folder}: parameter family is {family!r}; "
            f"this server knows the {pack.pack.role} families {', '.join(known)}"
        )
    return importlib.import_module(f"{package.__name__}.{family}")
