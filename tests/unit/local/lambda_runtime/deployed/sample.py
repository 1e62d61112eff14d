"""Functions that the tests deploy: one that behaves, and one for each way not to."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class InvalidVideo(Exception):
    pass


def echo(event, context):
    return {"event": event, "pid": os.getpid()}


def describe(event, context):
    return {
        "remaining_ms": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
        "request_id": context.aws_request_id,
        "memory_mb": context.memory_limit_in_mb,
        "environment": dict(os.environ),
        "temp": tempfile.gettempdir(),
        "folder": str(Path.cwd()),
    }


def refuse(event, context):
    raise InvalidVideo('{"code": "truncated"}')


def sleep(event, context):
    time.sleep(event["seconds"])
    return os.getpid()


def exit_with(event, context):
    os._exit(event["status"])


def kill_itself(event, context):
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def allocate(event, context):
    block = bytearray(event["bytes"])
    for offset in range(0, len(block), 4096):
        block[offset] = 1
    time.sleep(event.get("hold_seconds", 0))
    return len(block)


def answer_size(event, context):
    return "x" * (event["bytes"] - 2)  # and two quotes of JSON


def leave_child(event, context):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    time.sleep(event.get("seconds", 0))
    return child.pid


def own_process(event, context):
    return os.getpid()


def leave_file(event, context):
    path = Path(tempfile.gettempdir()) / "left.bin"
    path.write_bytes(b"0")
    sys.stdout.write("wrote a file\n")
    return str(path)
