"""The stack process, noting every call that a function makes to AWS.

    python -m tests.integration.recording_stack CALLS_FILE ARGUMENTS_OF_LOCAL_STACK...

Each function gets an access key of its own name, so that the gateway can tell who calls; the
rest is the stack as users run it.
"""

import io
import json
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import local.stack.stack as stack_module
from local.stack.__main__ import main
from local.stack.answers import StartResponse
from local.stack.gateway import Gateway
from tests.named_callers import NamedCallers

_ACCESS_KEY = re.compile(r"Credential=([^/]+)/[0-9]+/[^/]+/([^/]+)/")
_calls_file = Path(sys.argv[1])
_lock = threading.Lock()


class RecordingGateway(Gateway):
    """The gateway, writing one line of JSON per signed request."""

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        signed = _ACCESS_KEY.search(environ.get("HTTP_AUTHORIZATION", ""))
        if signed and signed.group(1) != "local":
            call = {
                "caller": signed.group(1),
                "service": signed.group(2),
                "method": environ["REQUEST_METHOD"],
                "path": environ.get("PATH_INFO", ""),
                "query": environ.get("QUERY_STRING", ""),
                "target": environ.get("HTTP_X_AMZ_TARGET"),
                "body": None,
            }
            if call["target"]:
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = io.BytesIO(body)
                call["body"] = json.loads(body)
            with _lock, _calls_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(call) + "\n")
        return super().__call__(environ, start_response)


if __name__ == "__main__":
    stack_module.LambdaService = NamedCallers  # type: ignore[misc]
    stack_module.Gateway = RecordingGateway  # type: ignore[misc]
    sys.argv = ["local.stack", *sys.argv[2:]]
    sys.exit(main())
