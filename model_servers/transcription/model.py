"""Transcription: what is said and when, over an audio stream of any length."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from model_servers.serving.errors import MalformedRequest
from model_servers.serving.memory import FittingBatches
from model_servers.serving.model import Handler, Invocation, Model
from model_servers.serving.packs import PackSet
from model_servers.serving.pipeline import map_ordered
from model_servers.serving.runtime import Runtime
from model_servers.serving.scores import round_score
from model_servers.serving.timings import Stopwatch
from model_servers.transcription.audio import SAMPLE_RATE, Samples, decode_audio
from model_servers.transcription.recogniser import Recogniser, Utterance
from model_servers.transcription.runtime import choose_runtime as choose_runtime
from model_servers.transcription.segments import segments_of
from model_servers.transcription.speech import Clip, speech_windows
from screener.messages import InvocationAttributes
from screener.observations import SpeechSegment, TranscriptionObservations

SPEECH = "speech"
ROLES = frozenset({SPEECH})
_MOST_OF_A_SHARE = 1.25
"""Speech in one batch, of what each lane would get. When 153 s of speech took two cores
2.3 s, batches bounded by their number of clips alone kept one for 2.7 s and the other for 1.5."""
_UNDETERMINED = "und"
"""ISO 639's code where there is nothing to tell a language by."""


class Heard(NamedTuple):
    """The language that was assumed, and how surely it was told."""

    language: str
    probability: float


class TranscriptionModel:
    """One Whisper model. On CPU, batches of clips run on it side by side, one per core."""

    def __init__(self, packs: PackSet, runtime: Runtime) -> None:
        pack = packs.require(SPEECH)
        self.packs = packs.references
        self._lanes = 1 if runtime.on_gpu else runtime.workers
        self._fitting = FittingBatches(runtime.batch_size, fixed=False)
        self._recogniser = Recogniser(pack.folder, on_gpu=runtime.on_gpu, lanes=self._lanes)
        self._threads = ThreadPoolExecutor(self._lanes, thread_name_prefix="whisper")

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"audio/*": self.transcribe}

    def warm_up(self) -> None:
        """Load the voice activity detector and run the model, on a second of silence."""
        silence = np.zeros(SAMPLE_RATE, np.float32)
        list(speech_windows(iter([silence])))
        self._recogniser.recognise([Clip(silence, 0)], "en")

    def transcribe(self, invocation: Invocation) -> TranscriptionObservations:
        """Transcribe an audio file while it arrives.

        Raises:
            MalformedRequest: no audio that can be read, or a language Whisper does not know.
            OutOfMemory: not even one clip fits.
        """
        attributes, stopwatch = invocation.attributes, invocation.stopwatch
        heard = self._asked_language(attributes)
        duration = speech = 0

        def batches() -> Iterator[list[Clip]]:
            nonlocal duration, speech, heard
            pieces = _timed(decode_audio(invocation.body), stopwatch)
            for window in speech_windows(pieces):
                duration += window.samples
                speech += sum(len(clip.samples) for clip in window.clips)
                if window.clips and heard is None:
                    samples = np.concatenate([clip.samples for clip in window.clips])
                    heard = Heard(*self._recogniser.detect_language(samples))
                yield from self._batches(window.clips)

        def recognise(clips: list[Clip]) -> list[list[Utterance]]:
            language = heard.language if heard else _UNDETERMINED
            with stopwatch.stage("predict"):
                return self._fitting.run(
                    lambda part: self._recogniser.recognise(part, language), clips
                )

        utterances = [
            utterance
            for batch in map_ordered(self._threads, recognise, batches(), window=2 * self._lanes)
            for clip in batch
            for utterance in clip
        ]
        start_ms = attributes.start_ms if attributes else 0
        return TranscriptionObservations(
            packs=self.packs,
            provider=self._recogniser.provider,
            timings_ms=stopwatch.read_ms(),
            chunk=invocation.chunk,
            language=heard.language if heard else _UNDETERMINED,
            language_probability=round_score(heard.probability) if heard else 0.0,
            duration_ms=duration * 1000 // SAMPLE_RATE,
            speech_ms=speech * 1000 // SAMPLE_RATE,
            segments=_on_timeline(utterances, start_ms),
        )

    def _asked_language(self, attributes: InvocationAttributes | None) -> Heard | None:
        if attributes is None or attributes.language is None:
            return None
        if not self._recogniser.multilingual:
            return Heard("en", 1.0)
        if attributes.language not in self._recogniser.languages:
            raise MalformedRequest(f"language {attributes.language!r} is not one of Whisper's")
        return Heard(attributes.language, 1.0)

    def _batches(self, clips: list[Clip]) -> Iterator[list[Clip]]:
        """Batches for the lanes: clips of like length, so that little padding is computed, longest
        first, and none so long that the other lanes wait for it."""
        share = sum(clip.seconds for clip in clips) / self._lanes
        batch: list[Clip] = []
        for clip in sorted(clips, key=lambda clip: -clip.seconds):
            seconds = sum(other.seconds for other in batch) + clip.seconds
            if batch and (len(batch) >= self._fitting.size or seconds > _MOST_OF_A_SHARE * share):
                yield _in_order(batch)
                batch = []
            batch.append(clip)
        if batch:
            yield _in_order(batch)


def _in_order(batch: list[Clip]) -> list[Clip]:
    # Word times look back at the end of the clip before.
    return sorted(batch, key=lambda clip: clip.start)


def _on_timeline(utterances: list[Utterance], start_ms: int) -> list[SpeechSegment]:
    """Segments in order of time, on the video's timeline."""
    segments = [segment for part in utterances for segment in segments_of(part, start_ms)]
    return sorted(segments, key=lambda segment: segment.start_ms)


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
