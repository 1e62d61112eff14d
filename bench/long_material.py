"""A synthetic long video: every picture carries its number, somebody speaks every ten minutes."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from bench.media_material import MEDIA
from tests.media_clips import HEIGHT, WIDTH, draw

RATE = 5
"""Pictures a second. Their numbers have 16 bits: enough for three and a half hours."""
SOUND_RATE = 16_000
BLOCK = 1024
SPEECH = MEDIA / "speech" / "jfk_11s.flac"
SPEECH_EVERY_SECONDS = 600
SPEECH_AT_SECONDS = 300
"""Within every ten minutes; so every range of 15 has some."""


def write_video(target: Path, hours: float) -> Path:
    """A synthetic video: H.264 of 160x96 at 5 pictures a second, AAC at 16 kHz."""
    speech = _speech()
    seconds = round(hours * 3600)
    with av.open(str(target), "w") as output:
        options = {"preset": "ultrafast", "crf": "28", "g": "50"}
        video = output.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        # Decoders fill substituted noise with random numbers: no two ranges would be alike.
        audio = output.add_stream("aac", rate=SOUND_RATE, options={"aac_pns": "0"})
        audio.codec_context.layout = "mono"
        written = 0
        for number in range(seconds * RATE):
            frame = VideoFrame.from_ndarray(draw(number), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(video.encode(frame))
            while written * RATE < (number + 1) * SOUND_RATE:
                block = AudioFrame.from_ndarray(
                    _block(speech, written), format="fltp", layout="mono"
                )
                block.sample_rate, block.pts = SOUND_RATE, written
                block.time_base = Fraction(1, SOUND_RATE)
                output.mux(audio.encode(block))
                written += BLOCK
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return target


def _speech() -> NDArray[np.float32]:
    """A spoken sentence, mono at 16 kHz."""
    resampler = av.AudioResampler("flt", "mono", SOUND_RATE)
    with av.open(str(SPEECH)) as source:
        parts = [
            part.to_ndarray().reshape(-1)
            for frame in source.decode(audio=0)
            for part in resampler.resample(frame)
        ]
    return np.concatenate(parts).astype(np.float32)


def _block(speech: NDArray[np.float32], start: int) -> NDArray[np.float32]:
    """The sound's samples [start, start + 1024), shape (1, 1024): speech now and then."""
    block = np.zeros((1, BLOCK), np.float32)
    within = start % (SPEECH_EVERY_SECONDS * SOUND_RATE) - SPEECH_AT_SECONDS * SOUND_RATE
    if 0 <= within < len(speech):
        spoken = speech[within : within + BLOCK]
        block[0, : len(spoken)] = spoken
    return block
