"""Portraits on disk: one folder per person, checked and made into one frame bundle.

people/
    Ann Example/        the label
        front.jpg
        left.png
        about.yaml      urls: [https://...]  notes: why this person is known
    Bob.jpg             a person with a single portrait
"""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import ValidationError

from screener.bundles import FrameBundleManifest, FrameEntry, frame_name, write_bundle
from screener.errors import ScreenerError
from screener.policy.known_faces import IdentityNote
from screener.sampling import Sampling

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
ABOUT = "about.yaml"
BUNDLE_NAME = "portraits"
MAX_IMAGE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 100_000_000
SIDE_PX = 1_280
MAX_PORTRAITS = 10_000
_JPEG_QUALITY = 95


class UnusablePortraits(ScreenerError):
    """A folder of portraits cannot be enrolled; the message names the file and the reason."""


@dataclass(frozen=True)
class Portrait:
    label: str
    path: Path


def find_portraits(folder: Path) -> list[Portrait]:
    """All portraits below a folder, by label and name.

    Raises:
        UnusablePortraits: there are none, or far too many.
    """
    found = [
        Portrait(path.stem if path.parent == folder else path.parent.name, path)
        for path in sorted([*folder.glob("*"), *folder.glob("*/*")])
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.is_symlink()
    ]
    if not found:
        raise UnusablePortraits(f"{folder}: no pictures ({', '.join(sorted(SUFFIXES))}) in it")
    if len(found) > MAX_PORTRAITS:
        raise UnusablePortraits(f"{folder}: {len(found)} pictures; enroll {MAX_PORTRAITS} at once")
    return found


def read_note(folder: Path, label: str) -> IdentityNote:
    """What `about.yaml` says of a person; nothing when there is none.

    Raises:
        UnusablePortraits: the file is not such a note.
    """
    path = folder / label / ABOUT
    if not path.is_file():
        return IdentityNote()
    try:
        return IdentityNote.model_validate(yaml.safe_load(path.read_bytes()) or {})
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UnusablePortraits(f"{path}: {place}: {first['msg']}") from cause
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as cause:
        raise UnusablePortraits(f"{path}: {cause}") from cause


def read_picture(path: Path) -> bytes:
    """A portrait as a JPEG, upright, fitted into a square of `SIDE_PX`.

    Raises:
        UnusablePortraits: not a picture, or too large.
    """
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise UnusablePortraits(f"{path}: larger than {MAX_IMAGE_BYTES} bytes")
        with warnings.catch_warnings():
            # Pillow's own limit warns first; ours refuses.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise UnusablePortraits(f"{path}: more than {MAX_PIXELS} pixels")
                image = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as cause:
        raise UnusablePortraits(f"{path}: not a readable picture: {cause}") from cause
    # All frames of a bundle have one size.
    image = ImageOps.pad(image, (SIDE_PX, SIDE_PX), color="black")
    target = io.BytesIO()
    image.save(target, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return target.getvalue()


def portrait_bundle(pictures: list[bytes]) -> io.BytesIO:
    """Pictures as a frame bundle, one "second" each."""
    sampling = Sampling()
    manifest = FrameBundleManifest(
        video_id=BUNDLE_NAME,
        sampling_id=sampling.sampling_id,
        sampling=sampling,
        chunk=0,
        time_base="1/1000",
        width=SIDE_PX,
        height=SIDE_PX,
        frames=list(_entries(len(pictures))),
    )
    target = io.BytesIO()
    write_bundle(target, manifest, iter(pictures))
    target.seek(0)
    return target


def _entries(count: int) -> Iterator[FrameEntry]:
    for index in range(count):
        yield FrameEntry(
            index=index,
            name=frame_name(index),
            pts=index * 1_000,
            timestamp_ms=index * 1_000,
            span_start_ms=index * 1_000,
            span_end_ms=(index + 1) * 1_000,
        )
