"""Clips whose every frame carries its own number, so that a wrong time cannot hide.

A number is drawn as two rows of eight black or white fields, the second row being the first
one's complement: a frame that is rotated, mirrored, torn or mixed from two does not decode.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from screener.media import MediaLimits
from screener.media.channel import Sink
from screener.media.extraction import extract
from screener.media.facts import Extraction, ExtractionOrder, MediaFacts, ProbeTask
from screener.media.probing import probe
from screener.sampling import Sampling

WIDTH, HEIGHT = 160, 96
_COLUMNS, _BITS = 8, 8
X264 = {"preset": "ultrafast", "crf": "28"}


def draw(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Grey picture, shape (height, width): two rows of fields, twice (16 bits)."""
    rows = []
    for part in (number >> _BITS, number & 0xFF):
        bits = [(part >> bit) & 1 for bit in reversed(range(_BITS))]
        rows += [bits, [1 - bit for bit in bits]]
    grid = np.array(rows, dtype=np.uint8) * 200 + 28
    return np.kron(grid, np.ones((height // 4, width // _COLUMNS), dtype=np.uint8))


def read_number(jpeg: bytes) -> int:
    """The number drawn into a picture.

    Raises:
        ValueError: it is not an upright picture of one number.
    """
    with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
        grey = next(container.decode(video=0)).to_ndarray(format="gray")
    height, width = grey.shape
    fields = np.array(
        [
            [
                grey[
                    int((row + 0.3) * height / 4) : int((row + 0.7) * height / 4),
                    int((column + 0.3) * width / 8) : int((column + 0.7) * width / 8),
                ].mean()
                for column in range(_COLUMNS)
            ]
            for row in range(4)
        ]
    )
    bits = (fields > 128).astype(int)
    if (
        np.any((fields > 90) & (fields < 165))
        or np.any(bits[0] == bits[1])
        or np.any(bits[2] == bits[3])
    ):
        raise ValueError(f"no number in this picture: {fields.round()}")
    return int("".join(map(str, [*bits[0], *bits[2]])), 2)


def tone(seconds: float, rate: int = 44_100, frequency: float = 440.0) -> np.ndarray:
    """A sine at half level, float32, shape (samples,)."""
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(
        np.float32
    )


@dataclass
class Sound:
    """One audio track."""

    samples: np.ndarray
    rate: int = 44_100
    start_seconds: Fraction = Fraction(0)
    codec: str = "aac"
    language: str | None = None


def write_clip(
    path: Path,
    times: Sequence[Fraction],
    *,
    codec: str = "libx264",
    rate: int = 25,
    time_base: Fraction = Fraction(1, 12_800),
    options: dict[str, str] | None = None,
    sounds: Iterable[Sound] = (),
    container_options: dict[str, str] | None = None,
    picture: Callable[[int], np.ndarray] = draw,
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    interlaced: bool = False,
    pixel_shape: Fraction | None = None,
) -> Path:
    """Write a clip whose frame number n is shown at `times[n]` seconds.

    `options` go to the video encoder; `rotation` is a display matrix in degrees.
    """
    first = picture(0)
    with av.open(str(path), "w", options=container_options or {}) as output:
        video = output.add_stream(codec, rate=rate, options=options or dict(X264))
        video.width, video.height, video.pix_fmt = first.shape[1], first.shape[0], pix_fmt
        video.time_base = time_base
        video.codec_context.time_base = time_base
        if pixel_shape is not None:
            video.codec_context.sample_aspect_ratio = pixel_shape
        if rotation:
            video.set_display_rotation(rotation)
        tracks = []
        for sound in sounds:
            # Without noise substitution, which decoders fill with random numbers.
            extra = {"aac_pns": "0"} if sound.codec == "aac" else {}
            stream = output.add_stream(sound.codec, rate=sound.rate, options=extra)
            stream.codec_context.layout = "mono"
            stream.bit_rate = 96_000
            if sound.language:
                stream.metadata["language"] = sound.language
            tracks.append((stream, sound))
        packets = []
        for number, time in enumerate(times):
            frame = VideoFrame.from_ndarray(picture(number), format="gray").reformat(format=pix_fmt)
            frame.pts = round(time / time_base)
            frame.time_base = time_base
            packets += video.encode(frame)
        packets += video.encode(None)
        for stream, sound in tracks:
            for start in range(0, len(sound.samples), 1024):
                block = sound.samples[start : start + 1024].reshape(1, -1)
                audio = AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                audio.sample_rate = sound.rate
                audio.time_base = Fraction(1, sound.rate)
                audio.pts = round(sound.start_seconds * sound.rate) + start
                packets += stream.encode(audio)
            packets += stream.encode(None)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            output.mux(packet)
    return path


def steady(count: int, rate: Fraction | int = 25, start: Fraction = Fraction(0)) -> list[Fraction]:
    """Times of `count` frames at a constant rate."""
    return [start + number / Fraction(rate) for number in range(count)]


def without_times(transport_stream: bytes) -> bytes:
    """A transport stream whose pictures have no times, but for the first."""
    data = bytearray(transport_stream)
    seen_first = False
    for start in range(0, len(data), 188):
        begins_unit, control = data[start + 1] & 0x40, data[start + 3] >> 4 & 3
        payload = start + 4 + (1 + data[start + 4] if control & 2 else 0)
        is_picture = data[payload : payload + 3] == b"\0\0\1" and data[payload + 3] >> 4 == 0xE
        if not begins_unit or not control & 1 or not is_picture:
            continue
        if seen_first:
            data[payload + 7] &= 0x3F  # neither a PTS nor a DTS ...
            end = payload + 9 + data[payload + 8]
            data[payload + 9 : end] = b"\xff" * (end - payload - 9)  # ... stuffing in their place
        seen_first = True
    return bytes(data)


def blocks(matroska: bytes) -> list[int]:
    """Where the simple blocks of a file begin: track, two bytes of time, flags."""
    found = []

    def number(place: int, *, keeps_mark: bool) -> tuple[int, int]:
        length = 9 - matroska[place].bit_length()
        value = int.from_bytes(matroska[place : place + length])
        return value if keeps_mark else value & ((1 << 7 * length) - 1), place + length

    def walk(place: int, end: int) -> None:
        while place < end:
            name, place = number(place, keeps_mark=True)
            size, place = number(place, keeps_mark=False)
            if name in (0x18538067, 0x1F43B675):  # Segment, Cluster
                walk(place, place + size)
            elif name == 0xA3:
                found.append(place)
            place += size

    walk(0, len(matroska))
    return found


@dataclass
class Extracted:
    """An extraction's result with its outputs."""

    result: Extraction
    jpegs: list[bytes]
    flac: bytes

    @property
    def numbers(self) -> list[int]:
        return [read_number(jpeg) for jpeg in self.jpegs]

    @property
    def times_ms(self) -> list[int]:
        return [frame.timestamp_ms for frame in self.result.frames]

    def samples(self) -> np.ndarray:
        """16-bit samples, shape (n,)."""
        if not self.flac:
            return np.zeros(0, dtype=np.int16)
        with av.open(io.BytesIO(self.flac)) as container:
            blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        return np.concatenate(blocks).astype(np.int16)


@dataclass
class MemoryLink:
    """The child's channel without a child: reads a file's bytes, keeps what is written."""

    data: bytes
    jpegs: list[bytes] = field(default_factory=list)
    flac: bytearray = field(default_factory=bytearray)
    bytes_read: int = 0

    def read(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        return self.data[offset : offset + length]

    def write(self, sink: Sink, data: bytes) -> None:
        if sink is Sink.FRAMES:
            self.jpegs.append(data)
        else:
            self.flac += data

    def patch(self, sink: Sink, offset: int, data: bytes) -> None:
        assert sink is Sink.AUDIO
        self.flac[offset : offset + len(data)] = data


def probe_here(path: Path, **task: object) -> MediaFacts:
    """Probe without a child process."""
    data = path.read_bytes()
    return probe(io.BytesIO(data), ProbeTask(size_bytes=len(data), limits=MediaLimits(), **task))


def extract_here(
    path: Path,
    sampling: Sampling | None = None,
    start_ms: int = 0,
    end_ms: int | None = None,
    threads: int = 2,
    **order: object,
) -> Extracted:
    """Extract without a child process. `order` replaces fields of the `ExtractionOrder`."""
    facts = probe_here(path)
    link = MemoryLink(path.read_bytes())
    result = extract(
        link,
        ExtractionOrder(
            size_bytes=len(link.data),
            limits=MediaLimits(),
            sampling=sampling or Sampling(),
            start_ms=start_ms,
            end_ms=end_ms,
            duration_ms=facts.duration_ms,
            width=facts.width,
            height=facts.height,
            threads=threads,
            counted_pictures=facts.counted_pictures,
        ).model_copy(update=order),
    )
    return Extracted(result, link.jpegs, bytes(link.flac))
