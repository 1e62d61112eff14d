"""Stacks come and go whole: no process outlives them, whatever ended them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.stack.description import StackDescription
from local.stack.gateway import HOST
from tests.local_stack import Command
from tests.tiny_clips import tiny_clip


@pytest.fixture
def bare(tmp_path: Path) -> Command:
    """A home without packs: nothing is deployed, so a stack is light."""
    return Command(tmp_path / "home")


def processes_of(home: Path) -> list[int]:
    """Processes whose command line or environment names this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            if str(home).encode() in text and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_down_ends_everything_that_up_started(bare: Command) -> None:
    up = bare("up", "--detach", "--port", "0")
    assert up.returncode == 0, up.stderr
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in up.stdout
    stack = StackDescription.model_validate_json(bare("status", "--json").stdout)
    assert stack.pid in processes_of(bare.home)
    assert bare("down").returncode == 0
    assert eventually(lambda: not processes_of(bare.home))
    assert not (stack.folder / "tmp").exists()
    assert bare("status").returncode == 1
    assert "no local stack is up" in bare("down").stderr


def test_a_killed_stack_leaves_nothing_and_is_not_taken_for_running(bare: Command) -> None:
    bare("up", "--detach", "--port", "0")
    stack = StackDescription.model_validate_json(bare("status", "--json").stdout)
    os.kill(stack.pid, signal.SIGKILL)
    assert eventually(lambda: not processes_of(bare.home))
    assert bare("status").returncode == 1


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_takes_its_stack_with_it(bare: Command, ending: int) -> None:
    bare.home.mkdir()
    video = bare.home / "clip.mp4"
    video.write_bytes(tiny_clip(seconds=2))
    run = subprocess.Popen(
        [Path(sys.executable).parent / "screener", "run", str(video)],
        env={**os.environ, "SCREENER_HOME": str(bare.home)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # As in a terminal: a test run in the background ignores the signal, and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stderr is not None
    with run.stderr:
        # From "uploading" on there is a stack.
        assert any("uploading" in line for line in run.stderr)
        run.send_signal(ending)
        run.stderr.read()
    assert run.wait(30) == (130 if ending == signal.SIGINT else -signal.SIGKILL)
    assert eventually(lambda: not processes_of(bare.home))


def test_a_run_without_packs_is_partial_and_remembered_after_its_stack(bare: Command) -> None:
    bare.home.mkdir()
    video = bare.home / "clip.mp4"
    video.write_bytes(tiny_clip())
    ran = bare("run", video)
    assert ran.returncode == 3, ran.stderr
    assert (bare.home / "clip.moderation.json").is_file()
    for analysis in ("moderation", "faces", "objects"):
        assert f"{analysis} is not deployed here. Get it: screener packs" in ran.stdout
    assert not processes_of(bare.home)
    listed = bare("executions")
    assert "SUCCEEDED" in listed.stdout
    assert "clip.mp4" in listed.stdout
    assert "PlanAnalyses" in bare("show", "clip.mp4").stdout


def test_a_taken_port_is_said_so(bare: Command) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        up = bare("up", "--detach", "--port", port)
    assert up.returncode == 70
    assert port in up.stderr
    assert "--port" in up.stderr


def test_a_template_that_is_wrong_is_said_so(bare: Command) -> None:
    stack = subprocess.run(
        [
            *(sys.executable, "-m", "local.stack", "--root", "/nowhere"),
            *("--home", str(bare.home), "--folder", str(bare.home)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": "/tmp"},  # noqa: S108
    )
    assert stack.returncode == 1
    assert "template.yaml: No such file" in stack.stdout
