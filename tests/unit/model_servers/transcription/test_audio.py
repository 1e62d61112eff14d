import io

import numpy as np
import pytest

from model_servers.serving.errors import MalformedRequest
from model_servers.transcription.audio import SAMPLE_RATE, decode_audio
from tests.speech import audio_file, tone


class Stream(io.RawIOBase):
    """A source that can only be read forwards, as a request body."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._inner.read(size)


def decoded(data: bytes) -> np.ndarray:
    return np.concatenate(list(decode_audio(Stream(data))))


def test_flac_is_decoded_sample_by_sample() -> None:
    samples = tone(2.5)
    assert np.abs(decoded(audio_file(samples)) - samples).max() < 1 / 32000


def test_other_rates_and_stereo_become_16_khz_mono() -> None:
    samples = tone(2, rate=44_100)
    result = decoded(audio_file(samples, rate=44_100, layout="stereo"))
    assert len(result) == pytest.approx(2 * SAMPLE_RATE, abs=200)
    assert np.sqrt(np.mean(result**2)) == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.05)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_ends_early_is_refused(share: float) -> None:
    data = audio_file(tone(10))
    with pytest.raises(MalformedRequest):
        decoded(data[: int(len(data) * share)])


@pytest.mark.parametrize("data", [b"", b"not audio at all" * 100, b"#EXTM3U\n/etc/passwd\n"])
def test_what_is_not_audio_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRequest):
        decoded(data)
