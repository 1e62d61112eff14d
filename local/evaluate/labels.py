"""The labelled set: a CSV file that says of documents what a person saw.

    document,unsafe,start_ms,end_ms
    clips/a.moderation.json,yes,,
    s3://media/uploads/b.moderation.json,no,10000,20000

With start_ms and end_ms the label is about that part of the video, else about all of it.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.documents import read_document
from screener.document import Document
from screener.errors import ScreenerError

_YES = frozenset({"1", "yes", "true", "unsafe", "y"})
_NO = frozenset({"0", "no", "false", "safe", "n"})
_COLUMNS = frozenset({"document", "unsafe", "start_ms", "end_ms"})


class UnusableLabels(ScreenerError):
    """The file of labels cannot be used; the message names the line."""


@dataclass(frozen=True)
class Sample:
    """One label and what the models said of the same frames."""

    name: str
    unsafe: bool
    scores: dict[str, float]
    """Highest score of any frame, by model; "both" and "either" join the two frame by frame."""


def read_samples(path: Path) -> list[Sample]:
    """Read labels and the documents that they are about.

    Raises:
        UnusableLabels: a line is wrong, or a document has no scores for the part.
        UnusableDocument: a document cannot be read.
    """
    documents: dict[str, Document] = {}
    samples = []
    for line, row in _rows(path):
        address = _address(row["document"], path.parent)
        if address not in documents:
            documents[address] = read_document(address)
        place = f"{path}:{line}"
        samples.append(
            Sample(
                name=address,
                unsafe=_unsafe(row["unsafe"], place),
                scores=frame_scores(
                    documents[address],
                    _time(row.get("start_ms"), 0, place),
                    _time(row.get("end_ms"), None, place),
                    place,
                ),
            )
        )
    if not samples:
        raise UnusableLabels(f"{path}: no labels in it")
    return samples


def frame_scores(
    document: Document, start_ms: int | None, end_ms: int | None, place: str
) -> dict[str, float]:
    """Highest scores within [start_ms, end_ms).

    Raises:
        UnusableLabels: no frame there was seen by any model.
    """
    moderation = document.moderation
    if moderation is None:
        raise UnusableLabels(f"{place}: the video was not analysed for nudity")
    if moderation.per_frame_omitted:
        raise UnusableLabels(
            f"{place}: the document leaves {moderation.per_frame_omitted} frames out; rejudge it "
            "with a larger max_per_frame_entries"
        )
    frames = [
        frame
        for frame in moderation.per_frame
        if (start_ms or 0) <= frame.timestamp_ms and (end_ms is None or frame.timestamp_ms < end_ms)
    ]
    scores: dict[str, float] = {}

    def put(model: str, value: float) -> None:
        scores[model] = max(scores.get(model, 0.0), value)

    for frame in frames:
        nudenet, opennsfw2 = frame.nudenet_score, frame.opennsfw2_score
        if nudenet is not None:
            put("nudenet", nudenet)
        if opennsfw2 is not None:
            put("opennsfw2", opennsfw2)
        if nudenet is not None and opennsfw2 is not None:
            put("both", min(nudenet, opennsfw2))
            put("either", max(nudenet, opennsfw2))
    if not scores:
        raise UnusableLabels(f"{place}: no frame of that part was analysed")
    return scores


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            names = set(reader.fieldnames or ())
            if not {"document", "unsafe"} <= names or not names <= _COLUMNS:
                raise UnusableLabels(
                    f"{path}:1: expected the columns document,unsafe[,start_ms,end_ms]"
                )
            for row in reader:
                if None in row or None in row.values():
                    raise UnusableLabels(f"{path}:{reader.line_num}: too many or too few cells")
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise UnusableLabels(f"{path}: {cause}") from cause


def _address(text: str, folder: Path) -> str:
    return text if text.startswith("s3://") else str(folder / text)


def _unsafe(text: str, place: str) -> bool:
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise UnusableLabels(f"{place}: unsafe is {text!r}, not yes or no")
    return word in _YES


def _time(text: str | None, default: int | None, place: str) -> int | None:
    if not (text or "").strip():
        return default
    try:
        return int(text or "")
    except ValueError as cause:
        raise UnusableLabels(f"{place}: {text!r} is not a time in milliseconds") from cause
