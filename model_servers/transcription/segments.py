"""Words to segments that a reviewer can read and seek to: sentences, or what a pause divides."""

from collections.abc import Iterator, Sequence

from model_servers.serving.scores import round_score
from model_servers.transcription.recogniser import Utterance
from screener.observations import SpeechSegment, Word

_SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")
_PAUSE_MS = 1_000
_LONGEST_MS = 15_000


def segments_of(utterance: Utterance, shift_ms: int) -> list[SpeechSegment]:
    """Split an utterance; its probabilities hold for each part. Times move by `shift_ms`."""
    return [
        SpeechSegment(
            start_ms=shift_ms + words[0].start_ms,
            end_ms=shift_ms + max(word.end_ms for word in words),
            text=utterance.space.join(word.text for word in words),
            average_log_probability=round(utterance.average_log_probability, 4),
            no_speech_probability=round_score(utterance.no_speech_probability),
            words=[
                word.model_copy(
                    update={
                        "start_ms": shift_ms + word.start_ms,
                        "end_ms": shift_ms + word.end_ms,
                    }
                )
                for word in words
            ],
        )
        for words in _sentences(utterance.words)
    ]


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        if sentence and (
            sentence[-1].text.endswith(_SENTENCE_ENDS)
            or word.start_ms - sentence[-1].end_ms > _PAUSE_MS
            or word.end_ms - sentence[0].start_ms > _LONGEST_MS
        ):
            yield sentence
            sentence = []
        sentence.append(word)
    if sentence:
        yield sentence
