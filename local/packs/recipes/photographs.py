"""The real images that exports are compared on."""

from pathlib import Path

from PIL import Image

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_MOST = 16


def photographs(folder: Path | None) -> dict[str, Image.Image]:
    """Name -> RGB image, at most 16 of a folder in the order of their names.

    Raises:
        ValueError: the folder holds no image.
    """
    if folder is None:
        # Two street and press photographs inside the wheel, so that no build needs a download.
        from ultralytics.utils import ASSETS

        folder = Path(ASSETS)
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)[:_MOST]
    if not paths:
        raise ValueError(f"{folder}: no image to compare on")
    return {path.name: Image.open(path).convert("RGB") for path in paths}
