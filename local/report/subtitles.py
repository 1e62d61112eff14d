"""The transcript as WebVTT, for players."""

import re

from screener.document import Document
from screener.sections import TranscriptSegment

_LINE_BREAKS = re.compile(r"[\r\n\u2028\u2029\x00-\x08\x0b\x0c\x0e-\x1f]+")


def web_vtt(document: Document) -> str:
    """A WebVTT file; flagged terms are in the class `flagged`. Without speech it has no cues."""
    blocks = ["WEBVTT"]
    speech = document.transcription
    if speech is not None:
        blocks[0] += f"\nLanguage: {_plain(speech.language)}"
        flagged = [(term.start_ms, term.end_ms) for term in speech.flagged_terms]
        for number, segment in enumerate(speech.segments, 1):
            text = _cue_text(segment, flagged)
            if text:
                times = f"{vtt_time(segment.start_ms)} --> {vtt_time(_end_ms(segment))}"
                blocks.append(f"{number}\n{times}\n{text}")
    return "\n\n".join(blocks) + "\n"


def vtt_time(milliseconds: int) -> str:
    """83200 -> "00:01:23.200"."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _end_ms(segment: TranscriptSegment) -> int:
    # A cue must end after it starts.
    return max(segment.end_ms, segment.start_ms + 1)


def _cue_text(segment: TranscriptSegment, flagged: list[tuple[int, int]]) -> str:
    if not segment.words:
        return _plain(segment.text)
    parts = []
    for word in segment.words:
        text = _plain(word.text)
        if any(start <= word.start_ms and word.end_ms <= end for start, end in flagged):
            text = f"<c.flagged>{text}</c>"
        parts.append(text)
    return " ".join(part for part in parts if part)


def _plain(text: str) -> str:
    """One line without markup: "-->" would end the cue's header, "<" would start a tag."""
    line = _LINE_BREAKS.sub(" ", text).strip()
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
