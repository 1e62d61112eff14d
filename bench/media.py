"""Extraction against the two obvious FFmpeg commands, with decoding alone as the floor.

    python -m bench.media [--seconds 120] [--rounds 3] [--sizes 1280x720 1920x1080 3840x2160]
                          [--hours 6]

The baseline is two commands: frames at 1 fps as JPEG files, scaled as ours are, and the sound as
16 kHz mono FLAC. `fps=...:round=up` makes the command choose the frame on display at each
second, which is what Screener keeps; the frames are compared. Rounds alternate, the best counts.
`--hours` walks a synthetic video of that length and prints the largest memory.
"""

import argparse
import io
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from bench.media_material import speed_clip
from bench.media_run import children_cpu_s, probed, run
from screener.bundles import END, MANIFEST_NAME, BundleReader, FrameBundleManifest, member
from screener.media.facts import Extraction
from screener.sampling import Sampling, SamplingStrategy


class Cost(NamedTuple):
    """Seconds of one measure: on the clock, and of processor time on all cores."""

    wall_s: float
    cpu_s: float


def ffmpeg_command() -> str:
    """The `ffmpeg` on the PATH, else the one that imageio-ffmpeg packages (bench.in)."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    from imageio_ffmpeg import get_ffmpeg_exe

    return str(get_ffmpeg_exe())


def timed(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), children_cpu_s()
    work()
    return Cost(time.perf_counter() - wall, children_cpu_s() - cpu)


def best(costs: list[Cost]) -> Cost:
    return Cost(min(c.wall_s for c in costs), min(c.cpu_s for c in costs))


class Commands:
    """The baseline."""

    def __init__(self, clip: Path, folder: Path, side: int) -> None:
        self._base = [ffmpeg_command(), "-v", "error", "-nostdin", "-y", "-i", str(clip)]
        self._folder, self._side = folder, side

    def both(self) -> None:
        self.folder_of_frames.mkdir(exist_ok=True)
        scale = f"scale='min({self._side},iw)':-2"
        files = f"{self.folder_of_frames}/%05d.jpg"
        self._run("-vf", f"fps=1:round=up,{scale}", "-q:v", "2", files)
        self._run("-vn", "-ac", "1", "-ar", "16000", str(self._folder / "audio.flac"))

    def decode_alone(self) -> None:
        self._run("-map", "0:v:0", "-f", "null", "-")

    def key_frames(self) -> None:
        self.folder_of_frames.mkdir(exist_ok=True)
        self._run("-vf", "select='eq(pict_type,I)'", "-fps_mode", "passthrough", "-q:v", "2",
                  f"{self.folder_of_frames}/k%05d.jpg")  # fmt: skip
        self._run("-vn", "-ac", "1", "-ar", "16000", str(self._folder / "audio.flac"))

    @property
    def folder_of_frames(self) -> Path:
        return self._folder / "frames"

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self._base, *arguments], check=True, stdin=subprocess.DEVNULL)


def grey(jpeg: bytes) -> NDArray[np.float32]:
    with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as container:
        return next(container.decode(video=0)).to_ndarray(format="gray").astype(np.float32)


def worst_psnr(ours: Path, theirs: Path) -> tuple[int, float]:
    """Frames in both, and the worst likeness of a pair in dB; above 35 is the same picture."""
    files = sorted(theirs.glob("[0-9]*.jpg"))
    worst = 99.0
    with ours.open("rb") as file:
        frames = list(BundleReader(file))
    if len(frames) != len(files):
        raise SystemExit(f"{len(frames)} frames here, {len(files)} from the command")
    for frame, path in zip(frames, files, strict=True):
        one, other = grey(frame.jpeg), grey(path.read_bytes())
        error = float(np.mean((one - other) ** 2))
        worst = min(worst, 10 * np.log10(255**2 / max(error, 1e-3)))
    return len(frames), worst


def compare(clip: Path, name: str, rounds: int) -> str:
    """One row of the table."""
    facts = probed(clip)
    sampling = Sampling()
    keys = Sampling(strategy=SamplingStrategy.KEY_FRAMES)
    bundle = clip.with_suffix(".tar")
    commands = Commands(clip, clip.parent, sampling.frame_max_side_px)
    costs: dict[str, list[Cost]] = {key: [] for key in ("two", "ours", "floor", "key", "our key")}
    for _ in range(rounds):
        costs["two"].append(timed(commands.both))
        costs["ours"].append(timed(lambda: run(clip, facts, sampling)))
        costs["floor"].append(timed(commands.decode_alone))
        costs["key"].append(timed(commands.key_frames))
        costs["our key"].append(timed(lambda: run(clip, facts, keys)))
    extraction = run(clip, facts, sampling, keep=bundle).extraction
    finish_bundle(bundle, extraction, sampling)
    count, likeness = worst_psnr(bundle, commands.folder_of_frames)
    two, ours, floor, key, our_key = (best(costs[k]) for k in costs)
    cells = [
        name,
        *(f"{c.wall_s:.1f} s ({c.cpu_s:.1f})" for c in (two, floor, ours)),
        f"**{two.wall_s / ours.wall_s:.1f}x** ({two.cpu_s / ours.cpu_s:.1f}x)",
        f"{extraction.frames_decoded} of {extraction.frames_seen}",
        f"{key.wall_s:.1f} s ({key.cpu_s:.1f})",
        f"{our_key.wall_s:.1f} s ({our_key.cpu_s:.1f})",
        f"**{key.wall_s / our_key.wall_s:.1f}x** ({key.cpu_s / our_key.cpu_s:.1f}x)",
        f"{count}, {likeness:.0f} dB",
    ]
    return "| " + " | ".join(cells) + " |"


def finish_bundle(bundle: Path, extraction: Extraction, sampling: Sampling) -> None:
    """Put the manifest in front of the members."""
    manifest = FrameBundleManifest(
        video_id="bench",
        sampling_id=sampling.sampling_id,
        sampling=sampling,
        chunk=0,
        time_base=extraction.time_base,
        width=extraction.width,
        height=extraction.height,
        frames=extraction.frames,
    )
    body = bundle.read_bytes()
    bundle.write_bytes(member(MANIFEST_NAME, manifest.model_dump_json().encode()) + body + END)


def long_clip(target: Path, hours: int) -> Path:
    """One minute of a moving ramp, repeated without encoding again."""
    minute = target.with_name("minute.mp4")
    with av.open(str(minute), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "250"})
        video.width, video.height, video.pix_fmt = 320, 176, "yuv420p"
        ramp = np.tile(np.arange(320, dtype=np.uint8) // 2, (176, 1))
        for number in range(60 * 25):
            frame = av.VideoFrame.from_ndarray(np.roll(ramp, number, 1), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    with av.open(str(target), "w") as output, av.open(str(minute)) as source:
        stream = output.add_stream_from_template(source.streams.video[0])
        length = source.streams.video[0].duration or 0
        for repetition in range(hours * 60):
            source.seek(0)
            for packet in source.demux(video=0):
                if packet.size and packet.pts is not None and packet.dts is not None:
                    packet.pts += repetition * length
                    packet.dts += repetition * length
                    packet.stream = stream
                    output.mux(packet)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="*", default=["1280x720", "1920x1080", "3840x2160"])
    parser.add_argument("--hours", type=int)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {platform.machine()}; load {os.getloadavg()[0]:.1f} at the start")
    print("Seconds on the clock (processor seconds); ratios likewise.\n")
    if arguments.sizes:
        print(
            "| clip | two commands | decode alone | Screener | ratio | decoded "
            "| I frames, two commands | key frames, Screener | ratio | same frames |"
        )
        print("|" + "---|" * 10)
    with TemporaryDirectory() as folder:
        for size in arguments.sizes:
            width, height = map(int, size.split("x"))
            clip = speed_clip(Path(folder) / f"{size}.mp4", arguments.seconds, width, height)
            print(compare(clip, size, arguments.rounds), flush=True)
        if arguments.hours:
            clip = long_clip(Path(folder) / "long.mp4", arguments.hours)
            result = run(clip, probed(clip), Sampling())
            print(
                f"\n{arguments.hours} h: {len(result.extraction.frames)} frames in "
                f"{result.wall_s:.0f} s ({result.cpu_s:.0f}), at most {result.peak_mb:.0f} MB"
            )


if __name__ == "__main__":
    main()
