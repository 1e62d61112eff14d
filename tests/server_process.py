"""A model server as a real process on a free port.

With SCREENER_SERVING=FOLDER (see `make images-check`) servers run from FOLDER/<analyzer>: the
environment of their image's lock file and only the files that their image holds.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

REPOSITORY = Path(__file__).resolve().parents[1]
START_LIMIT_S = 60.0


class ServerProcess:
    """`python -m model_servers.serving <analyzer>` for the length of a `with` block."""

    def __init__(self, analyzer: str, packs: Sequence[Path], **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.pings: list[int] = []
        """Every answer to `/ping` until the first 200."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        serving = os.environ.get("SCREENER_SERVING")
        image = Path(serving).absolute() / analyzer if serving else None
        python = image / "venv" / "bin" / "python" if image else sys.executable
        self.process = subprocess.Popen(
            [python, "-m", "model_servers.serving", analyzer, "serve"],
            cwd=image / "app" if image else REPOSITORY,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "SAGEMAKER_BIND_TO_PORT": str(port),
                "SCREENER_PACKS": os.pathsep.join(str(pack) for pack in packs),
                "SCREENER_PROVIDER": "cpu",
                **environment,
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()

    def wait_ready(self) -> Self:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"exited: {self.log_text()}"
            try:
                self.pings.append(httpx.get(f"{self.url}/ping", timeout=5).status_code)
                if self.pings[-1] == 200:
                    return self
            except httpx.ConnectError:
                pass
            time.sleep(0.005)
        raise AssertionError(f"not ready in {START_LIMIT_S} s: {self.log_text()}")

    def post(
        self, content: object, content_type: str | None, attributes: object = None
    ) -> httpx.Response:
        headers = {"Content-Type": content_type} if content_type else {}
        if attributes is not None:
            text = attributes if isinstance(attributes, str) else json.dumps(attributes)
            headers["X-Amzn-SageMaker-Custom-Attributes"] = text
        return httpx.post(
            f"{self.url}/invocations",
            content=content,  # type: ignore[arg-type]
            headers=headers,
            timeout=60,
        )

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def log_text(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()

    def log_lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log_text().splitlines()]
