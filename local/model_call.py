"""One request to a model server of our own, started for it and stopped after it.

For work outside a video's walk that needs a model once: enrolling portraits, embedding prompts.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from local.async_inference.instance import ModelServer, Ports
from local.async_inference.request import AsyncRequest
from local.processes.keeper import ProcessKeeper
from screener.messages import InvocationAttributes
from screener.observations import Analyzer
from screener.packs import InstalledPack
from screener.storage import S3Location

ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 120
_CALL_SECONDS = 3_600
_NOWHERE = S3Location("local", "none")


@contextmanager
def model_server(analyzer: Analyzer, packs: Sequence[InstalledPack]) -> Iterator["ModelCall"]:
    """A server of these packs, for as long as the context lasts.

    Raises:
        StartupFailed: it does not become ready; the message holds the end of its log.
    """
    keeper = ProcessKeeper()
    with tempfile.TemporaryDirectory() as folder:
        try:
            server = ModelServer(
                [sys.executable, "-m", "model_servers.serving", analyzer.value],
                {
                    "SCREENER_PACKS": os.pathsep.join(str(pack.folder.resolve()) for pack in packs),
                    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "core")]),
                },
                keeper=keeper,
                ports=Ports(),
                log=Path(folder) / "server.log",
                on_exit=lambda: None,
            )
            server.wait_until_healthy(_START_SECONDS)
            yield ModelCall(server)
            server.stop()
        finally:
            keeper.close()


class ModelCall:
    """Sends requests to one server."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def __call__(self, content_type: str, body: BinaryIO, name: str = "local") -> bytes:
        """The server's answer.

        Args:
            content_type: of the body.
            body: the request.
            name: `video_id` of a frame bundle.

        Raises:
            ModelError: it refuses the request; the message is its answer.
            ModelGone, ModelTimedOut: it ended, or took too long.
        """
        request = AsyncRequest(
            inference_id="local",
            input_location=_NOWHERE,
            output_location=_NOWHERE,
            failure_location=_NOWHERE,
            accept="application/json",
            custom_attributes=InvocationAttributes(video_id=name, chunk=0).model_dump_json(
                exclude_none=True
            ),
            invocation_timeout_seconds=_CALL_SECONDS,
        )
        answer = BytesIO()
        self._server.invoke(request, content_type, body, answer)
        return answer.getvalue()
