"""Memory does not grow with the number of frames or the length of the audio."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from screener.observations import Analyzer
from tests.frame_bundles import bundle_of, jpeg, portrait
from tests.server_process import ServerProcess
from tests.speech import audio_file, tone

# Threads that wait for a processor hold more at a time.
pytestmark = pytest.mark.alone


def peak_mb(server: ServerProcess) -> float:
    """The process's highest resident memory so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def pieces(body: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    yield from (body[start : start + size] for start in range(0, len(body), size))


def test_a_bundle_of_90_mb_passes_through_a_server_that_grows_by_a_fraction(
    packs_of: dict[Analyzer, list[Path]],
) -> None:
    # Noise after the image makes a frame large and costs no time to decode.
    noise = np.random.default_rng(1).integers(1, 255, 60_000, np.uint8).tobytes()
    small = jpeg(portrait()[:64, :64])
    comment = b"\xff\xfe" + (len(noise) + 2).to_bytes(2, "big") + noise
    frame = small[:2] + comment + small[2:]
    few, many = bundle_of([frame] * 50), bundle_of([frame] * 1_500)
    assert len(many) > 90e6
    with ServerProcess("objects", packs_of[Analyzer.OBJECTS][:1]) as server:
        server.wait_ready()
        assert server.post(pieces(few), "application/x-tar").status_code == 200
        before_mb = peak_mb(server)
        answer = server.post(pieces(many), "application/x-tar")
        assert len(answer.json()["frames"]) == 1_500
        assert peak_mb(server) - before_mb < 30


def test_audio_of_many_minutes_is_held_one_window_at_a_time(
    packs_of: dict[Analyzer, list[Path]],
) -> None:
    short, long = audio_file(tone(250, level=0.01)), audio_file(tone(2_100, level=0.01))
    with ServerProcess("transcription", packs_of[Analyzer.TRANSCRIPTION]) as server:
        server.wait_ready()
        assert server.post(pieces(short), "audio/flac").status_code == 200
        before_mb = peak_mb(server)
        answer = server.post(pieces(long), "audio/flac")
        assert answer.json()["duration_ms"] == 2_100_000
        # All of it as samples would be 135 MB. The detector's largest buffer, 37 MB, may come to
        # lie in one more place: freed memory is kept, and not always in one piece.
        assert peak_mb(server) - before_mb < 90
