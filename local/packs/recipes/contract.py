"""What passes between `screener packs build` and a recipe: two JSON files."""

from enum import StrEnum
from pathlib import Path
from typing import Any

from local.packs.catalogue import Recipe
from screener.model import Message

EXPORT_FILE = "export.json"
RANDOM_WEIGHTS = "random"


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    """Half the size, for GPUs. Inputs and outputs stay float32, so servers need not know."""
    INT8 = "int8"
    """Matrix products in 8 bits, for CLIP on CPUs. Inputs and outputs stay float32."""


class Job(Message):
    """What a recipe is to do."""

    recipe: Recipe
    model: str
    """The library's name of the model."""
    weights: str
    """A file, a name of the library's own, "random", or empty for the library's default."""
    precision: Precision
    folder: Path
    """Where the files of the pack go, with `export.json`."""
    network: str
    """File name for a recipe that makes a single ONNX file."""
    images: Path | None
    """Folder with images to compare on; None for the two photographs that ultralytics ships."""


class Parity(Message):
    """One measured difference between the library and the export on the same inputs."""

    measure: str
    value: float
    limit: float
    """The build is refused when `value` is larger."""


class Export(Message):
    """What a recipe did."""

    files: list[str]
    input_size: tuple[int, int]
    class_names: list[str] = []
    parameters: dict[str, Any] = {}
    libraries: dict[str, str]
    """Name -> version of what exported."""
    compared_on: list[str]
    """Names of the images."""
    parity: list[Parity]
