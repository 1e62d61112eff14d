"""Real speech through real weights: word errors, word times, pauses, language, leaving out."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel, decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps

from model_servers.serving.errors import MalformedRequest
from model_servers.serving.model import Invocation
from model_servers.serving.packs import load_packs
from model_servers.serving.runtime import CPU, Runtime
from model_servers.serving.timings import Stopwatch
from model_servers.transcription.audio import SAMPLE_RATE
from model_servers.transcription.model import ROLES, TranscriptionModel, load
from model_servers.transcription.recogniser import Recogniser
from model_servers.transcription.speech import speech_windows
from screener.messages import InvocationAttributes
from screener.observations import Analyzer, TranscriptionObservations
from tests.model_packs import whisper
from tests.speech import audio_file, tone

RECORDINGS = ("speech/jfk_11s.flac", "speech/librispeech_198-209-0000_14s.ogg")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper(tmp_path_factory.mktemp("packs"))


@pytest.fixture(scope="module")
def model(pack: Path) -> TranscriptionModel:
    loaded = load(
        load_packs([pack], Analyzer.TRANSCRIPTION, ROLES), Runtime(CPU, workers=2, batch_size=4)
    )
    assert isinstance(loaded, TranscriptionModel)
    return loaded


def transcribe(
    model: TranscriptionModel, audio: bytes, attributes: InvocationAttributes | None = None
) -> TranscriptionObservations:
    return model.transcribe(Invocation(io.BytesIO(audio), "audio/flac", attributes, Stopwatch()))


def word_errors(said: str, heard: str) -> int:
    """Words to insert, delete or replace to turn one text into the other."""
    expected, found = (
        re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("mrs.", "mrs")).split()
        for text in (said, heard)
    )
    row = list(range(len(found) + 1))
    for count, word in enumerate(expected, 1):
        before, row = row, [count]
        for column, other in enumerate(found, 1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (word != other)))
    return row[-1]


def text_of(result: TranscriptionObservations) -> str:
    return " ".join(segment.text for segment in result.segments)


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_more_words_are_wrong_than_with_the_library(
    model: TranscriptionModel, pack: Path, test_media: Path, name: str
) -> None:
    said = json.loads((test_media / "transcripts.json").read_text())[name]
    result = transcribe(model, (test_media / name).read_bytes())
    library = WhisperModel(str(pack), device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = library.transcribe(str(test_media / name), word_timestamps=True)
    theirs = word_errors(said, " ".join(segment.text for segment in segments))
    assert word_errors(said, text_of(result)) <= theirs


def test_speech_after_a_long_pause_is_not_left_out(
    model: TranscriptionModel, test_media: Path
) -> None:
    first, second = (decode_audio(str(test_media / name)) for name in RECORDINGS)
    pause_s = 9
    joined = np.concatenate([first, np.zeros(pause_s * SAMPLE_RATE, np.float32), second])
    result = transcribe(model, audio_file(joined))
    transcripts = json.loads((test_media / "transcripts.json").read_text())
    said = " ".join(transcripts[name] for name in RECORDINGS)
    assert word_errors(said, text_of(result)) <= 5

    pause_ms = range(len(first) // 16 + 500, len(first) // 16 + pause_s * 1000 - 500)
    words = [word for segment in result.segments for word in segment.words]
    assert not [word for word in words if word.start_ms in pause_ms or word.end_ms in pause_ms]
    starts = [word.start_ms for word in words]
    assert starts == sorted(starts)
    assert result.duration_ms == len(joined) // 16
    assert result.speech_ms < result.duration_ms - pause_s * 1000 + 2000


def test_words_have_their_times_on_the_videos_timeline(
    model: TranscriptionModel, test_media: Path
) -> None:
    audio = (test_media / RECORDINGS[0]).read_bytes()
    shifted = InvocationAttributes(video_id="v", chunk=3, start_ms=600_000, language="en")
    early, late = transcribe(model, audio), transcribe(model, audio, shifted)
    # "country" is said twice in this sentence, at about 4.9 s and at 10.3 s.
    [first, second] = [
        word.start_ms
        for segment in early.segments
        for word in segment.words
        if word.text.startswith("country")
    ]
    assert abs(first - 6_000) < 1_500
    assert abs(second - 10_000) < 1_000
    assert late.chunk == 3
    assert late.segments[0].start_ms == early.segments[0].start_ms + 600_000
    assert late.segments[0].words[1].end_ms == early.segments[0].words[1].end_ms + 600_000


def test_where_nobody_speaks_nothing_is_heard(model: TranscriptionModel) -> None:
    for audio in (np.zeros(20 * SAMPLE_RATE, np.float32), tone(20)):
        result = transcribe(model, audio_file(audio))
        assert result.segments == []
        assert (result.language, result.language_probability) == ("und", 0)
        assert (result.duration_ms, result.speech_ms) == (20_000, 0)


def test_an_english_model_takes_any_language_for_english(
    model: TranscriptionModel, test_media: Path
) -> None:
    attributes = InvocationAttributes(video_id="v", chunk=0, language="de")
    result = transcribe(model, (test_media / RECORDINGS[0]).read_bytes(), attributes)
    assert result.language == "en"


def test_a_clip_of_which_words_are_left_out_is_decoded_anew(
    model: TranscriptionModel, test_media: Path
) -> None:
    audio = decode_audio(str(test_media / RECORDINGS[0]))
    [window] = speech_windows(iter([audio]))
    recogniser: Recogniser = model._recogniser
    whole = recogniser.recognise(window.clips, "en")
    [clip] = window.clips
    [utterance] = whole[0]
    stopped_early = [utterance._replace(words=utterance.words[:6])]
    anew = recogniser._anew(clip, stopped_early, "en")
    heard = " ".join(part.text for part in anew)
    assert word_errors(utterance.text, heard) <= 2
    looped = [utterance._replace(words=utterance.words[:4] * 20)]
    assert len(" ".join(part.text for part in recogniser._anew(clip, looped, "en"))) < 200


def test_windows_carry_unfinished_speech_and_lose_no_sample(test_media: Path) -> None:
    audio = decode_audio(str(test_media / "speech/two_person_dialog_45s.wav"))

    def pieces() -> Iterator[np.ndarray]:
        yield from np.array_split(audio, 300)

    windows = list(speech_windows(pieces(), window_s=10))
    assert sum(window.samples for window in windows) == len(audio)
    clips = [clip for window in windows for clip in window.clips]
    for clip in clips:
        assert np.array_equal(clip.samples, audio[clip.start : clip.start + len(clip.samples)])
    covered, speech = np.zeros(len(audio), bool), np.zeros(len(audio), bool)
    for clip in clips:
        covered[clip.start : clip.start + len(clip.samples)] = True
    for found in get_speech_timestamps(
        audio, VadOptions(speech_pad_ms=0, min_silence_duration_ms=160)
    ):
        speech[found["start"] : found["end"]] = True
    assert speech.mean() > 0.3
    assert covered[speech].mean() > 0.99


def test_a_language_whisper_does_not_know_is_refused(
    model: TranscriptionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model._recogniser, "multilingual", True)
    attributes = InvocationAttributes(video_id="v", chunk=0, language="zz")
    with pytest.raises(MalformedRequest, match="'zz'"):
        transcribe(model, audio_file(tone(1)), attributes)
