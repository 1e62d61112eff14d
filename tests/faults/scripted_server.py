"""A model server that follows the server contract, or breaks it on command.

    python -m tests.faults.scripted_server ANALYZER CONTROL_FOLDER

`CONTROL_FOLDER/{analyzer}.json` says how to behave, read anew for every request; each request
adds a line to `CONTROL_FOLDER/{analyzer}.requests`, each good answer that was sent one to
`CONTROL_FOLDER/{analyzer}.answers`. Its answers are real observations, typed and
with the times of the bundle's frames, in which nothing was found.
"""

import hashlib
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import av

from screener.bundles import BundleReader
from screener.messages import InvocationAttributes
from screener.observations import (
    Analyzer,
    FacesFrame,
    FacesObservations,
    ModerationFrame,
    ModerationObservations,
    ObjectsFrame,
    ObjectsObservations,
    Observations,
    PackReference,
    TranscriptionObservations,
)

HANG_SECONDS = 600
SLOW_SECONDS = 0.5
"""Unless the script says `seconds`."""
CHAOS = ("error", "memory", "refuse", "garbage", "wrong", "cut", "die", "slow")
"""What `chaos` chooses from; `hang` would cost its whole timeout each time."""


def observations(
    analyzer: Analyzer, attributes: InvocationAttributes, body: bytes, seconds: float = 0.001
) -> Observations:
    """What a model that finds nothing answers, and how long it says it took."""
    shared: dict[str, Any] = {
        "packs": [
            PackReference(
                role="scripted", name=f"scripted-{analyzer}", version="1", licence="Apache-2.0",
                sha256="0" * 64,
            )
        ],
        "provider": "scripted",
        "timings_ms": {"total": 1_000 * seconds},
        "chunk": attributes.chunk,
    }  # fmt: skip
    if analyzer is Analyzer.TRANSCRIPTION:
        return TranscriptionObservations(
            **shared,
            language="en",
            language_probability=1.0,
            duration_ms=1_000,
            speech_ms=0,
            segments=[],
        )
    times = [
        {
            "index": frame.entry.index,
            "timestamp_ms": frame.entry.timestamp_ms,
            "span_start_ms": frame.entry.span_start_ms,
            "span_end_ms": frame.entry.span_end_ms,
        }
        for frame in BundleReader(BytesIO(body))
    ]
    match analyzer:
        case Analyzer.MODERATION:
            frames = [
                ModerationFrame(**one, nsfw_probability=0.01, detections=[])  # type: ignore[arg-type]
                for one in times
            ]
            return ModerationObservations(
                **shared, detector_labels=["FEMALE_BREAST_EXPOSED"], frames=frames
            )
        case Analyzer.FACES:
            faces = [FacesFrame(**one, faces=[]) for one in times]  # type: ignore[arg-type]
            return FacesObservations(**shared, embedding_size=512, frames=faces)
        case _:
            objects = [
                ObjectsFrame(**one, objects=[], clip_embedding=None)  # type: ignore[arg-type]
                for one in times
            ]
            return ObjectsObservations(
                **shared, detector_labels=["knife"], clip_logit_scale=None, frames=objects
            )


class Script:
    """The control folder, as this server sees it."""

    def __init__(self, analyzer: Analyzer, folder: Path) -> None:
        self._behaviour = folder / f"{analyzer}.json"
        self._requests = folder / f"{analyzer}.requests"
        self._answers = folder / f"{analyzer}.answers"

    def behaviour(self) -> dict[str, Any]:
        try:
            script: dict[str, Any] = json.loads(self._behaviour.read_text())
        except FileNotFoundError:
            return {"mode": "answer"}
        return script

    def note_request(self, line: dict[str, Any]) -> None:
        _append(self._requests, line)

    def note_answer(self, line: dict[str, Any]) -> None:
        _append(self._answers, line)

    def slow_seconds(self, analyzer: Analyzer, body: bytes) -> float:
        """How long a slow answer takes: `seconds`, and `seconds_per_unit` for each frame of the
        bundle or second of the sound."""
        script = self.behaviour()
        seconds: float = script.get("seconds", SLOW_SECONDS)
        per_unit: float = script.get("seconds_per_unit", 0.0)
        return seconds + (per_unit * _units(analyzer, body) if per_unit else 0.0)

    def mode_for(self, request_id: str) -> str:
        """What to do with a request. Chaos depends on its seed and the request alone."""
        script = self.behaviour()
        if script["mode"] != "chaos":
            return str(script["mode"])
        digest = hashlib.sha256(f"{script['seed']}:{request_id}".encode()).digest()
        if digest[0] / 256 >= script["rate"]:
            return "answer"
        return CHAOS[digest[1] % len(CHAOS)]


def _units(analyzer: Analyzer, body: bytes) -> float:
    if analyzer is not Analyzer.TRANSCRIPTION:
        return sum(1 for _ in BundleReader(BytesIO(body)))
    with av.open(BytesIO(body)) as sound:
        return (sound.duration or 0) / av.time_base


def _append(file: Path, line: dict[str, Any]) -> None:
    # One write to a file opened for appending: lines of several servers stay whole.
    with file.open("a") as target:
        target.write(json.dumps(line) + "\n")


def handler(analyzer: Analyzer, script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ready = script.behaviour()["mode"] != "never_ready"
            self._answer(200 if ready else 503, b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            attributes = InvocationAttributes.model_validate_json(
                self.headers["X-Amzn-SageMaker-Custom-Attributes"]
            )
            request_id = self.headers.get("X-Amzn-SageMaker-Inference-Id", attributes.video_id)
            mode = script.mode_for(f"{analyzer}:{attributes.video_id}:{request_id}")
            line = {"video_id": attributes.video_id, "chunk": attributes.chunk, "mode": mode}
            script.note_request(line)
            answer = observations(analyzer, attributes, body).model_dump_json().encode()
            match mode:
                case "answer":
                    self._answer(200, answer)
                    script.note_answer(line)
                case "slow":
                    seconds = script.slow_seconds(analyzer, body)
                    time.sleep(seconds)
                    slowly = observations(analyzer, attributes, body, seconds)
                    self._answer(200, slowly.model_dump_json().encode())
                    script.note_answer(line)
                case "error":
                    self._answer(500, b'{"error": {"type": "InferenceFailed", "message": "x"}}')
                case "memory":
                    self._answer(507, b'{"error": {"type": "OutOfMemory", "message": "x"}}')
                case "refuse":
                    self._answer(400, b'{"error": {"type": "InvalidBundle", "message": "x"}}')
                case "garbage":
                    self._answer(200, b"\x00\xffnot json")
                case "wrong":
                    self._answer(200, b'{"analyzer": "' + analyzer.encode() + b'", "chunk": 0}')
                case "short":
                    found = observations(analyzer, attributes, body)
                    none = found.model_copy(update={"frames": []})
                    self._answer(200, none.model_dump_json().encode())
                case "cut":
                    self._answer(200, answer, missing=20)
                case "hang":
                    time.sleep(HANG_SECONDS)
                case "die":
                    os._exit(9)
                case unknown:
                    raise ValueError(unknown)

        def _answer(self, status: int, body: bytes, missing: int = 0) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - missing])
            if missing:
                self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """The requests file tells more."""

    return Handler


def main() -> None:
    analyzer, folder = Analyzer(sys.argv[1]), Path(sys.argv[2])
    script = Script(analyzer, folder)
    if script.behaviour()["mode"] == "dead":
        sys.exit("cannot load the weights")
    address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    ThreadingHTTPServer(address, handler(analyzer, script)).serve_forever()


if __name__ == "__main__":
    main()
