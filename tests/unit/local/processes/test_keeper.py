import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes.keeper import Child, ProcessKeeper
from local.processes.memory import session_memory_bytes


@pytest.fixture
def keeper() -> Iterator[ProcessKeeper]:
    keeper = ProcessKeeper()
    yield keeper
    keeper.close()


def start(keeper: ProcessKeeper, code: str, log: Path, codes: list[int]) -> Child:
    return keeper.start(
        [sys.executable, "-u", "-c", code],
        environment={"GREETING": "hello"},
        folder=log.parent,
        log=log,
        on_exit=codes.append,
    )


def test_output_environment_folder_and_exit_status(keeper: ProcessKeeper, tmp_path: Path) -> None:
    codes: list[int] = []
    code = "import os, sys; print(os.environ['GREETING'], os.getcwd()); sys.exit(4)"
    child = start(keeper, code, tmp_path / "log", codes)
    assert child.wait(10)
    assert child.return_code == 4
    assert codes == [4]
    assert (tmp_path / "log").read_text() == f"hello {tmp_path}\n"
    child.kill()  # of a process that has ended: nothing happens


def test_a_polite_process_may_finish(keeper: ProcessKeeper, tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(9)); "
        "print('up'); time.sleep(60)"
    )
    child = start(keeper, code, tmp_path / "log", [])
    while not (tmp_path / "log").read_text():
        time.sleep(0.01)
    child.stop(grace_seconds=10)
    assert child.return_code == 9


def test_a_stubborn_process_is_killed(keeper: ProcessKeeper, tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"
    child = start(keeper, code, tmp_path / "log", [])
    while not (tmp_path / "log").read_text():
        time.sleep(0.01)
    began = time.monotonic()
    child.stop(grace_seconds=0.2)
    assert time.monotonic() - began < 5
    assert child.return_code == -9


def test_a_program_that_does_not_exist_is_an_error(keeper: ProcessKeeper, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keeper.start(
            ["/nowhere/at/all"],
            environment={},
            folder=tmp_path,
            log=tmp_path / "log",
            on_exit=[].append,
        )


def test_close_removes_the_scratch_folder(tmp_path: Path) -> None:
    keeper = ProcessKeeper()
    (keeper.scratch / "file").touch()
    codes: list[int] = []
    child = start(keeper, "import time; time.sleep(60)", tmp_path / "log", codes)
    keeper.close()
    assert codes == [-9]
    assert child.return_code == -9
    assert not keeper.scratch.exists()


def test_memory_counts_children_and_shared_pages_once(
    keeper: ProcessKeeper, tmp_path: Path
) -> None:
    code = (
        "import os, time; block = bytes(b'x') * (100 << 20); os.fork(); print('up'); time.sleep(60)"
    )
    child = start(keeper, code, tmp_path / "log", [])
    while (tmp_path / "log").read_text().count("up") < 2:
        time.sleep(0.01)
    used = session_memory_bytes({child.pid})[child.pid]
    assert 100 << 20 < used < 150 << 20
    assert session_memory_bytes(set()) == {}
