"""Memory of the processes of a session, also of those that only root may look into."""

import os
import subprocess
import sys

import pytest

from local.processes.memory import session_memory_bytes

# Holds 60 MB that it wrote.
HOLDER = """
import ctypes, sys
held = bytearray(b"x" * 60_000_000)
if sys.argv[1] == "private":
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""
# Asks as another user: only root may read what is private.
ASKER = """
import os, sys
from local.processes.memory import session_memory_bytes
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
session = int(sys.argv[1])
print(session_memory_bytes([session])[session])
"""


@pytest.mark.parametrize("kind", ["private", "ordinary"])
@pytest.mark.parametrize(
    "asked_by",
    [
        "this user",
        pytest.param(
            "nobody",
            marks=pytest.mark.skipif(os.getuid() != 0, reason="takes root to ask as another user"),
        ),
    ],
)
def test_what_a_session_holds_is_counted_also_where_its_memory_is_private(
    kind: str, asked_by: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"ready\n"
        if asked_by == "this user":
            held = session_memory_bytes([holder.pid])[holder.pid]
        else:
            answer = subprocess.run(
                [sys.executable, "-c", ASKER, str(holder.pid)], capture_output=True, check=True
            )
            held = int(answer.stdout)
        holder.stdin.close()
    assert 60_000_000 < held < 90_000_000
