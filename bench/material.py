"""What the benchmarks of the model servers run on: frames of real clips, joined speech.

From SCREENER_TEST_MEDIA (default ../shared/media): 120 frames at 1280x720 from five clips,
scaled and cropped to fill, and all recordings of speech one after another.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from faster_whisper import decode_audio  # type: ignore[import-untyped]

from screener.bundles import FrameBundleManifest, FrameEntry, write_bundle
from screener.sampling import Sampling

REPOSITORY = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 1280, 720
CLIPS = {
    "tears_of_steel_battle_70s.webm": 45,
    "street_person_bicycle_car_38s.mp4": 35,
    "his_girl_friday_6s.mp4": 15,
    "big_buck_bunny_30s.webm": 15,
    "nasa_webb_narrated_13s.mp4": 10,
}
SPEECH = (
    "speech/jfk_11s.flac",
    "speech/sonnet1_53s.mp3",
    "speech/sense_and_sensibility_25s.wav",
    "speech/librispeech_198-209-0000_14s.ogg",
    "speech/two_person_dialog_45s.wav",
)
_SAMPLE_RATE = 16_000


class Material(NamedTuple):
    """Inputs on disk, for the baselines and for the servers alike."""

    frames: Path
    """Folder of JPEG files."""
    frame_count: int
    bundle: Path
    """The same images as a frame bundle."""
    audio: Path
    """FLAC, 16 kHz mono."""
    audio_s: float


def media_folder() -> Path:
    """SCREENER_TEST_MEDIA or its default.

    Raises:
        SystemExit: there is no such folder.
    """
    default = REPOSITORY.parent / "shared" / "media"
    folder = Path(os.environ.get("SCREENER_TEST_MEDIA", default))
    if not folder.is_dir():
        raise SystemExit(f"no clips: set SCREENER_TEST_MEDIA ({folder} is not a folder)")
    return folder


def prepare(folder: Path) -> Material:
    """Write the material into `folder`."""
    media = media_folder()
    frames = folder / "frames"
    frames.mkdir(parents=True, exist_ok=True)
    jpegs = [
        jpeg for name, count in CLIPS.items() for jpeg in _jpegs(media / "video" / name, count)
    ]
    for index, jpeg in enumerate(jpegs):
        (frames / f"frame_{index:06d}.jpg").write_bytes(jpeg)
    bundle = folder / "frames.tar"
    with bundle.open("wb") as file:
        write_bundle(file, _manifest(len(jpegs)), iter(jpegs))
    pause = np.zeros(_SAMPLE_RATE, np.float32)
    speech = np.concatenate(
        [part for name in SPEECH for part in (decode_audio(str(media / name)), pause)]
    )
    audio = folder / "speech.flac"
    _write_flac(audio, speech)
    return Material(frames, len(jpegs), bundle, audio, len(speech) / _SAMPLE_RATE)


def _jpegs(clip: Path, count: int) -> Sequence[bytes]:
    with av.open(str(clip)) as container:
        pictures = [
            frame for index, frame in enumerate(container.decode(video=0)) if index % 7 == 0
        ]
        return [
            _fill(pictures[number * len(pictures) // count].to_ndarray(format="bgr24"))
            for number in range(count)
        ]


def _fill(picture: np.ndarray) -> bytes:
    height, width = picture.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = round(width * scale), round(height * scale)
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    top, left = (size[1] - HEIGHT) // 2, (size[0] - WIDTH) // 2
    crop = large[top : top + HEIGHT, left : left + WIDTH]
    return cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def _manifest(count: int) -> FrameBundleManifest:
    return FrameBundleManifest(
        video_id="0" * 32,
        sampling_id="0" * 16,
        sampling=Sampling(),
        chunk=0,
        time_base="1/1",
        width=WIDTH,
        height=HEIGHT,
        frames=[
            FrameEntry(
                index=index,
                name=f"frame_{index:06d}.jpg",
                pts=index,
                timestamp_ms=index * 1000,
                span_start_ms=index * 1000,
                span_end_ms=index * 1000 + 1000,
            )
            for index in range(count)
        ],
    )


def _write_flac(path: Path, samples: np.ndarray) -> None:
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=_SAMPLE_RATE, layout="mono")
        for start in range(0, len(samples), _SAMPLE_RATE):
            piece = (samples[start : start + _SAMPLE_RATE] * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate = _SAMPLE_RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
