"""Finds the policy's terms in a transcript, with word boundaries and the words' times."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from screener.policy import spelling
from screener.policy.model import SpeechPolicy, Term
from screener.sections import TranscriptWord

MAX_GAP_MS = 2_000
"""Words further apart are not one phrase."""
MAX_SPLIT = 12
"""Most pieces that one spelled-out word is looked for in."""


@dataclass(frozen=True, slots=True)
class TermMatch:
    """Words [first, last] of the transcript say a term."""

    first: int
    last: int
    term: Term
    obfuscated: bool
    guessed: bool
    """Rests on a reading that could be something else."""


@dataclass(frozen=True, slots=True)
class _Entry:
    term: Term
    parts: tuple[frozenset[str], ...]
    """Per word of the term, the forms that it may take."""


class TermFinder:
    """The terms of one policy for the languages that are spoken in one video."""

    def __init__(self, policy: SpeechPolicy, languages: Iterable[str]) -> None:
        terms = [
            (term, language)
            for language in (*sorted(set(languages)), "any")
            for term in policy.terms.get(language, [])
        ]
        self._by_first: dict[str, list[_Entry]] = {}
        self._single: dict[str, list[Term]] = {}
        self._unbounded = [
            (spelling.fold(term.term).replace(" ", ""), term)
            for term, _ in terms
            if spelling.has_no_word_boundaries(term.term)
        ]
        for term, language in terms:
            if not spelling.has_no_word_boundaries(term.term):
                self._add(term, language)
        self._allowed = {tuple(words) for text in policy.allow if (words := spelling.pieces(text))}
        self._disguisable = {
            form: kept
            for form, found in self._single.items()
            if (kept := [term for term in found if term.obfuscated])
        }

    def find(self, words: Sequence[TranscriptWord]) -> list[TermMatch]:
        """Every match in order; of overlapping matches of one term the longest."""
        spoken = [spelling.spoken(word.text) for word in words]
        allowed = self._allowed_words(spoken)
        found = [
            match
            for match in (
                *self._exact(words, spoken),
                *self._disguised(words, spoken),
                *self._split(words, spoken),
                *self._without_boundaries(words),
            )
            if not any(index in allowed for index in range(match.first, match.last + 1))
        ]
        return _strongest(found)

    def _add(self, term: Term, language: str) -> None:
        words = spelling.pieces(term.term)
        if not words:
            return
        parts = tuple(
            spelling.inflections(word, language) if term.inflect else frozenset({word})
            for word in words
        )
        entry = _Entry(term, parts)
        for form in parts[0]:
            self._by_first.setdefault(form, []).append(entry)
            if len(parts) == 1:
                self._single.setdefault(form, []).append(term)

    def _exact(self, words: Sequence[TranscriptWord], spoken: list[str]) -> Iterator[TermMatch]:
        for index, form in enumerate(spoken):
            for entry in self._by_first.get(form, ()):
                last = index + len(entry.parts) - 1
                if (
                    last < len(spoken)
                    and all(
                        spoken[index + offset] in forms for offset, forms in enumerate(entry.parts)
                    )
                    and _close(words[index : last + 1])
                ):
                    yield TermMatch(index, last, entry.term, obfuscated=False, guessed=False)

    def _disguised(self, words: Sequence[TranscriptWord], spoken: list[str]) -> Iterator[TermMatch]:
        for index, word in enumerate(words):
            if spelling.is_plain(word.text):
                continue
            for reading in spelling.deobfuscated(word.text):
                for term in self._disguisable.get(reading, ()):
                    yield TermMatch(index, index, term, obfuscated=True, guessed=False)
            for part in _hyphenated(word.text, spoken[index]):
                for term in self._single.get(part, ()):
                    yield TermMatch(index, index, term, obfuscated=False, guessed=False)
            pattern = spelling.masked_pattern(word.text)
            if pattern is not None:
                for form, terms in self._disguisable.items():
                    if pattern.fullmatch(form):
                        for term in terms:
                            yield TermMatch(index, index, term, obfuscated=True, guessed=True)

    def _split(self, words: Sequence[TranscriptWord], spoken: list[str]) -> Iterator[TermMatch]:
        for first in range(len(spoken)):
            for count in range(2, MAX_SPLIT + 1):
                parts = spoken[first : first + count]
                if len(parts) < count or "" in parts:
                    break
                if count > 2 and len(parts[-1]) > 1:
                    break
                terms = self._disguisable.get("".join(parts))
                if terms and spelling.is_split_word(parts) and _close(words[first : first + count]):
                    for term in terms:
                        yield TermMatch(
                            first, first + count - 1, term, obfuscated=True, guessed=count == 2
                        )

    def _without_boundaries(self, words: Sequence[TranscriptWord]) -> Iterator[TermMatch]:
        if not self._unbounded:
            return
        text = ""
        owner: list[int] = []
        for index, word in enumerate(words):
            plain = "".join(spelling.fold(word.text).split())
            text += plain
            owner += [index] * len(plain)
        for needle, term in self._unbounded:
            position = text.find(needle) if needle else -1
            while position >= 0:
                yield TermMatch(
                    owner[position],
                    owner[position + len(needle) - 1],
                    term,
                    obfuscated=False,
                    guessed=False,
                )
                position = text.find(needle, position + 1)

    def _allowed_words(self, spoken: list[str]) -> set[int]:
        found: set[int] = set()
        for phrase in self._allowed:
            opening = phrase[0]
            for first, word in enumerate(spoken):
                if word == opening and tuple(spoken[first : first + len(phrase)]) == phrase:
                    found |= set(range(first, first + len(phrase)))
        return found


def _hyphenated(text: str, joined: str) -> list[str]:
    """Parts of a compound that is written as one word: "mother-fucker", "ass/hole"."""
    parts = [
        spelling.spoken(part)
        for part in spelling.fold(text).replace("/", "-").replace("\u2010", "-").split("-")
    ]
    # Single letters are a disguise ("f-u-c-k"), which is read as a whole.
    return [part for part in parts if len(part) > 1 and part != joined]


def _close(words: Sequence[TranscriptWord]) -> bool:
    return all(right.start_ms - left.end_ms <= MAX_GAP_MS for left, right in pairwise(words))


def _strongest(found: list[TermMatch]) -> list[TermMatch]:
    ranked = sorted(
        found,
        key=lambda match: (match.guessed, match.obfuscated, match.first - match.last, match.first),
    )
    kept: list[TermMatch] = []
    taken: dict[tuple[str, str], set[int]] = {}
    for match in ranked:
        place = taken.setdefault((match.term.term, match.term.category), set())
        if not place.intersection(range(match.first, match.last + 1)):
            place.update(range(match.first, match.last + 1))
            kept.append(match)
    return sorted(kept, key=lambda match: (match.first, match.last, match.term.term))
