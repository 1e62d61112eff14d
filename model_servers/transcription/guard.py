"""Signs that Whisper went astray: it repeats itself, or leaves speech out."""

import zlib
from collections.abc import Sequence

from screener.observations import Word

HIGHEST_COMPRESSION = 2.4
"""Above this ratio a text repeats itself; OpenAI's own threshold for decoding anew."""
LOWEST_LOG_PROBABILITY = -1.0
SILENCE_PROBABILITY = 0.6
"""OpenAI's thresholds: less sure than the first is decoded anew; and silence if, besides, the
model itself thinks that nobody speaks."""
LONGEST_GAP_MS = 4_000
"""Clips hold no pause beyond 1.4 s, so a longer stretch without words was left out."""
_REPEATS_KEPT = 2
_LONGEST_PHRASE = 12


def repeats_itself(text: str) -> bool:
    """Whether a text compresses as only repetition does."""
    data = text.encode()
    return len(data) / max(1, len(zlib.compress(data))) > HIGHEST_COMPRESSION


def longest_gap_ms(words: Sequence[Word], start_ms: int, end_ms: int) -> int:
    """The longest stretch of [start_ms, end_ms) in which no word begins or ends."""
    edges = [start_ms, *(edge for word in words for edge in (word.start_ms, word.end_ms)), end_ms]
    return max(later - earlier for earlier, later in zip(edges[::2], edges[1::2], strict=True))


def without_loops(words: Sequence[Word]) -> list[Word]:
    """Words with every phrase that follows itself again and again kept twice.

    Only for text that `repeats_itself` after it was decoded anew: there the tail of a loop
    was never said, and its words have no true times.
    """
    kept: list[Word] = []
    position = 0
    said = [word.text.strip(" .,!?").lower() for word in words]
    while position < len(words):
        length, times = _loop_at(said, position)
        if times > _REPEATS_KEPT:
            kept.extend(words[position : position + length * _REPEATS_KEPT])
            position += length * times
        else:
            kept.append(words[position])
            position += 1
    return kept


def _loop_at(said: Sequence[str], position: int) -> tuple[int, int]:
    """The phrase at a position that repeats over the most words: its length and how often."""
    best = (1, 1)
    for length in range(1, _LONGEST_PHRASE + 1):
        phrase = said[position : position + length]
        times = 1
        while said[position + times * length : position + (times + 1) * length] == phrase:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best
