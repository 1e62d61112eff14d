"""How many different people a video shows: faces grouped by their embeddings.

Two faces in one frame are two people, whatever their similarity: that is the commonest false
merge. Frames are taken in order of time, so the grouping does not depend on the order in
which observations arrive.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray


def group_people(frames: Sequence[NDArray[np.float32]], threshold: float) -> list[list[int]]:
    """Number the people.

    Args:
        frames: per frame in order of time, the unit embeddings of its faces, shape (F, D).
        threshold: cosine similarity from which two faces are one person.

    Returns:
        Per frame, the person of each face, numbered from 0 in order of appearance.
    """
    people = _People(threshold)
    first = [people.assign(faces) for faces in frames]
    final = people.merged()
    order: dict[int, int] = {}
    for persons in first:
        for person in persons:
            order.setdefault(final[person], len(order))
    return [[order[final[person]] for person in persons] for persons in first]


class _People:
    """Running mean embedding of each person seen so far."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._sums = np.zeros((0, 0), dtype=np.float32)
        self._means = np.zeros((0, 0), dtype=np.float32)
        self._count = 0
        self._together: set[tuple[int, int]] = set()

    def assign(self, faces: NDArray[np.float32]) -> list[int]:
        persons = [-1] * len(faces)
        if len(faces) == 0:
            return persons
        if self._count:
            similarity = faces @ self._means[: self._count].T
            # Best pairs first; each face and each person is used once per frame.
            near = np.nonzero(similarity >= self._threshold)
            strength = (-similarity[near]).tolist()
            taken: set[int] = set()
            for _, face, person in sorted(
                zip(strength, near[0].tolist(), near[1].tolist(), strict=True)
            ):
                if persons[face] < 0 and person not in taken:
                    persons[face] = person
                    taken.add(person)
        for face, person in enumerate(persons):
            persons[face] = self._add(faces[face], person)
        if len(persons) > 1:
            self._together.update(combinations(sorted(persons), 2))
        return persons

    def merged(self) -> list[int]:
        """Final person of each: late look-alikes join the earliest, unless seen together."""
        final = list(range(self._count))
        if self._count < 2:
            return final
        similarity = self._means[: self._count] @ self._means[: self._count].T
        members = [{index} for index in range(self._count)]
        pairs = np.argwhere(np.triu(similarity, 1) >= self._threshold)
        strength = similarity[pairs[:, 0], pairs[:, 1]]
        for one, other in pairs[np.argsort(-strength, kind="stable")].tolist():
            left, right = final[one], final[other]
            if left == right or any(
                (min(a, b), max(a, b)) in self._together
                for a in members[left]
                for b in members[right]
            ):
                continue
            keep, gone = min(left, right), max(left, right)
            members[keep] |= members[gone]
            for index in members[gone]:
                final[index] = keep
        return final

    def _add(self, face: NDArray[np.float32], person: int) -> int:
        if person < 0:
            person = self._count
            if person == len(self._sums):
                self._grow(face.shape[0])
            self._count += 1
        total = self._sums[person]
        total += face
        length = math.sqrt(total.dot(total))
        np.divide(total, max(length, 1e-6), out=self._means[person])
        return person

    def _grow(self, dimension: int) -> None:
        bigger = np.zeros((max(64, 2 * len(self._sums)), dimension), dtype=np.float32)
        if self._count:
            bigger[: self._count] = self._sums[: self._count]
        means = np.zeros_like(bigger)
        if self._count:
            means[: self._count] = self._means[: self._count]
        self._sums, self._means = bigger, means
