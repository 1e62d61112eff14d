"""Make `assets/sample.mp4`, the clip that `make demo` screens.

    apt-get install flite && .venv/bin/python assets/make_sample.py

Pictures: scikit-image's `astronaut` (NASA, public domain), `coffee` and `chelsea` (both CC0).
Speech: Flite's free `slt` voice reading a text of ours. The result is licence-clear.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

TARGET = Path(__file__).with_name("sample.mp4")
SIZE = (640, 480)
FRAME_RATE = 24
SPEECH = (
    "Hello, and welcome. This short video was made to try a content moderation system. "
    "It shows one person, and it contains one threat, so that there is something to find. "
    "I will kill you."
)
# (picture, seconds, start and end of the view as centre x, centre y, height in ratios)
SHOTS = (
    ("astronaut", 6, (0.42, 0.30, 0.55), (0.50, 0.40, 0.75)),
    ("coffee", 3, (0.40, 0.50, 0.95), (0.55, 0.50, 0.80)),
    ("chelsea", 3, (0.50, 0.50, 0.95), (0.45, 0.45, 0.70)),
)


def frames() -> Iterator[Image.Image]:
    """Every frame of the film: slow pans and zooms over the pictures."""
    for name, seconds, start, end in SHOTS:
        picture = Image.fromarray(getattr(data, name)())
        count = seconds * FRAME_RATE
        for number in range(count):
            at = number / (count - 1)
            x, y, height = (a + (b - a) * at for a, b in zip(start, end, strict=True))
            tall = height * picture.height
            wide = min(tall * SIZE[0] / SIZE[1], picture.width)
            tall = wide * SIZE[1] / SIZE[0]
            left = min(max(x * picture.width - wide / 2, 0), picture.width - wide)
            top = min(max(y * picture.height - tall / 2, 0), picture.height - tall)
            yield picture.resize(
                SIZE, Image.Resampling.BICUBIC, box=(left, top, left + wide, top + tall)
            )


def speech() -> tuple[NDArray[np.int16], int]:
    """Samples and sampling rate of the spoken text."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", "slt", "-t", SPEECH, "-o", wav], check=True)  # noqa: S607
        with av.open(str(wav)) as container:
            blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
            return np.concatenate(blocks), container.streams.audio[0].rate


def main() -> None:
    samples, rate = speech()
    with av.open(str(TARGET), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "26"})
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout="mono", bit_rate=48_000)
        for image in frames():
            container.mux(video.encode(av.VideoFrame.from_image(image)))
        container.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        sound.rate = rate
        sound.time_base = Fraction(1, rate)
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
