"""Frames that show why: chosen from the document, cut from the frame bundles, blurred."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageFilter, UnidentifiedImageError

from screener import taxonomy
from screener.bundles import BundleReader
from screener.document import Document
from screener.errors import InvalidBundle
from screener.observations import Box
from screener.sections import LabelledBox, Segment
from screener.taxonomy import Source

BundleOpener = Callable[[int], BinaryIO | None]
"""Opens the frame bundle of a chunk; None when it is not there (any more)."""

MAX_FRAMES = 24
LONGEST_SIDE_PX = 480
JPEG_QUALITY = 70
MAX_PIXELS = 64_000_000
_BLUR_SHARE = 0.06
"""Blur radius of a whole frame as a share of its longest side."""
_DISTURBING = ("violence", "visually_disturbing")
_MARGIN = 0.15
"""A region is blurred with this share of its size more on every side: boxes are tight."""


@dataclass(frozen=True)
class EvidenceFrame:
    """One frame, ready for the page."""

    name: str
    timestamp_ms: int
    blurred: str
    """data: URI. Nude regions are blurred; the whole frame where no region is known, or where
    it may show violence."""
    clear: str | None
    """data: URI without blur; None when originals are left out."""
    width: int
    height: int
    boxes: tuple[LabelledBox, ...]
    why: tuple[str, ...]


def evidence_frames(
    document: Document, open_bundle: BundleOpener, *, originals: bool = True
) -> list[EvidenceFrame]:
    """The frames of the strongest findings, in order of time; those that can be read.

    Args:
        document: whose findings.
        open_bundle: where its frames are.
        originals: whether the page shall be able to show a frame without blur.
    """
    wanted = _wanted(document)
    found = []
    for chunk in sorted({_chunk_of(name) for name in wanted}):
        source = open_bundle(chunk)
        if source is None:
            continue
        with source:
            found += list(_read(source, chunk, wanted, document, originals=originals))
    return sorted(found, key=lambda frame: frame.timestamp_ms)


def blur(image: Image.Image, boxes: list[Box], *, whole: bool) -> Image.Image:
    """A copy of an image that does not show its boxes, or anything when `whole`."""
    radius = max(8.0, _BLUR_SHARE * max(image.size))
    hidden = image.filter(ImageFilter.GaussianBlur(radius))
    if whole:
        return hidden
    result = image.copy()
    for box in boxes:
        wider, higher = box.width * _MARGIN, box.height * _MARGIN
        left = max(0, int((box.left - wider) * image.width))
        top = max(0, int((box.top - higher) * image.height))
        right = min(image.width, int((box.left + box.width + wider) * image.width) + 1)
        bottom = min(image.height, int((box.top + box.height + higher) * image.height) + 1)
        if right > left and bottom > top:
            result.paste(hidden.crop((left, top, right, bottom)), (left, top))
    return result


def _wanted(document: Document) -> dict[str, list[Segment]]:
    """Frame name -> segments whose peak it is, for the strongest segments."""
    segments = [
        segment
        for section in (document.moderation, document.objects)
        if section is not None
        for segment in section.segments
    ]
    if document.faces is not None:
        segments += [item for match in document.faces.known_matches for item in match.segments]
    weight = {reason.category: reason.decision.gravity for reason in document.verdict.reasons}
    segments.sort(key=lambda item: (-weight.get(item.category, -1), -item.confidence))
    names = _names_by_time(document)
    wanted: dict[str, list[Segment]] = {}
    for segment in segments:
        name = names.get(segment.peak_ms)
        if name is not None and (name in wanted or len(wanted) < MAX_FRAMES):
            wanted.setdefault(name, []).append(segment)
    return wanted


def _names_by_time(document: Document) -> dict[int, str]:
    names: dict[int, str] = {}
    for section in (document.moderation, document.faces, document.objects):
        for frame in section.per_frame if section is not None else ():
            names[frame.timestamp_ms] = frame.frame
    return names


def _chunk_of(name: str) -> int:
    chunk, separator, _ = name.rpartition("/")
    return int(chunk) if separator else 0


def _read(
    source: BinaryIO,
    chunk: int,
    wanted: Mapping[str, list[Segment]],
    document: Document,
    *,
    originals: bool,
) -> Iterator[EvidenceFrame]:
    here = {name.rpartition("/")[2]: name for name in wanted if _chunk_of(name) == chunk}
    try:
        for frame in BundleReader(source):
            name = here.pop(frame.entry.name, None)
            if name is None:
                continue
            shown = _shown(frame.jpeg, name, frame.entry.timestamp_ms, wanted[name], document)
            if shown is not None:
                yield shown if originals else _without_original(shown)
            if not here:
                return
    except InvalidBundle:
        # A report without some of its pictures is better than no report.
        return


def _shown(
    jpeg: bytes, name: str, timestamp_ms: int, why: list[Segment], document: Document
) -> EvidenceFrame | None:
    try:
        with Image.open(io.BytesIO(jpeg)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return None
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    image.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    regions, unsafe = _regions(document, name)
    disturbing = any(
        taxonomy.is_within(segment.category, category)
        for segment in why
        for category in _DISTURBING
    )
    hidden = blur(
        image, [item.box for item in regions], whole=disturbing or (unsafe and not regions)
    )
    return EvidenceFrame(
        name=name,
        timestamp_ms=timestamp_ms,
        blurred=_data_uri(hidden),
        clear=_data_uri(image),
        width=image.width,
        height=image.height,
        boxes=tuple(_object_boxes(document, name)),
        why=tuple(dict.fromkeys(_reason(segment) for segment in why)),
    )


def _reason(segment: Segment) -> str:
    return f"{' > '.join(segment.taxonomy)}: {', '.join(segment.labels)}"


def _without_original(frame: EvidenceFrame) -> EvidenceFrame:
    return EvidenceFrame(**{**vars(frame), "clear": None})


def _regions(document: Document, name: str) -> tuple[list[LabelledBox], bool]:
    """Nude regions of a frame, and whether anything calls the frame unsafe."""
    if document.moderation is None:
        # Nobody looked: nobody knows what the frame shows.
        return [], True
    labels = [item for item in document.moderation.labels if item.frame == name]
    regions = [
        LabelledBox(label=item.label, confidence=item.confidence, box=item.box)
        for item in labels
        if item.box is not None and not taxonomy.is_within(item.category, "people")
    ]
    unsafe = any(item.source is Source.OPENNSFW2 for item in labels)
    return regions, unsafe


def _object_boxes(document: Document, name: str) -> list[LabelledBox]:
    if document.objects is None:
        return []
    findings = {label for segment in document.objects.segments for label in segment.labels}
    return [
        item
        for frame in document.objects.per_frame
        if frame.frame == name
        for item in frame.objects
        if item.label in findings
    ]


def _data_uri(image: Image.Image) -> str:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode("ascii")
