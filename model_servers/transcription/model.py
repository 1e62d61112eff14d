"""Transcription: faster-whisper over an audio stream of any length."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from faster_whisper import BatchedInferencePipeline, WhisperModel  # type: ignore[import-untyped]

from model_servers.serving.boxes import round_score
from model_servers.serving.errors import MalformedRequest
from model_servers.serving.model import Handler, Invocation, Model
from model_servers.serving.packs import PackSet
from model_servers.serving.pipeline import map_ordered
from model_servers.serving.runtime import Runtime
from model_servers.serving.timings import Stopwatch
from model_servers.transcription.audio import (
    SAMPLE_RATE,
    Samples,
    decode_audio,
    in_windows,
    slices,
)
from screener.errors import InvalidPack
from screener.observations import SpeechSegment, TranscriptionObservations, Word

SPEECH = "speech"
ROLES = frozenset({SPEECH})

_WINDOW_S = 600.0
"""Audio held in memory at a time: 38 MB."""
_CUT_SEARCH_S = 4.0


class Part(NamedTuple):
    """A slice of the audio and where it starts."""

    samples: Samples
    offset_ms: int


class Heard(NamedTuple):
    """What was heard in one slice."""

    language: str
    language_probability: float
    speech_ms: int
    segments: list[SpeechSegment]


class TranscriptionModel:
    """One Whisper model; slices of the audio run on it side by side, one per core on CPU."""

    def __init__(self, packs: PackSet, runtime: Runtime) -> None:
        pack = packs.require(SPEECH)
        self.packs = packs.references
        self._lanes = 1 if runtime.on_gpu else runtime.workers
        self._batch_size = 16 if runtime.on_gpu else 4
        try:
            self._whisper = WhisperModel(
                str(pack.folder),
                device="cuda" if runtime.on_gpu else "cpu",
                compute_type="float16" if runtime.on_gpu else "int8",
                cpu_threads=1,
                num_workers=self._lanes,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as cause:
            raise InvalidPack(f"{pack.folder}: CTranslate2 cannot load it: {cause}") from cause
        loaded = self._whisper.model
        self.provider = f"CTranslate2/{loaded.device}/{loaded.compute_type}"
        self._threads = ThreadPoolExecutor(self._lanes, thread_name_prefix="whisper")
        self._local = threading.local()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"audio/*": self.transcribe}

    def warm_up(self) -> None:
        """Nothing to do: CTranslate2 has no first-run cost, and the detector's is 30 ms."""

    def transcribe(self, invocation: Invocation) -> TranscriptionObservations:
        """Transcribe an audio file while it arrives.

        Raises:
            MalformedRequest: no audio that can be read, or a language Whisper does not know.
        """
        attributes, stopwatch = invocation.attributes, invocation.stopwatch
        start_ms = attributes.start_ms if attributes else 0
        language = attributes.language if attributes else None
        if language and language not in self._whisper.supported_languages:
            if self._whisper.model.is_multilingual:
                raise MalformedRequest(f"language {language!r} is not one of Whisper's")
            language = None

        duration = 0

        def parts() -> Iterator[Part]:
            nonlocal duration
            pieces = _timed(decode_audio(invocation.body), stopwatch)
            for window in in_windows(pieces, _WINDOW_S, _CUT_SEARCH_S):
                for samples in slices(window, self._lanes, _CUT_SEARCH_S):
                    yield Part(samples, start_ms + duration * 1000 // SAMPLE_RATE)
                    duration += len(samples)

        def hear(part: Part) -> Heard:
            with stopwatch.stage("predict"):
                return self._hear(part, language)

        heard = list(map_ordered(self._threads, hear, parts(), window=2 * self._lanes))
        best = max(heard, key=lambda part: part.speech_ms, default=None)
        return TranscriptionObservations(
            packs=self.packs,
            provider=self.provider,
            timings_ms=stopwatch.read_ms(),
            chunk=invocation.chunk,
            language=best.language if best else "und",
            language_probability=best.language_probability if best else 0.0,
            duration_ms=duration * 1000 // SAMPLE_RATE,
            speech_ms=sum(part.speech_ms for part in heard),
            segments=[segment for part in heard for segment in part.segments],
        )

    def _hear(self, part: Part, language: str | None) -> Heard:
        segments, info = self._pipeline.transcribe(
            part.samples,
            language=language,
            batch_size=self._batch_size,
            vad_filter=True,
            word_timestamps=True,
        )
        return Heard(
            language=info.language,
            language_probability=round_score(info.language_probability),
            speech_ms=round(info.duration_after_vad * 1000),
            segments=[_segment(segment, part.offset_ms) for segment in segments],
        )

    @property
    def _pipeline(self) -> BatchedInferencePipeline:
        """One per thread: the pipeline remembers the last word it placed."""
        if not hasattr(self._local, "pipeline"):
            self._local.pipeline = BatchedInferencePipeline(self._whisper)
        pipeline: BatchedInferencePipeline = self._local.pipeline
        return pipeline


def _segment(segment: Any, offset_ms: int) -> SpeechSegment:
    return SpeechSegment(
        start_ms=offset_ms + round(segment.start * 1000),
        end_ms=offset_ms + round(segment.end * 1000),
        text=segment.text.strip(),
        average_log_probability=round(segment.avg_logprob, 4),
        no_speech_probability=round_score(segment.no_speech_prob),
        words=[
            Word(
                start_ms=offset_ms + round(word.start * 1000),
                end_ms=offset_ms + round(word.end * 1000),
                text=word.word.strip(),
                probability=round_score(word.probability),
            )
            for word in segment.words or []
        ],
    )


def _timed(pieces: Iterable[Samples], stopwatch: Stopwatch) -> Iterator[Samples]:
    iterator = iter(pieces)
    while True:
        with stopwatch.stage("decode"):
            piece = next(iterator, None)
        if piece is None:
            return
        yield piece


def load(packs: PackSet, runtime: Runtime) -> Model:
    """Load Whisper from its pack.

    Raises:
        InvalidPack: there is none, or CTranslate2 cannot load it.
    """
    return TranscriptionModel(packs, runtime)
