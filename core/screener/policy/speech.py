"""Speech: one transcript, and what the policy's terms find in it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from screener.observations import TranscriptionObservations
from screener.policy.findings import Hit, segments
from screener.policy.model import Persistence, SpeechPolicy
from screener.policy.terms import TermFinder
from screener.policy.transcript import merge_transcripts
from screener.sections import Certainty, FlaggedTerm, Segment, TranscriptionSection
from screener.taxonomy import Source

_EVERY_MATCH = Persistence(min_frames=1, min_duration_ms=0, merge_gap_ms=2_000)


class Speech:
    """Judges the transcription of one video."""

    def __init__(
        self,
        chunks: Sequence[TranscriptionObservations],
        policy: SpeechPolicy,
        audio_start_ms: Mapping[int, int],
    ) -> None:
        self._chunks = chunks
        self._policy = policy
        self._transcript = merge_transcripts(chunks, audio_start_ms)
        # The language that most of the speech is in; ties go to the earlier chunk.
        spoken: dict[str, int] = defaultdict(int)
        for chunk in chunks:
            spoken[chunk.language] += chunk.speech_ms
        self.language = max(spoken, key=lambda language: spoken[language])
        self._spoken_in = sorted({chunk.language for chunk in chunks if chunk.segments})
        starts = [audio_start_ms.get(chunk.chunk, 0) for chunk in chunks]
        self._duration_ms = max(
            start + chunk.duration_ms for start, chunk in zip(starts, chunks, strict=True)
        ) - min(starts)
        self._words = [word for segment in self._transcript for word in segment.words]
        self.terms = self._flagged()
        self.segments = self._segments()

    @property
    def unanswered(self) -> str | None:
        """Why terms could not be looked for; None when they were."""
        without = [language for language in self._spoken_in if language not in self._policy.terms]
        if not self._policy.terms or not without:
            return None
        return f"the policy has no terms for speech in {', '.join(without)}"

    def section(self) -> TranscriptionSection:
        return TranscriptionSection(
            text=" ".join(segment.text for segment in self._transcript if segment.text),
            language=self.language,
            language_probability=max(
                chunk.language_probability
                for chunk in self._chunks
                if chunk.language == self.language
            ),
            duration_ms=self._duration_ms,
            speech_ms=sum(chunk.speech_ms for chunk in self._chunks),
            flagged_terms=self.terms,
            flagged_segments=self.segments,
            segments=self._transcript,
        )

    def _flagged(self) -> list[FlaggedTerm]:
        found = []
        finder = _finder(self._policy.model_dump_json(), tuple(self._spoken_in))
        for match in finder.find(self._words):
            words = self._words[match.first : match.last + 1]
            confidence = min(word.probability for word in words)
            certain = confidence >= self._policy.min_word_probability and not match.guessed
            found.append(
                FlaggedTerm(
                    term=match.term.term,
                    category=match.term.category,
                    text="".join(
                        word.text if word.text[:1].isspace() else " " + word.text for word in words
                    ).strip(),
                    start_ms=words[0].start_ms,
                    end_ms=max(word.end_ms for word in words),
                    confidence=confidence,
                    certainty=Certainty.CONFIRMED if certain else Certainty.UNCERTAIN,
                    obfuscated=match.obfuscated,
                )
            )
        return found

    def _segments(self) -> list[Segment]:
        hits: dict[str, list[Hit]] = defaultdict(list)
        for term in self.terms:
            hits[term.category].append(
                Hit(
                    start_ms=term.start_ms,
                    end_ms=term.end_ms,
                    timestamp_ms=term.start_ms,
                    label=term.term,
                    confidence=term.confidence,
                    confirmed=term.certainty is Certainty.CONFIRMED,
                )
            )
        return [
            segment
            for category, found in sorted(hits.items())
            for segment in segments(found, category, Source.TERMS, _EVERY_MATCH)
        ]


@lru_cache(maxsize=32)
def _finder(policy_json: str, languages: tuple[str, ...]) -> TermFinder:
    # Building the forms of all terms takes longer than reading a transcript with them.
    return TermFinder(SpeechPolicy.model_validate_json(policy_json), languages)
