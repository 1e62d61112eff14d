"""Faces: how many people, and which of them are known."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from screener.errors import InvalidObservations
from screener.observations import Face, FacesFrame, FacesObservations, decode_embeddings
from screener.policy.findings import Hit, segments
from screener.policy.known_faces import InvalidKnownFaces, KnownFaces
from screener.policy.material import ordered_frames
from screener.policy.model import FacesPolicy
from screener.policy.people import group_people
from screener.sections import (
    Certainty,
    FacesFrameDetail,
    FacesSection,
    KnownFacesReport,
    KnownMatch,
    Segment,
)
from screener.taxonomy import Source

KNOWN_PERSON = "people.known"
RECOGNISER = "recogniser"
_BLOCK = 2_048
_SHORTEST = 1e-6
_DETAILS = TypeAdapter(list[FacesFrameDetail])
"""One call for all frames is several times faster than making each model by itself."""


class _Match:
    """The nearest known person of one face."""

    __slots__ = ("certain", "person", "similarity")

    def __init__(self, person: int, similarity: float, *, certain: bool) -> None:
        self.person = person
        self.similarity = similarity
        self.certain = certain


class Faces:
    """Judges the face observations of one video.

    Args:
        chunks: observations, at least one.
        policy: thresholds.
        known: the index; None when the stack has none; the error when it has a broken one.

    Raises:
        InvalidObservations: an embedding is not of the size that its observations state.
    """

    def __init__(
        self,
        chunks: Sequence[FacesObservations],
        policy: FacesPolicy,
        known: KnownFaces | InvalidKnownFaces | None,
    ) -> None:
        self._policy = policy
        self._frames = ordered_frames([(item.chunk, item.frames) for item in chunks])
        self.known_report, self._known = _usable(chunks, known)
        self._threshold = min(
            (
                policy.thresholds.get(pack.name, policy.default_threshold)
                for item in chunks
                for pack in item.packs
                if pack.role == RECOGNISER
            ),
            default=policy.default_threshold,
        )
        self._size = chunks[0].embedding_size
        self._faces = [self._confident(frame) for _, frame in self._frames]
        borders = [0, *accumulate(map(len, self._faces))]
        self._places = [slice(start, end) for start, end in pairwise(borders)]
        """Where the faces of each frame are among all faces."""
        self._embeddings = self._decode_all()
        self._matches = self._nearest()
        self.matches = self._known_matches()
        self.segments: list[Segment] = [
            segment for match in self.matches for segment in match.segments
        ]

    def section(self, *, max_frames: int) -> FacesSection:
        persons = group_people([self._embeddings[place] for place in self._places], self._threshold)
        kept = list(range(len(self._frames)))
        if len(kept) > max_frames:
            kept = [index for index in kept if any(map(self._is_match, self._matches[index]))]
        return FacesSection(
            total_faces_detected=sum(len(faces) for faces in self._faces),
            unique_identities=1 + max((max(here) for here in persons if here), default=-1),
            known_matches=self.matches,
            known_faces=self.known_report,
            per_frame=_DETAILS.validate_python(
                [self._detail(index, persons[index]) for index in kept]
            ),
            per_frame_omitted=len(self._frames) - len(kept),
        )

    def _confident(self, frame: FacesFrame) -> list[Face]:
        return sorted(
            (face for face in frame.faces if face.score >= self._policy.min_detection_score),
            key=lambda face: (face.box.left, face.box.top, face.embedding),
        )

    def _decode_all(self) -> NDArray[np.float32]:
        """All faces' embeddings as unit vectors, shape (F, D)."""
        texts = (face.embedding for faces in self._faces for face in faces)
        try:
            vectors = decode_embeddings(texts, self._size)
        except ValueError as cause:
            raise InvalidObservations(f"a face embedding is not usable: {cause}") from cause
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise InvalidObservations("a face embedding holds values that are not numbers")
        vectors /= np.maximum(lengths, _SHORTEST)
        return vectors

    def _nearest(self) -> list[list[_Match | None]]:
        """Per frame and face the nearest known person."""
        known = self._known
        if known is None or not known.people:
            return [[None] * len(faces) for faces in self._faces]
        found: list[_Match] = []
        # One product for many faces is several times faster than one per frame.
        for start in range(0, len(self._embeddings), _BLOCK):
            found += self._compared(self._embeddings[start : start + _BLOCK], known)
        matches: list[list[_Match | None]] = []
        for place in self._places:
            here = found[place]
            self._once_per_frame(here)
            matches.append([*here])
        return matches

    def _compared(self, embeddings: NDArray[np.float32], known: KnownFaces) -> list[_Match]:
        by_person = known.similarities(embeddings)
        rows = np.arange(len(by_person))
        best = by_person.argmax(axis=1)
        similarity = by_person[rows, best]
        by_person[rows, best] = -1.0
        ambiguous = similarity - by_person.max(axis=1) < self._policy.margin
        return [
            _Match(person, value, certain=not unclear)
            for person, value, unclear in zip(
                best.tolist(), similarity.tolist(), ambiguous.tolist(), strict=True
            )
        ]

    def _once_per_frame(self, found: list[_Match]) -> None:
        """One person is in a frame once: of two faces that match, the more similar is meant."""
        if len(found) < 2:
            return
        taken: set[int] = set()
        for match in sorted(found, key=lambda item: -item.similarity):
            if match.similarity >= self._threshold and match.person in taken:
                match.person = -1
            taken.add(match.person)

    def _is_match(self, match: _Match | None) -> bool:
        return match is not None and match.person >= 0 and match.similarity >= self._threshold

    def _known_matches(self) -> list[KnownMatch]:
        known = self._known
        if known is None:
            return []
        hits: dict[int, list[Hit]] = defaultdict(list)
        for (_, frame), matches in zip(self._frames, self._matches, strict=True):
            for match in matches:
                if match is not None and self._is_match(match):
                    hits[match.person].append(_hit(frame, known.people[match.person], match))
        found = []
        for person, person_hits in sorted(hits.items()):
            persistent = segments(
                person_hits, KNOWN_PERSON, Source.KNOWN_FACES, self._policy.persistence
            )
            if not persistent:
                continue
            label = known.people[person]
            note = known.note(label)
            peak = max(person_hits, key=lambda hit: (hit.confidence, -hit.timestamp_ms))
            certain = any(item.certainty is Certainty.CONFIRMED for item in persistent)
            found.append(
                KnownMatch(
                    label=label,
                    max_similarity=round(peak.confidence, 4),
                    timestamp_ms=peak.timestamp_ms,
                    frames=len({hit.timestamp_ms for hit in person_hits}),
                    certainty=Certainty.CONFIRMED if certain else Certainty.UNCERTAIN,
                    urls=note.urls,
                    notes=note.notes,
                    segments=persistent,
                )
            )
        return sorted(found, key=lambda match: (-match.max_similarity, match.label))

    def _detail(self, index: int, persons: Sequence[int]) -> dict[str, Any]:
        """The fields of one frame's `FacesFrameDetail`."""
        name, frame = self._frames[index]
        people = self._known.people if self._known else ()
        return {
            "frame": name,
            "timestamp_ms": frame.timestamp_ms,
            "faces": [
                {
                    "box": face.box,
                    "confidence": round(face.score, 4),
                    "person": person + 1,
                    "match": people[match.person] if match and self._is_match(match) else None,
                    "similarity": round(match.similarity, 4) if match else None,
                }
                for face, person, match in zip(
                    self._faces[index], persons, self._matches[index], strict=True
                )
            ],
        }


def _hit(frame: FacesFrame, label: str, match: _Match) -> Hit:
    return Hit(
        start_ms=frame.span_start_ms,
        end_ms=max(frame.span_end_ms, frame.span_start_ms),
        timestamp_ms=frame.timestamp_ms,
        label=label,
        confidence=max(0.0, min(1.0, match.similarity)),
        confirmed=match.certain,
    )


def _usable(
    chunks: Sequence[FacesObservations], known: KnownFaces | InvalidKnownFaces | None
) -> tuple[KnownFacesReport, KnownFaces | None]:
    if known is None:
        return _report("not_configured", None, None), None
    if isinstance(known, InvalidKnownFaces):
        return _report("not_evaluated", f"the index of known faces is broken: {known}", None), None
    wanted = known.metadata.recogniser
    used = {
        (pack.name, pack.sha256)
        for item in chunks
        for pack in item.packs
        if pack.role == RECOGNISER
    }
    dimensions = {item.embedding_size for item in chunks}
    if used != {(wanted.name, wanted.sha256)} or dimensions != {known.embeddings.shape[1]}:
        names = ", ".join(sorted(name for name, _ in used)) or "none"
        reason = (
            f"the index was made with recogniser {wanted.name}, the faces with {names}: "
            "similarities of different weights do not compare"
        )
        return _report("not_evaluated", reason, known), None
    return _report("evaluated", None, known), known


def _report(status: str, reason: str | None, known: KnownFaces | None) -> KnownFacesReport:
    return KnownFacesReport.model_validate(
        {
            "status": status,
            "reason": reason,
            "identities": len(known.people) if known else None,
            "index_sha256": known.sha256 if known else None,
        }
    )
