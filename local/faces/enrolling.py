"""From faces in portraits to an index of known people, and changes of that index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from local.faces.portraits import Portrait
from screener.errors import ScreenerError
from screener.observations import Face, FacesObservations, decode_embedding
from screener.policy.faces import RECOGNISER
from screener.policy.known_faces import (
    IdentityNote,
    IndexMetadata,
    KnownFaces,
    dump_known_faces,
    load_known_faces,
)

MIN_DETECTION_SCORE = 0.5
MAIN_FACE_SHARE = 2.0
"""With several faces in a portrait the largest counts when it is this much larger."""


class WrongRecogniser(ScreenerError):
    """New portraits were embedded with other weights than the index."""


class UnknownPerson(ScreenerError):
    """The index does not hold a label."""


class Refused(NamedTuple):
    """A portrait that was left out."""

    portrait: Portrait
    reason: str


@dataclass(frozen=True)
class Enrolment:
    """Rows for an index."""

    metadata: IndexMetadata
    labels: list[str] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def enrol(
    portraits: Sequence[Portrait],
    observations: FacesObservations,
    notes: Mapping[str, IdentityNote],
    enrolled_at: str,
) -> Enrolment:
    """Take the face of each portrait.

    Args:
        portraits: in the order of the observations' frames.
        observations: what the faces server saw in them.
        notes: links and notes by label.
        enrolled_at: ISO 8601.

    Raises:
        WrongRecogniser: the observations do not say which weights made them.
    """
    recogniser = next((pack for pack in observations.packs if pack.role == RECOGNISER), None)
    if recogniser is None:
        raise WrongRecogniser("the faces server has no recogniser pack")
    by_index = {frame.index: frame.faces for frame in observations.frames}
    labels, vectors, refused = [], [], []
    for index, portrait in enumerate(portraits):
        face = _main_face(by_index.get(index, []))
        if isinstance(face, str):
            refused.append(Refused(portrait, face))
            continue
        labels.append(portrait.label)
        vectors.append(decode_embedding(face.embedding))
    return Enrolment(
        metadata=IndexMetadata(
            recogniser=recogniser,
            identities={
                label: notes.get(label, IdentityNote()).model_copy(
                    update={"enrolled_at": enrolled_at}
                )
                for label in dict.fromkeys(labels)
            },
        ),
        labels=labels,
        vectors=vectors,
        refused=refused,
    )


def merged(present: KnownFaces | None, new: Enrolment) -> bytes:
    """The index with the enrolment's people; people of the same label are replaced.

    Raises:
        WrongRecogniser: the index was made with other weights.
    """
    if present is None:
        return _dumped(new.vectors, new.labels, new.metadata)
    old = present.metadata.recogniser
    if (old.name, old.sha256) != (new.metadata.recogniser.name, new.metadata.recogniser.sha256):
        raise WrongRecogniser(
            f"the index was made with {old.name}, these portraits with "
            f"{new.metadata.recogniser.name}: enroll everybody anew"
        )
    kept = _without(present, set(new.labels))
    return _dumped(
        [*kept.vectors, *new.vectors],
        [*kept.labels, *new.labels],
        IndexMetadata(
            recogniser=old, identities=kept.metadata.identities | new.metadata.identities
        ),
    )


def removed(present: KnownFaces, label: str) -> bytes:
    """The index without a person.

    Raises:
        UnknownPerson: it does not hold the label.
    """
    if label not in present.people:
        raise UnknownPerson(f"{label!r} is not in the index")
    kept = _without(present, {label})
    return _dumped(kept.vectors, kept.labels, kept.metadata)


def doubts(index: bytes, threshold: float) -> list[str]:
    """What looks wrong in an index: portraits of one person that differ, people that are alike."""
    known = load_known_faces(index)
    if not known.labels:
        return []
    similarity = known.embeddings @ known.embeddings.T
    labels = np.array(known.labels)
    found = []
    for row, label in enumerate(known.labels):
        same = (labels == label) & (np.arange(len(labels)) != row)
        if same.any() and float(similarity[row][same].max()) < threshold:
            found.append(f"a portrait of {label} is unlike the others (is it {label}?)")
    for one, other in np.argwhere(np.triu(similarity, 1) >= threshold).tolist():
        if known.labels[one] != known.labels[other]:
            found.append(
                f"{known.labels[one]} and {known.labels[other]} look alike "
                f"({similarity[one, other]:.2f}): matches of either will be uncertain"
            )
    return list(dict.fromkeys(found))


def _main_face(faces: Sequence[Face]) -> Face | str:
    seen = [face for face in faces if face.score >= MIN_DETECTION_SCORE]
    if not seen:
        return "no face in it"
    ordered = sorted(seen, key=lambda face: -face.box.width * face.box.height)
    if len(ordered) > 1:
        largest, second = (face.box.width * face.box.height for face in ordered[:2])
        if largest < MAIN_FACE_SHARE * second:
            return f"{len(ordered)} faces of similar size in it"
    return ordered[0]


def _without(present: KnownFaces, labels: set[str]) -> Enrolment:
    rows = [row for row, label in enumerate(present.labels) if label not in labels]
    return Enrolment(
        metadata=IndexMetadata(
            recogniser=present.metadata.recogniser,
            identities={
                label: note
                for label, note in present.metadata.identities.items()
                if label not in labels
            },
        ),
        labels=[present.labels[row] for row in rows],
        vectors=[present.embeddings[row] for row in rows],
    )


def _dumped(
    vectors: Sequence[NDArray[np.float32]], labels: list[str], metadata: IndexMetadata
) -> bytes:
    table = np.stack(vectors) if vectors else np.zeros((0, 1), dtype=np.float32)
    return dump_known_faces(table, labels, metadata)
