"""A whole video, from the file to the last answer: Screener's way against the obvious one.

The obvious way is two FFmpeg commands (frames at 1 fps, sound), then NudeNet and OpenNSFW,
InsightFace, Ultralytics YOLO and faster-whisper one after the other, file by file. Screener's is
its own extraction, then all servers at once, as the state machine calls them. Models and servers
are loaded in both. With a ViT-L/14 pack (see `Scripts.clip_packs`) scenes are part of both ways.

The clips are made of real ones: action that never rests, and two people talking.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av

from bench.baseline.prompts import PROMPTS
from bench.cost import Cost, best, one_after_another, peak_mb, timed
from bench.media import Commands, finish_bundle
from bench.media_material import VIDEO, frames_of
from bench.media_run import probed, run
from bench.servers import FLAC, JSON, TAR, Bench
from bench.tables import Row
from screener.bundles import BundleReader
from screener.observations import Analyzer
from screener.packs import InstalledPack
from screener.sampling import Sampling, SamplingStrategy
from tests.server_process import ServerProcess

WIDTH, HEIGHT, RATE = 1280, 720, 30
ADAPTIVE = Sampling(strategy=SamplingStrategy.ADAPTIVE, frames_per_second=5)
"""As docs/sampling.md recommends it: five candidates a second, kept when they show what is new."""

ACTION, TALKING = "tears_of_steel_battle_70s.webm", "his_girl_friday_6s.mp4"


def whole_video(
    bench: Bench,
    kind: str,
    pictures: str,
    samplings: Sequence[Sampling],
    seconds: int,
    scenes: InstalledPack | None,
) -> list[Row]:
    """One row per sampling of one clip.

    Args:
        bench: what it runs with.
        kind: of clip, for its name.
        pictures: a clip of SCREENER_TEST_MEDIA, shown again and again.
        samplings: those of Screener; the obvious way takes a frame every second.
        seconds: length.
        scenes: a CLIP ViT-L/14 pack; None leaves scenes out on both sides.

    Raises:
        Unavailable: a pack or a library is missing.
    """
    folder = bench.scripts.folder / kind.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    clip = clip_with_speech(folder / "clip.mp4", VIDEO / pictures, bench.material.audio, seconds)
    obvious = Obvious(bench, clip, folder, scenes=scenes is not None)
    theirs: list[Cost] = []
    ours: dict[str, list[Cost]] = {item.sampling_id: [] for item in samplings}
    frames: dict[str, int] = {}
    with ExitStack() as stack:
        servers: dict[Analyzer, ServerProcess] = {}
        for analyzer in Analyzer:
            packs = bench.packs(analyzer)
            if scenes and analyzer is Analyzer.OBJECTS:
                packs.append(scenes)
            folders = [pack.folder for pack in packs]
            servers[analyzer] = stack.enter_context(ServerProcess(analyzer, folders))
        for server in servers.values():
            server.wait_ready()
        screener = Screener(servers, clip, folder, scenes=scenes is not None)
        for _ in range(bench.rounds):
            theirs.append(obvious.screen())
            for sampling in samplings:
                cost, frames[sampling.sampling_id] = screener.screen(sampling, obvious.audio)
                ours[sampling.sampling_id].append(cost)
    rows = []
    for sampling in samplings:
        strategy = sampling.strategy.value.replace("_", " ")
        count = frames[sampling.sampling_id]
        name = f"whole video, {kind}, {seconds} s, {strategy}, {count} frames"
        if scenes:
            name += f", scenes by {scenes.pack.name}"
        rows.append(Row(name, best(theirs), best(ours[sampling.sampling_id])))
    return rows


class Obvious:
    """Commands and scripts, one after the other."""

    def __init__(self, bench: Bench, clip: Path, folder: Path, *, scenes: bool) -> None:
        self._scripts, self._scenes = bench.scripts, scenes
        self._commands = Commands(clip, folder, Sampling().frame_max_side_px)
        self.audio = folder / "audio.flac"

    def screen(self) -> Cost:
        extraction = timed(self._commands.both)
        frames = self._commands.folder_of_frames
        return one_after_another(
            [
                extraction,
                self._scripts.moderation(frames),
                self._scripts.faces(frames),
                self._scripts.objects(frames),
                self._scripts.transcription(self.audio),
                *([self._scripts.clip(frames)] if self._scenes else []),
            ]
        )


class Screener:
    """Extraction, then every server at once."""

    def __init__(
        self,
        servers: dict[Analyzer, ServerProcess],
        clip: Path,
        folder: Path,
        *,
        scenes: bool,
    ) -> None:
        self._servers, self._clip, self._bundle = servers, clip, folder / "frames.tar"
        self._scenes, self._rounds = scenes, 0

    def screen(self, sampling: Sampling, audio: Path) -> tuple[Cost, int]:
        """Its cost, and how many frames were looked at.

        `audio` is what the command extracted, the same samples as ours, which `run` drops.
        Memory is that of the four servers together.
        """
        cost = timed(lambda: self._screen(sampling, audio))
        memory = sum(peak_mb(server.process.pid) for server in self._servers.values())
        with self._bundle.open("rb") as file:
            return cost._replace(peak_mb=memory), len(BundleReader(file).manifest.frames)

    def _screen(self, sampling: Sampling, audio: Path) -> None:
        facts = probed(self._clip)
        extraction = run(self._clip, facts, sampling, keep=self._bundle).extraction
        finish_bundle(self._bundle, extraction, sampling)
        with ThreadPoolExecutor(len(self._servers)) as pool:
            list(pool.map(lambda analyzer: self._ask(analyzer, audio), self._servers))

    def _ask(self, analyzer: Analyzer, audio: Path) -> None:
        speech = analyzer is Analyzer.TRANSCRIPTION
        body = (audio if speech else self._bundle).read_bytes()
        server = self._servers[analyzer]
        if self._scenes and analyzer is Analyzer.OBJECTS:
            self._rounds += 1  # new texts: the server remembers those it was asked before
            texts = {"texts": [f"{prompt}, {self._rounds}" for prompt in PROMPTS]}
            server.post(json.dumps(texts).encode(), JSON).raise_for_status()
        server.post(body, FLAC if speech else TAR).raise_for_status()


def clip_with_speech(target: Path, pictures: Path, speech: Path, seconds: int) -> Path:
    """A clip's pictures over and over, scaled to 720p, with recorded speech; H.264 and AAC."""
    with av.open(str(target), "w") as output, av.open(str(speech)) as sound:
        video = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = output.add_stream("aac", rate=sound.streams.audio[0].rate, layout="mono")
        pictures_of_clip = frames_of(pictures, WIDTH, HEIGHT, RATE)
        for number, frame in zip(range(seconds * RATE), pictures_of_clip, strict=False):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        resampler = av.AudioResampler("fltp", "mono", sound.streams.audio[0].rate)
        for heard in sound.decode(audio=0):
            if heard.time is not None and heard.time >= seconds:
                break
            for part in resampler.resample(heard):
                output.mux(audio.encode(part))
        output.mux(audio.encode(None))
    return target
