"""Audio for tests, made with PyAV."""

import io

import av
import numpy as np


def tone(seconds: float, rate: int = 16_000, level: float = 0.3) -> np.ndarray:
    """A sine of 220 Hz."""
    time_s = np.arange(int(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32)


def audio_file(samples: np.ndarray, rate: int = 16_000, layout: str = "mono") -> bytes:
    """Mono samples as a FLAC file; every channel of `layout` gets them."""
    target = io.BytesIO()
    with av.open(target, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout=layout)
        for start in range(0, len(samples), rate):
            piece = (samples[start : start + rate] * 32767).round().astype(np.int16)
            frame = av.AudioFrame.from_ndarray(
                np.repeat(piece, stream.layout.nb_channels)[None], format="s16", layout=layout
            )
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()
