"""Hides flagged words where a report shall not repeat them."""

import re
from collections.abc import Iterable

from screener.document import Document, Reason
from screener.sections import FlaggedTerm, Segment, TranscriptSegment
from screener.taxonomy import Source


def masked(text: str) -> str:
    """First letter of each word, then asterisks: "fuck you" -> "f*** y**"."""
    return re.sub(r"\w+", lambda word: word.group()[0] + "*" * (len(word.group()) - 1), text)


def mask_terms(document: Document) -> Document:
    """The document with every flagged term masked, wherever its text appears."""
    speech = document.transcription
    if speech is None or not speech.flagged_terms:
        return document
    terms = sorted({term.term for term in speech.flagged_terms}, key=len, reverse=True)
    segments = [_segment(item, speech.flagged_terms) for item in speech.segments]
    return document.model_copy(
        update={
            "transcription": speech.model_copy(
                update={
                    "segments": segments,
                    "text": " ".join(item.text for item in segments if item.text),
                    "flagged_segments": [mask_segment(item) for item in speech.flagged_segments],
                    "flagged_terms": [
                        item.model_copy(
                            update={"term": masked(item.term), "text": masked(item.text)}
                        )
                        for item in speech.flagged_terms
                    ],
                }
            ),
            "verdict": document.verdict.model_copy(
                update={"reasons": [_reason(item, terms) for item in document.verdict.reasons]}
            ),
        }
    )


def mask_segment(segment: Segment) -> Segment:
    """A segment of spoken terms with its labels masked."""
    if segment.source is not Source.TERMS:
        return segment
    return segment.model_copy(update={"labels": [masked(label) for label in segment.labels]})


def _segment(segment: TranscriptSegment, terms: Iterable[FlaggedTerm]) -> TranscriptSegment:
    ranges = [(term.start_ms, term.end_ms) for term in terms]
    words = [
        word.model_copy(update={"text": masked(word.text)})
        if any(start <= word.start_ms and word.end_ms <= end for start, end in ranges)
        else word
        for word in segment.words
    ]
    if words == segment.words:
        return segment
    spaced = any(word.text[:1].isspace() for word in words)
    text = ("" if spaced else " ").join(word.text for word in words).strip()
    return segment.model_copy(update={"words": words, "text": text})


def _reason(reason: Reason, terms: list[str]) -> Reason:
    detail = reason.detail
    for term in terms:
        detail = re.sub(re.escape(term), masked(term), detail, flags=re.IGNORECASE)
    return reason if detail == reason.detail else reason.model_copy(update={"detail": detail})
