"""The model servers against the obvious scripts: same machine, weights, frames and answers.

Servers are measured from outside, as SageMaker meets them: one POST of a frame bundle or an
audio file, until the whole answer is there. Scripts are timed without their imports and model
loading. Rounds alternate between the two, and the best of each counts, so that other work on
the machine disturbs both alike.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from bench import floor
from bench.baseline.prompts import PROMPTS
from bench.cost import Cost, best, cpu_s, peak_mb, status_mb
from bench.scripts import CLIP_FRAMES, KerasBackend, Scripts, Unavailable
from bench.tables import Row, StartUp
from model_servers.faces.detectors.scrfd import Scrfd
from model_servers.moderation.model import NudeNet, OpenNsfw
from model_servers.objects.detector import Yolo
from model_servers.serving.session import Rewriting
from screener.bundles import BundleReader
from screener.observations import Analyzer
from screener.packs import InstalledPack
from tests.frame_bundles import bundle_of
from tests.server_process import ServerProcess
from tests.speech import audio_file, tone

TAR, FLAC, JSON = "application/x-tar", "audio/flac", "application/json"
ROLES: Mapping[Analyzer, tuple[str, ...]] = {
    Analyzer.MODERATION: ("detector", "classifier"),
    Analyzer.FACES: ("detector", "recogniser"),
    Analyzer.OBJECTS: ("detector",),
    Analyzer.TRANSCRIPTION: ("speech",),
}
"""What each server is measured with; CLIP has a row of its own."""
_SAME_SCORE = 0.02


class Bench:
    """One run: its material and scripts, how often, whether scenes are part of whole videos, and
    the machine's rate."""

    def __init__(self, scripts: Scripts, rounds: int, *, scenes: bool = True) -> None:
        self.scripts = scripts
        self.material = scripts.material
        self.rounds = rounds
        self.scenes = scenes
        self.gemm_rate = floor.gemm_rate()

    def packs(self, analyzer: Analyzer) -> list[InstalledPack]:
        """Raises Unavailable when one is missing."""
        return [self.scripts.pack(analyzer, role) for role in ROLES[analyzer]]


def moderation(bench: Bench) -> list[Row]:
    frames = bench.material.frames
    theirs, ours, _ = _alternate(
        bench, Analyzer.MODERATION, lambda: bench.scripts.moderation(frames)
    )
    return [Row("moderation, OpenNSFW in ONNX Runtime", theirs, ours, _moderation_floor(bench))]


def moderation_with_keras(bench: Bench, backend: KerasBackend) -> list[Row]:
    """Raises SystemExit when Keras and the server score a frame differently."""
    scores: dict[str, float] = {}

    def script() -> Cost:
        cost, found = bench.scripts.moderation_with_keras(bench.material.frames, backend)
        scores.update(found)
        return cost

    theirs, ours, answer = _alternate(bench, Analyzer.MODERATION, script)
    with bench.material.bundle.open("rb") as file:
        names = [entry.name for entry in BundleReader(file).manifest.frames]
    found = dict(zip(names, (it["nsfw_probability"] for it in answer["frames"]), strict=True))
    worst = max(abs(found[name] - score) for name, score in scores.items())
    if worst > _SAME_SCORE:
        raise SystemExit(f"OpenNSFW in Keras scores a frame {worst:.3f} away from the server")
    name = f"moderation, OpenNSFW in Keras on {backend} (scores within {worst:.4f})"
    return [Row(name, theirs, ours, _moderation_floor(bench))]


def faces(bench: Bench) -> list[Row]:
    frames = bench.material.frames
    theirs, ours, answer = _alternate(bench, Analyzer.FACES, lambda: bench.scripts.faces(frames))
    found = float(np.mean([len(frame["faces"]) for frame in answer["frames"]]))
    detector = _as_loaded(bench, Analyzer.FACES, "detector", *Scrfd.CPU_REWRITINGS)
    recogniser = _as_loaded(bench, Analyzer.FACES, "recogniser")
    networks = [
        # What is left of the library's square of 640 when the black that changes nothing goes.
        floor.Network(detector, (1, 3, 480, 640)),
        floor.Network(recogniser, (1, 3, 112, 112), found),
    ]
    return [Row("faces", theirs, ours, _floor(bench, networks, bench.material.frame_count))]


def objects(bench: Bench) -> list[Row]:
    frames = bench.material.frames
    theirs, ours, _ = _alternate(bench, Analyzer.OBJECTS, lambda: bench.scripts.objects(frames))
    detector = _as_loaded(bench, Analyzer.OBJECTS, "detector", *Yolo.CPU_REWRITINGS)
    networks = [floor.Network(detector, (1, 3, 384, 640))]
    floors = _floor(bench, networks, bench.material.frame_count)
    return [Row("objects (YOLOv8n)", theirs, ours, floors)]


def transcription(bench: Bench) -> list[Row]:
    audio = bench.material.audio
    theirs, ours, _ = _alternate(
        bench, Analyzer.TRANSCRIPTION, lambda: bench.scripts.transcription(audio)
    )
    return [Row("transcription, word times", theirs, ours)]


def clip(bench: Bench) -> list[Row]:
    """One row per precision of ViT-L/14 that is installed; a few frames and seven prompts.

    The server's time holds the prompts once, as new texts in every round: with a video's
    hundreds of frames they would weigh less.
    """
    packs = bench.scripts.clip_packs()
    few = bench.scripts.folder / "clip"
    few.mkdir(exist_ok=True)
    step = bench.material.frame_count // CLIP_FRAMES
    files = sorted(bench.material.frames.glob("*.jpg"))[::step][:CLIP_FRAMES]
    for file in files:
        (few / file.name).write_bytes(file.read_bytes())
    body = bundle_of([file.read_bytes() for file in files])
    theirs = best(bench.scripts.clip(few) for _ in range(bench.rounds))
    rows = []
    for precision, pack in sorted(packs.items()):
        ours = []
        with ServerProcess(Analyzer.OBJECTS, [pack.folder]) as server:
            server.wait_ready()
            for number in range(bench.rounds):
                texts = json.dumps({"texts": [f"{prompt}, {number}" for prompt in PROMPTS]})
                ours.append(_posted(server, [(texts.encode(), JSON), (body, TAR)])[0])
        networks = [floor.Network(pack.path_of("image.onnx"), (1, 3, 224, 224))]
        # Operations in 8 bits are not counted at the rate of float32.
        floors = _floor(bench, networks, len(files), arithmetic=precision == "fp32")
        name = f"CLIP ViT-L/14 {precision}, {len(files)} frames, {len(PROMPTS)} prompts"
        rows.append(Row(name, theirs, best(ours), floors))
    return rows


def _alternate(
    bench: Bench, analyzer: Analyzer, script: Callable[[], Cost]
) -> tuple[Cost, Cost, Any]:
    """(best of the script, best of the server, the server's answer)"""
    folders = [pack.folder for pack in bench.packs(analyzer)]
    audio = analyzer is Analyzer.TRANSCRIPTION
    body = (bench.material.audio if audio else bench.material.bundle).read_bytes()
    theirs, ours = [], []
    with ServerProcess(analyzer, folders) as server:
        server.wait_ready()
        for _ in range(bench.rounds):
            theirs.append(script())
            cost, answer = _posted(server, [(body, FLAC if audio else TAR)])
            ours.append(cost)
    return best(theirs), best(ours), answer


def _posted(server: ServerProcess, requests: Sequence[tuple[bytes, str]]) -> tuple[Cost, Any]:
    pid = server.process.pid
    cpu, started = cpu_s(pid), time.perf_counter()
    answers = [server.post(body, kind) for body, kind in requests]
    cost = Cost(time.perf_counter() - started, cpu_s(pid) - cpu, peak_mb(pid))
    for answer in answers:
        answer.raise_for_status()
    return cost, answers[-1].json()


def _moderation_floor(bench: Bench) -> str:
    detector = _as_loaded(bench, Analyzer.MODERATION, "detector", *NudeNet.CPU_REWRITINGS)
    rewritings = *OpenNsfw.REWRITINGS, *OpenNsfw.CPU_REWRITINGS
    classifier = _as_loaded(bench, Analyzer.MODERATION, "classifier", *rewritings)
    networks = [
        floor.Network(detector, (1, 3, 320, 320)),
        floor.Network(classifier, (1, 224, 224, 3)),
    ]
    return _floor(bench, networks, bench.material.frame_count)


def _as_loaded(bench: Bench, analyzer: Analyzer, role: str, *rewritings: Rewriting) -> Path:
    """The network as the server loads it, not as it lies in the pack."""
    model = onnx.load(bench.scripts.network(analyzer, role))
    for rewrite in rewritings:
        rewrite(model)
    path = bench.scripts.folder / f"{analyzer}-{role}.onnx"
    onnx.save(model, path)
    return path


def _floor(
    bench: Bench, networks: list[floor.Network], frames: int, *, arithmetic: bool = True
) -> str:
    alone = f"networks alone {floor.networks_alone(networks, frames):.2f} s"
    if not arithmetic:
        return alone
    operations = sum(map(floor.operations, networks)) * frames
    return f"{alone}, their products {operations / bench.gemm_rate:.2f} s"


def start_up(bench: Bench) -> list[StartUp]:
    """Process start to `/ping` 200 and to the first answer, per server."""
    rows = []
    frame = next(iter(sorted(bench.material.frames.glob("*.jpg"))))
    for analyzer in ROLES:
        try:
            folders = [pack.folder for pack in bench.packs(analyzer)]
        except Unavailable:
            continue
        body, kind = _one_input(frame, analyzer)
        ready, ready_cpu, first = [], [], []
        for _ in range(bench.rounds):
            started = time.perf_counter()
            with ServerProcess(analyzer, folders) as server:
                server.wait_ready()
                ready.append(time.perf_counter() - started)
                ready_cpu.append(cpu_s(server.process.pid))
                server.post(body, kind).raise_for_status()
                first.append(time.perf_counter() - started)
                resident_mb = status_mb(server.process.pid, "VmRSS")
        rows.append(StartUp(analyzer, min(ready), min(ready_cpu), min(first), resident_mb))
    return rows


def _one_input(frame: Path, analyzer: Analyzer) -> tuple[bytes, str]:
    if analyzer is Analyzer.TRANSCRIPTION:
        return audio_file(tone(2)), FLAC
    return bundle_of([frame.read_bytes()]), TAR
