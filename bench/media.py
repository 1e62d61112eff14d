"""Extraction against the two obvious FFmpeg commands, with decoding alone as the floor.

    python -m bench.media [--rounds 3] [--rows NAME ...] [--clips FOLDER] [--hours 6]

The baseline is two commands: frames at 1 fps as JPEG files, scaled as ours are, and the sound as
16 kHz mono FLAC. `fps=...:round=up` makes the command choose the frame on display at each
second, which is what Screener keeps. Rounds alternate, the best counts.

Our JPEGs must be, byte for byte, those of a plain loop that decodes every picture in order, and
look like the command's (above 35 dB is the same picture). Floors: decoding every picture, and
decoding just those that the wanted ones need, which is as little as an exact result can do.

Screener's children come from a server that is loaded once per process, which the first probe of
each clip has done; `--rows` with nothing else prints what that takes.
`--clips` keeps the clips, whose encoding takes longer than everything else.
`--hours` walks a synthetic video of that length and prints the largest memory.
"""

import argparse
import io
import os
import platform
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from bench.media_floor import decode_needed, expected_jpegs
from bench.media_material import ENCODERS, VIDEO, speed_clip
from bench.media_run import Cost, children_cpu_s, probed, run
from screener.bundles import END, MANIFEST_NAME, BundleReader, FrameBundleManifest, member
from screener.media import MediaFacts
from screener.media.facts import Extraction
from screener.sampling import Sampling, SamplingStrategy


class Row(NamedTuple):
    """A clip to measure with."""

    name: str
    seconds: int
    width: int
    height: int
    encoder: str


ROWS = (
    Row("720p", 60, 1280, 720, "x264 defaults"),
    Row("1080p", 40, 1920, 1080, "x264 defaults"),
    Row("2160p", 15, 3840, 2160, "x264 defaults"),
    Row("1080p live", 40, 1920, 1080, "live"),
    Row("1080p phone", 40, 1920, 1080, "phone"),
)
HEADS = (
    "| 1 fps and sound | two commands | Screener | ratio | floor: decode every picture "
    "| floor: decode the needed ones | needed | frames, likeness |",
    "| key frames and sound | two commands | Screener | ratio |",
)
SAME_PICTURE_DB = 35


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


def same_frames(ours: list[bytes], clip: Path, facts: MediaFacts, theirs: Path) -> str:
    """How many frames there are, and the worst likeness to the command's.

    Raises:
        SystemExit: a frame is not the one that a plain loop finds, or not the command's.
    """
    expected = list(expected_jpegs(clip, facts, Sampling()))
    if ours != expected:
        different = sum(a != b for a, b in zip(ours, expected, strict=False))
        raise SystemExit(
            f"{clip.name}: {len(ours)} frames, {len(expected)} from a plain loop, "
            f"{different} of them different"
        )
    files = sorted(theirs.glob("[0-9]*.jpg"))
    if len(ours) != len(files):
        raise SystemExit(f"{clip.name}: {len(ours)} frames, {len(files)} from the command")
    worst = min(psnr(jpeg, path.read_bytes()) for jpeg, path in zip(ours, files, strict=True))
    if worst < SAME_PICTURE_DB:
        raise SystemExit(f"{clip.name}: a frame is only {worst:.0f} dB like the command's")
    return f"{len(ours)}, {worst:.0f} dB"


def psnr(one: bytes, other: bytes) -> float:
    error = float(np.mean((grey(one) - grey(other)) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-3)))


def compare(clip: Path, name: str, rounds: int) -> tuple[str, str]:
    """One row of each table."""
    facts = probed(clip)
    sampling = Sampling()
    keys = Sampling(strategy=SamplingStrategy.KEY_FRAMES)
    bundle = clip.with_suffix(".tar")
    with TemporaryDirectory() as folder:
        commands = Commands(clip, Path(folder), sampling.frame_max_side_px)
        costs: dict[str, list[Cost]] = defaultdict(list)
        for _ in range(rounds):
            costs["two"].append(timed(commands.both))
            costs["ours"].append(run(clip, facts, sampling).cost)
            costs["all"].append(timed(commands.decode_alone))
            costs["needed"].append(decode_needed(clip))
            costs["key"].append(timed(commands.key_frames))
            costs["our key"].append(run(clip, facts, keys).cost)
        extraction = run(clip, facts, sampling, keep=bundle).extraction
        finish_bundle(bundle, extraction, sampling)
        with bundle.open("rb") as file:
            jpegs = [frame.jpeg for frame in BundleReader(file)]
        bundle.unlink()
        same = same_frames(jpegs, clip, facts, commands.folder_of_frames)
    two, ours, every, needed, key, our_key = (
        best(costs[k]) for k in ("two", "ours", "all", "needed", "key", "our key")
    )
    rate = (
        name, two, ours, ratio(two, ours), every, needed,
        f"{extraction.frames_decoded} of {extraction.frames_seen}", same,
    )  # fmt: skip
    return row(*rate), row(name, key, our_key, ratio(key, our_key))


def row(*cells: str | Cost) -> str:
    shown = (c if isinstance(c, str) else f"{c.wall_s:.2f} s ({c.cpu_s:.2f})" for c in cells)
    return "| " + " | ".join(shown) + " |"


def ratio(theirs: Cost, ours: Cost) -> str:
    return f"**{theirs.wall_s / ours.wall_s:.1f}x** ({theirs.cpu_s / ours.cpu_s:.1f}x)"


def start_of_server() -> float:
    """Seconds from nothing to a fork server that has loaded everything."""
    clip = VIDEO / "nasa_webb_narrated_13s.mp4"
    started = time.perf_counter()
    probed(clip)
    first = time.perf_counter() - started
    probed(clip)
    return first - (time.perf_counter() - started - first)


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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=[row.name for row in ROWS])
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--hours", type=int)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {platform.machine()}; load {os.getloadavg()[0]:.1f} at the start")
    print(f"start of the fork server, once per process: {start_of_server():.2f} s")
    print("Seconds on the clock (processor seconds); ratios likewise.\n")
    tables: tuple[list[str], list[str]] = ([], [])
    with TemporaryDirectory() as folder:
        for asked in (row for row in ROWS if row.name in arguments.rows):
            clip = (arguments.clips or Path(folder)) / f"{asked.name.replace(' ', '-')}.mp4"
            if not clip.exists():
                clip.parent.mkdir(parents=True, exist_ok=True)
                encoder = ENCODERS[asked.encoder]
                speed_clip(clip, asked.seconds, asked.width, asked.height, encoder)
            name = f"{asked.name}, {asked.seconds} s"
            for table, line in zip(tables, compare(clip, name, arguments.rounds), strict=True):
                table.append(line)
        for head, table in zip(HEADS, tables, strict=True):
            if table:
                print(head, "|" + "---|" * (head.count("|") - 1), *table, "", sep="\n", flush=True)
        if arguments.hours:
            clip = long_clip(Path(folder) / "long.mp4", arguments.hours)
            result = run(clip, probed(clip), Sampling())
            print(
                f"{arguments.hours} h: {len(result.extraction.frames)} frames in "
                f"{result.cost.wall_s:.0f} s ({result.cost.cpu_s:.0f}), "
                f"at most {result.peak_mb:.0f} MB"
            )


if __name__ == "__main__":
    main()
