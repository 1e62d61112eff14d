"""The model servers against the obvious scripts: same machine, weights, frames and answers.

    python -m bench.servers [--rounds 3] [--library-python PYTHON] [--markdown FILE]

Servers are measured from outside, as SageMaker meets them: one POST of a frame bundle or an
audio file, until the whole answer is there. Scripts are timed without their imports and model
loading. Rounds alternate between the two, and the best of each counts, so that other work on
the machine disturbs both alike. PYTHON is the environment of `screener packs build`, with
PyTorch; without it the stages that need it are left out.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import floor, tables
from bench.material import REPOSITORY, Material, prepare
from local.packs.places import Places
from local.packs.selection import select_packs
from screener.observations import Analyzer
from screener.packs import InstalledPack
from tests.frame_bundles import bundle_of
from tests.server_process import ServerProcess
from tests.speech import audio_file, tone

TAR, FLAC = "application/x-tar", "audio/flac"
_FACES_NAME = "baseline_faces"
CORES = len(os.sched_getaffinity(0))


class Cost(NamedTuple):
    """What one run took: wall time, and processor time of all its threads together."""

    seconds: float
    cpu_s: float

    def times(self, factor: float) -> "Cost":
        return Cost(self.seconds * factor, self.cpu_s * factor)


class Stage(NamedTuple):
    """One row of the table."""

    name: str
    analyzer: Analyzer
    roles: tuple[str, ...]
    baseline: Callable[["Bench"], Cost | None]
    """The obvious way; None when its libraries are not here."""
    networks: Callable[["Bench", Any], list[floor.Network]] = lambda _, __: []


class Bench:
    """The material, the packs and the interpreters of one run."""

    def __init__(self, folder: Path, library_python: str | None) -> None:
        self.folder = folder
        self.library_python = library_python
        self.material: Material = prepare(folder)
        installed = select_packs(Places().home)
        self._packs = {(item.pack.analyzer, item.pack.role): item
                       for packs in installed.values() for item in packs}  # fmt: skip

    def pack(self, analyzer: Analyzer, role: str) -> InstalledPack | None:
        return self._packs.get((analyzer, role))

    def network(self, analyzer: Analyzer, role: str) -> Path:
        """The ONNX file of a pack that `run` has found to be installed."""
        pack = self._packs[analyzer, role]
        return pack.path_of(pack.pack.files[0].path)

    def script(self, name: str, *arguments: str | Path, python: str = sys.executable) -> Cost:
        """What a baseline reports."""
        done = subprocess.run(
            [python, "-m", f"bench.baseline.{name}", *map(str, arguments)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"bench.baseline.{name} failed:\n{done.stderr[-2000:]}")
        reported = json.loads(done.stdout.splitlines()[-1])
        return Cost(reported["seconds"], reported["cpu_s"])


def moderation(bench: Bench) -> Cost | None:
    return bench.script("moderation", bench.material.frames)


def moderation_with_keras(bench: Bench) -> Cost | None:
    """NudeNet as it is plus OpenNSFW on Keras, which live in two environments."""
    if not bench.library_python:
        return None
    # An eighth of the frames: Keras takes long for one, and the same for each.
    few = bench.folder / "few"
    few.mkdir(exist_ok=True)
    for file in sorted(bench.material.frames.glob("*.jpg"))[::8]:
        (few / file.name).write_bytes(file.read_bytes())
    keras = bench.script("moderation", few, "--keras", python=bench.library_python).times(8)
    nudenet = bench.script("nudenet", bench.material.frames)
    return Cost(keras.seconds + nudenet.seconds, keras.cpu_s + nudenet.cpu_s)


def faces(bench: Bench) -> Cost | None:
    # FaceAnalysis wants its networks in ROOT/models/NAME, unless a folder NAME lies here.
    folder = bench.folder / "insightface" / "models" / _FACES_NAME
    folder.mkdir(parents=True, exist_ok=True)
    for role in ("detector", "recogniser"):
        link = folder / f"{role}.onnx"
        if not link.exists():
            link.symlink_to(bench.network(Analyzer.FACES, role))
    return bench.script("faces", bench.material.frames, folder.parents[1], _FACES_NAME)


def objects(bench: Bench) -> Cost | None:
    mirror = Places().mirror
    weights = mirror / "yolo" / "yolov8n.pt" if mirror else None
    if not bench.library_python or weights is None or not weights.exists():
        return None
    return bench.script("objects", bench.material.frames, weights, python=bench.library_python)


def transcription(bench: Bench) -> Cost | None:
    pack = bench.pack(Analyzer.TRANSCRIPTION, "speech")
    return bench.script("transcription", bench.material.audio, pack.folder) if pack else None


def moderation_networks(bench: Bench, _: Any) -> list[floor.Network]:
    return [
        floor.Network(bench.network(Analyzer.MODERATION, "detector"), (1, 3, 320, 320)),
        floor.Network(bench.network(Analyzer.MODERATION, "classifier"), (1, 224, 224, 3)),
    ]


def faces_networks(bench: Bench, answer: Any) -> list[floor.Network]:
    found = np.mean([len(frame["faces"]) for frame in answer["frames"]])
    return [
        floor.Network(bench.network(Analyzer.FACES, "detector"), (1, 3, 384, 640)),
        floor.Network(bench.network(Analyzer.FACES, "recogniser"), (1, 3, 112, 112), float(found)),
    ]


def objects_networks(bench: Bench, _: Any) -> list[floor.Network]:
    return [floor.Network(bench.network(Analyzer.OBJECTS, "detector"), (1, 3, 384, 640))]


STAGES = (
    Stage(
        "moderation, OpenNSFW in ONNX Runtime", Analyzer.MODERATION, ("detector", "classifier"),
        moderation, moderation_networks,
    ),
    Stage(
        "moderation, OpenNSFW in Keras", Analyzer.MODERATION, ("detector", "classifier"),
        moderation_with_keras, moderation_networks,
    ),
    Stage("faces", Analyzer.FACES, ("detector", "recogniser"), faces, faces_networks),
    Stage("objects (YOLOv8n)", Analyzer.OBJECTS, ("detector",), objects, objects_networks),
    Stage("transcription, word times", Analyzer.TRANSCRIPTION, ("speech",), transcription),
)  # fmt: skip


def run(bench: Bench, stage: Stage, rounds: int, gemm_rate: float) -> tables.Row | None:
    """Measure one stage, alternating between the script and the server."""
    packs = [bench.pack(stage.analyzer, role) for role in stage.roles]
    if not all(packs):
        print(f"{stage.name}: left out, a pack is missing (screener packs pull)")
        return None
    folders = [pack.folder for pack in packs if pack]
    audio = stage.analyzer is Analyzer.TRANSCRIPTION
    body = (bench.material.audio if audio else bench.material.bundle).read_bytes()
    theirs: list[Cost] = []
    ours: list[Cost] = []
    with ServerProcess(stage.analyzer, folders) as server:
        server.wait_ready()
        for _ in range(rounds):
            baseline = stage.baseline(bench)
            if baseline is None:
                print(f"{stage.name}: left out, needs --library-python and the mirror's weights")
                return None
            theirs.append(baseline)
            started, cpu_started = time.perf_counter(), _cpu_s(server.process.pid)
            answer = server.post(body, FLAC if audio else TAR)
            seconds = time.perf_counter() - started
            ours.append(Cost(seconds, _cpu_s(server.process.pid) - cpu_started))
            answer.raise_for_status()
        peak_mb = _peak_mb(server.process.pid)
    networks = stage.networks(bench, answer.json())
    frames = bench.material.frame_count
    return tables.Row(
        stage=stage.name,
        baseline_s=min(cost.seconds for cost in theirs),
        ours_s=min(cost.seconds for cost in ours),
        baseline_cpu_s=min(cost.cpu_s for cost in theirs),
        ours_cpu_s=min(cost.cpu_s for cost in ours),
        peak_mb=peak_mb,
        networks_cpu_s=floor.networks_alone(networks, frames) if networks else None,
        arithmetic_cpu_s=sum(map(floor.operations, networks)) * frames / gemm_rate
        if networks
        else None,
    )


def start_up(bench: Bench, rounds: int) -> list[tables.StartUp]:
    """Process start to `/ping` 200 and to the first answer, per server."""
    rows = []
    frame = next(iter(sorted(bench.material.frames.glob("*.jpg"))))
    for analyzer, stage in {stage.analyzer: stage for stage in STAGES}.items():
        packs = [bench.pack(analyzer, role) for role in stage.roles]
        if not all(packs):
            continue
        body, kind = _one_input(frame, analyzer)
        ready, ready_cpu, first = [], [], []
        for _ in range(rounds):
            started = time.perf_counter()
            with ServerProcess(analyzer, [pack.folder for pack in packs if pack]) as server:
                server.wait_ready()
                ready.append(time.perf_counter() - started)
                ready_cpu.append(_cpu_s(server.process.pid))
                server.post(body, kind).raise_for_status()
                first.append(time.perf_counter() - started)
                resident_mb = _status_mb(server.process.pid, "VmRSS")
        rows.append(tables.StartUp(analyzer, min(ready), min(ready_cpu), min(first), resident_mb))
    return rows


def _one_input(frame: Path, analyzer: Analyzer) -> tuple[bytes, str]:
    if analyzer is Analyzer.TRANSCRIPTION:
        return audio_file(tone(2)), FLAC
    return bundle_of([frame.read_bytes()]), TAR


def _peak_mb(pid: int) -> float:
    return _status_mb(pid, "VmHWM")


def _cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far."""
    # The second field is a name in parentheses, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_mb(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {field} in /proc: the memory column needs Linux")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.servers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--library-python")
    parser.add_argument("--only", default="", help="part of a stage's name")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.library_python)
        gemm_rate = floor.gemm_rate()
        rows = []
        for stage in STAGES:
            if arguments.only in stage.name:
                row = run(bench, stage, arguments.rounds, gemm_rate)
                if row:
                    rows.append(row)
                    print(tables.speed([row]), flush=True)
        starts = [] if arguments.only else start_up(bench, arguments.rounds)
        text = tables.document(
            rows,
            starts,
            machine=f"{CORES} cores, {platform.machine()}, Python {platform.python_version()}",
            gemm_rate=gemm_rate,
            frames=bench.material.frame_count,
            audio_s=bench.material.audio_s,
        )
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
