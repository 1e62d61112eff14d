"""One transcript from the chunks of a long audio track.

Chunks overlap, so that no word is cut at a border. In the middle of each overlap one chunk
hands over to the next. The two may put the same word on different sides of that point: a word
that both would drop is kept, and one that both would keep is kept once.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter

from screener.observations import SpeechSegment, TranscriptionObservations, Word
from screener.sections import TranscriptSegment

SAME_WORD_MS = 700
"""Starts of the same word in two chunks differ by less than this."""
_SEGMENTS = TypeAdapter(list[TranscriptSegment])
"""One call for all words is several times faster than making each model by itself."""


def merge_transcripts(
    chunks: Sequence[TranscriptionObservations], audio_start_ms: Mapping[int, int]
) -> list[TranscriptSegment]:
    """Segments of the whole track in order of time, no word twice.

    Args:
        chunks: in order; times are on the video's timeline already.
        audio_start_ms: where each chunk's audio begins, by chunk number.
    """
    if not chunks:
        return []
    spoken = [[(segment, _words(segment)) for segment in chunk.segments] for chunk in chunks]
    words = [[word for _, said in chunk for word in said] for chunk in spoken]
    for index, (left, right) in enumerate(pairwise(chunks)):
        end_ms = audio_start_ms.get(left.chunk, 0) + left.duration_ms
        start_ms = min(audio_start_ms.get(right.chunk, end_ms), end_ms)
        words[index], words[index + 1] = _hand_over(
            words[index], words[index + 1], (start_ms + end_ms) // 2, (start_ms, end_ms)
        )
    kept = {id(word) for chunk_words in words for word in chunk_words}
    merged = [
        kept_segment
        for chunk in spoken
        for segment, said in chunk
        if (kept_segment := _kept_segment(segment, said, kept)) is not None
    ]
    merged.sort(key=lambda segment: (segment["start_ms"], segment["end_ms"]))
    return _SEGMENTS.validate_python(merged)


def _words(segment: SpeechSegment) -> list[Word]:
    """A segment's words; without them, its text spread evenly over its time, so that text
    without word times is still searched for terms."""
    texts = segment.text.split()
    if segment.words or not texts:
        return segment.words
    step = (segment.end_ms - segment.start_ms) / len(texts)
    probability = min(1.0, math.exp(min(0.0, segment.average_log_probability)))
    return [
        Word(
            start_ms=int(segment.start_ms + index * step),
            end_ms=int(segment.start_ms + (index + 1) * step),
            text=text,
            probability=probability,
        )
        for index, text in enumerate(texts)
    ]


def _hand_over(
    left: list[Word], right: list[Word], border_ms: int, overlap: tuple[int, int]
) -> tuple[list[Word], list[Word]]:
    start_ms, end_ms = overlap
    keep_left = [word for word in left if _middle(word) < border_ms]
    keep_right = [word for word in right if _middle(word) >= border_ms]
    if start_ms >= end_ms:
        return keep_left if start_ms < end_ms else left, right
    near_left = [w for w in keep_left if _middle(w) >= border_ms - SAME_WORD_MS]
    # Said on both sides of the border: the left chunk's word stands.
    keep_right = [
        word
        for word in keep_right
        if _middle(word) > border_ms + SAME_WORD_MS
        or not any(_same(word, other) for other in near_left)
    ]
    # Dropped on both sides: put back.
    lost_left = [
        word
        for word in left
        if border_ms <= _middle(word) < border_ms + SAME_WORD_MS
        and not any(_same(word, other) or _collide(word, other) for other in keep_right)
    ]
    keep_left += lost_left
    keep_right = [
        word
        for word in right
        if border_ms - SAME_WORD_MS <= _middle(word) < border_ms
        and not any(_same(word, other) or _collide(word, other) for other in keep_left)
    ] + keep_right
    return keep_left, keep_right


def _kept_segment(
    segment: SpeechSegment, said: list[Word], kept: set[int]
) -> dict[str, Any] | None:
    """The fields of a `TranscriptSegment`; None when none of its words is kept."""
    words = [word for word in said if id(word) in kept]
    if not words:
        return None
    whole = len(words) == len(said)
    return {
        "start_ms": segment.start_ms if whole else words[0].start_ms,
        "end_ms": segment.end_ms if whole else words[-1].end_ms,
        "text": segment.text.strip() if whole else _joined(words),
        "words": [
            {
                "start_ms": word.start_ms,
                "end_ms": word.end_ms,
                "text": word.text,
                "probability": round(word.probability, 4),
            }
            for word in words
        ],
    }


def _joined(words: Sequence[Word]) -> str:
    # Whisper's words carry their own leading spaces; other models' may not.
    spaced = any(word.text[:1].isspace() for word in words)
    return ("" if spaced else " ").join(word.text for word in words).strip()


def _middle(word: Word) -> int:
    return (word.start_ms + word.end_ms) // 2


def _collide(one: Word, other: Word) -> bool:
    """Whether two words claim the same time: half of the shorter one's. Neighbours touch, for times
    of the two chunks differ a little; a word must not be lost for that."""
    if one.start_ms >= other.end_ms or other.start_ms >= one.end_ms:
        return False
    shared_ms = min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms)
    return 2 * shared_ms >= min(one.end_ms - one.start_ms, other.end_ms - other.start_ms)


def _same(one: Word, other: Word) -> bool:
    return abs(one.start_ms - other.start_ms) < SAME_WORD_MS and _plain(one.text) == _plain(
        other.text
    )


def _plain(text: str) -> str:
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text).casefold() if letter.isalnum()
    )
