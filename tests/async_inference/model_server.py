"""A model server for the tests: what it does is the request's Custom-Attributes.

Started as `python model_server.py MODE`; MODE is how it starts: "ready", "slow SECONDS",
"dead" (exits), "deaf" (answers /ping with 500), "once FILE" (dies while FILE does not exist).
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODE = sys.argv[1]
ARGUMENT = sys.argv[2] if len(sys.argv) > 2 else ""


async def ping(request: Request) -> Response:
    return Response(status_code=500 if MODE == "deaf" else 200)


async def invocations(request: Request) -> Response:
    order = request.headers.get("x-amzn-sagemaker-custom-attributes", "echo")
    name, _, argument = order.partition(" ")
    if name == "refuse":
        return JSONResponse({"error": "unreadable", "detail": "not a tar"}, int(argument))
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    if name == "sleep":
        await asyncio.sleep(float(argument))
    if name == "die":
        os.kill(os.getpid(), int(argument))
    if name == "cut":
        return StreamingResponse(_cut(), headers={"Content-Length": "1000"})
    if name == "drip":
        return StreamingResponse(_drip())
    return JSONResponse(
        {
            "size": size,
            "pid": os.getpid(),
            "content_type": request.headers.get("content-type"),
            "accept": request.headers.get("accept"),
            "inference_id": request.headers.get("x-amzn-sagemaker-inference-id"),
            "transfer_encoding": request.headers.get("transfer-encoding"),
            "secret": os.environ.get("AWS_SECRET_ACCESS_KEY"),
        }
    )


async def _cut():
    yield b"half"
    await asyncio.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


async def _drip():
    while True:
        yield b"."
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.stdout.write(f"starting {MODE}\n")
    sys.stdout.flush()
    if MODE == "dead" or (MODE == "once" and not Path(ARGUMENT).exists()):
        sys.exit("no weights in /opt/ml/model")
    if MODE == "slow":
        time.sleep(float(ARGUMENT))
    uvicorn.run(
        Starlette(
            routes=[
                Route("/ping", ping),
                Route("/invocations", invocations, methods=["POST"]),
            ]
        ),
        host="127.0.0.1",
        port=int(os.environ["SAGEMAKER_BIND_TO_PORT"]),
        log_level="warning",
    )
