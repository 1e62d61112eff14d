"""faster-whisper on clips of speech: batched first, each doubtful clip once more on its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ctranslate2  # type: ignore[import-untyped]
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel  # type: ignore[import-untyped]
from faster_whisper.audio import pad_or_trim  # type: ignore[import-untyped]
from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-untyped]
from faster_whisper.transcribe import (  # type: ignore[import-untyped]
    TranscriptionOptions,
    get_suppressed_tokens,
)

from model_servers.serving.scores import round_score
from model_servers.transcription import guard
from model_servers.transcription.audio import SAMPLE_RATE, Samples
from model_servers.transcription.speech import Clip
from screener.errors import InvalidPack
from screener.observations import Word

_FEATURES_PER_S = 100
_MOST_FEATURES = 3000
_QUIET_FEATURES = 600
"""Whisper was trained on 30 s; for a shorter clip the encoder gets the clip and 6 s of padding.

Fewer features make the encoder as much cheaper. On 304 words of tiny.en in six recordings,
padding by 1, 3, 6 and all 30 s gave 26, 25, 24 and 23 wrong words.
"""
_BEAM = 5
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages written without spaces between words, as Whisper's tokenizer divides them."""
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"


class Utterance(NamedTuple):
    """What one decoding of a clip gave, or a part of it."""

    words: list[Word]
    average_log_probability: float
    no_speech_probability: float
    space: str = " "
    """What stands between words in this language."""

    @property
    def text(self) -> str:
        return self.space.join(word.text for word in self.words)


class Recogniser:
    """One Whisper model, safe to call from as many threads as `lanes`.

    Raises:
        InvalidPack: CTranslate2 cannot load the folder.
    """

    def __init__(self, folder: Path, *, on_gpu: bool, lanes: int) -> None:
        # Decoding anew draws samples: the same audio must give the same text.
        ctranslate2.set_random_seed(0)
        try:
            self._whisper = WhisperModel(
                str(folder),
                device="cuda" if on_gpu else "cpu",
                compute_type="float16" if on_gpu else "int8",
                cpu_threads=1,
                num_workers=lanes,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as cause:
            raise InvalidPack(f"{folder}: CTranslate2 cannot load it: {cause}") from cause
        model = self._whisper.model
        self.provider = f"CTranslate2/{model.device}/{model.compute_type}"
        self.multilingual: bool = model.is_multilingual
        self.languages = frozenset(self._whisper.supported_languages)

    def detect_language(self, samples: Samples) -> tuple[str, float]:
        """Language code and its probability, from at most 30 s."""
        if not self.multilingual:
            return "en", 1.0
        language, probability, _ = self._whisper.detect_language(audio=samples)
        return str(language), float(probability)

    def recognise(self, clips: Sequence[Clip], language: str) -> list[list[Utterance]]:
        """The words of each clip, on the timeline of the whole audio."""
        heard = self._batched(clips, language)
        return [
            _without_silence(
                self._anew(clip, utterances, language)
                if _doubtful(clip, utterances)
                else utterances
            )
            for clip, utterances in zip(clips, heard, strict=True)
        ]

    def _batched(self, clips: Sequence[Clip], language: str) -> list[list[Utterance]]:
        tokenizer = Tokenizer(
            self._whisper.hf_tokenizer, self.multilingual, task="transcribe", language=language
        )
        features = [self._whisper.feature_extractor(clip.samples)[..., :-1] for clip in clips]
        width = min(_MOST_FEATURES, max(part.shape[-1] for part in features) + _QUIET_FEATURES)
        # The pipeline remembers where the last word ended, so each call gets its own.
        parts = BatchedInferencePipeline(self._whisper).forward(
            np.stack([pad_or_trim(part, width) for part in features]),
            tokenizer,
            [{"offset": clip.start / SAMPLE_RATE, "duration": clip.seconds} for clip in clips],
            _options(tokenizer),
        )
        return [
            [
                Utterance(
                    [_word(word, 0) for word in part["words"]],
                    part["avg_logprob"],
                    part["no_speech_prob"],
                    _space(language),
                )
                for part in clip_parts
            ]
            for clip_parts in parts
        ]

    def _anew(self, clip: Clip, first: list[Utterance], language: str) -> list[Utterance]:
        """Decode alone, with time marks, no context, and rising temperature; keep the better."""
        segments, _ = self._whisper.transcribe(
            clip.samples,
            language=language,
            beam_size=_BEAM,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=False,
        )
        offset_ms = clip.start * 1000 // SAMPLE_RATE
        second = [
            Utterance(
                [_word(vars(word), offset_ms) for word in segment.words or []],
                segment.avg_logprob,
                segment.no_speech_prob,
                _space(language),
            )
            for segment in segments
        ]
        better = min(first, second, key=lambda heard: _shortcomings(clip, heard))
        if any(guard.repeats_itself(utterance.text) for utterance in better):
            return [
                utterance._replace(words=guard.without_loops(utterance.words))
                for utterance in better
            ]
        return better


def _options(tokenizer: Any) -> Any:
    """What `BatchedInferencePipeline.transcribe` uses by default, with word times."""
    return TranscriptionOptions(
        beam_size=_BEAM,
        best_of=5,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        log_prob_threshold=None,
        no_speech_threshold=None,
        compression_ratio_threshold=None,
        condition_on_previous_text=False,
        prompt_reset_on_temperature=0.5,
        temperatures=[0.0],
        initial_prompt=None,
        prefix=None,
        suppress_blank=True,
        suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        without_timestamps=True,
        max_initial_timestamp=0.0,
        word_timestamps=True,
        prepend_punctuations=_PREPENDED,
        append_punctuations=_APPENDED,
        multilingual=False,
        max_new_tokens=None,
        clip_timestamps=[],
        hallucination_silence_threshold=None,
        hotwords=None,
    )


def _doubtful(clip: Clip, heard: list[Utterance]) -> bool:
    repeats, unsure, gap_ms = _shortcomings(clip, heard)
    return bool(repeats or unsure or gap_ms > guard.LONGEST_GAP_MS)


def _shortcomings(clip: Clip, heard: list[Utterance]) -> tuple[bool, bool, int]:
    """Repetition, doubt, longest stretch without words: the worse, the larger."""
    start_ms = clip.start * 1000 // SAMPLE_RATE
    words = [word for utterance in heard for word in utterance.words]
    return (
        any(guard.repeats_itself(utterance.text) for utterance in heard),
        any(part.average_log_probability < guard.LOWEST_LOG_PROBABILITY for part in heard),
        guard.longest_gap_ms(words, start_ms, start_ms + round(clip.seconds * 1000)),
    )


def _without_silence(heard: list[Utterance]) -> list[Utterance]:
    return [
        utterance
        for utterance in heard
        if utterance.words
        and not (
            utterance.no_speech_probability > guard.SILENCE_PROBABILITY
            and utterance.average_log_probability < guard.LOWEST_LOG_PROBABILITY
        )
    ]


def _space(language: str) -> str:
    return "" if language in _UNSPACED else " "


def _word(word: Any, offset_ms: int) -> Word:
    start_ms = offset_ms + max(0, round(word["start"] * 1000))
    return Word(
        start_ms=start_ms,
        end_ms=max(start_ms, offset_ms + round(word["end"] * 1000)),
        text=word["word"].strip(),
        probability=round_score(word["probability"]),
    )
