"""How far two answers to the same request lie apart: a GPU's and a CPU's."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np

from screener.observations import (
    Analyzer,
    Box,
    Detection,
    FacesObservations,
    ModerationObservations,
    ObjectsObservations,
    TranscriptionObservations,
    decode_embedding,
)

_SAME_BOX = 0.5
"""Two boxes with more overlap (IoU) than this are one box found twice."""
_CLEAR = 0.05
"""A box that only one of them has counts when its score is so far above the floor."""


def compare(analyzer: Analyzer, cpu: bytes, gpu: bytes) -> dict[str, float]:
    """Largest differences by name; scores 0 to 1, boxes in pixels of a 1280-pixel frame.

    Args:
        analyzer: which server gave both.
        cpu, gpu: JSON of its observations.
    """
    match analyzer:
        case Analyzer.MODERATION:
            return _moderation(*map(ModerationObservations.model_validate_json, (cpu, gpu)))
        case Analyzer.FACES:
            return _faces(*map(FacesObservations.model_validate_json, (cpu, gpu)))
        case Analyzer.OBJECTS:
            return _objects(*map(ObjectsObservations.model_validate_json, (cpu, gpu)))
        case Analyzer.TRANSCRIPTION:
            return _words(*map(TranscriptionObservations.model_validate_json, (cpu, gpu)))


def _moderation(cpu: ModerationObservations, gpu: ModerationObservations) -> dict[str, float]:
    pairs = list(zip(cpu.frames, gpu.frames, strict=True))
    scores = [abs((a.nsfw_probability or 0) - (b.nsfw_probability or 0)) for a, b in pairs]
    found = _detections(((a.detections, b.detections) for a, b in pairs), floor=0.2)
    return {"nsfw": max(scores), **found}


def _faces(cpu: FacesObservations, gpu: FacesObservations) -> dict[str, float]:
    cosine, box, unmatched = 1.0, 0.0, 0
    for a, b in zip(cpu.frames, gpu.frames, strict=True):
        pairs = _pairs([face.box for face in a.faces], [face.box for face in b.faces])
        unmatched += len(a.faces) + len(b.faces) - 2 * len(pairs)
        for left, right in pairs:
            one, other = a.faces[left], b.faces[right]
            box = max(box, _distance_px(one.box, other.box))
            vectors = [decode_embedding(face.embedding).astype(np.float64) for face in (one, other)]
            norms = np.linalg.norm(vectors[0]) * np.linalg.norm(vectors[1])
            cosine = min(cosine, float(vectors[0] @ vectors[1] / norms))
    return {"cosine": cosine, "box_px": box, "unmatched": unmatched}


def _objects(cpu: ObjectsObservations, gpu: ObjectsObservations) -> dict[str, float]:
    pairs = list(zip(cpu.frames, gpu.frames, strict=True))
    found = _detections(((a.objects, b.objects) for a, b in pairs), floor=0.25)
    cosines = [
        float(decode_embedding(a.clip_embedding) @ decode_embedding(b.clip_embedding))
        for a, b in pairs
        if a.clip_embedding and b.clip_embedding
    ]
    return found | ({"clip_cosine": min(cosines)} if cosines else {})


def _words(cpu: TranscriptionObservations, gpu: TranscriptionObservations) -> dict[str, float]:
    ours, theirs = (
        [word.text.strip().lower() for segment in part.segments for word in segment.words]
        for part in (cpu, gpu)
    )
    return {"words": len(theirs), "words_apart": _words_apart(ours, theirs)}


def _detections(
    frames: Iterator[tuple[Sequence[Detection], Sequence[Detection]]], floor: float
) -> dict[str, float]:
    score, box, unmatched = 0.0, 0.0, 0
    for a, b in frames:
        for label in {item.label for item in (*a, *b)}:
            one = [item for item in a if item.label == label]
            other = [item for item in b if item.label == label]
            pairs = _pairs([item.box for item in one], [item.box for item in other])
            for left, right in pairs:
                score = max(score, abs(one[left].score - other[right].score))
                box = max(box, _distance_px(one[left].box, other[right].box))
            alone = [item for number, item in enumerate(one) if number not in dict(pairs)]
            matched = {right for _, right in pairs}
            alone += [item for number, item in enumerate(other) if number not in matched]
            unmatched += sum(item.score > floor + _CLEAR for item in alone)
    return {"score": score, "box_px": box, "unmatched": unmatched}


def _pairs(one: Sequence[Box], other: Sequence[Box]) -> list[tuple[int, int]]:
    """Boxes that overlap most, each used once."""
    overlaps = sorted(
        ((_overlap(a, b), i, j) for i, a in enumerate(one) for j, b in enumerate(other)),
        reverse=True,
    )
    lefts: set[int] = set()
    rights: set[int] = set()
    pairs = []
    for overlap, i, j in overlaps:
        if overlap > _SAME_BOX and i not in lefts and j not in rights:
            lefts.add(i)
            rights.add(j)
            pairs.append((i, j))
    return pairs


def _overlap(a: Box, b: Box) -> float:
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    common = max(0.0, width) * max(0.0, height)
    return common / (a.width * a.height + b.width * b.height - common)


def _distance_px(a: Box, b: Box) -> float:
    edges = (
        (a.left - b.left) * 1280,
        (a.left + a.width - b.left - b.width) * 1280,
        (a.top - b.top) * 720,
        (a.top + a.height - b.top - b.height) * 720,
    )
    return max(map(abs, edges))


def _words_apart(one: Sequence[str], other: Sequence[str]) -> int:
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return max(len(one), len(other)) - sum(block.size for block in blocks)
