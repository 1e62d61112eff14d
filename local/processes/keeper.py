"""Starting, watching and ending child processes, each with everything it started itself."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.processes import guardian


class Child:
    """A running process in a session of its own, watched by one thread until it ends.

    Whatever it left running in its process group is killed when it ends.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        on_gone: Callable[["Child"], None],
    ) -> None:
        self.pid = process.pid
        self.return_code: int | None = None
        """Exit status, or minus the number of the signal that ended it; None while it runs."""
        self._process = process
        self._on_gone = on_gone
        self._gone = threading.Event()
        self._reaping = threading.Lock()
        threading.Thread(target=self._watch, name=f"watch-{self.pid}", daemon=True).start()

    def kill(self) -> None:
        """SIGKILL the process and its group; returns at once."""
        with self._reaping:
            if self.return_code is None:
                os.killpg(self.pid, signal.SIGKILL)

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL after `grace_seconds`; returns when the process is gone."""
        with self._reaping:
            if self.return_code is None:
                os.kill(self.pid, signal.SIGTERM)
        if not self.wait(grace_seconds):
            self.kill()
            self._gone.wait()

    @property
    def has_ended(self) -> bool:
        """Whether it has, though the thread that watches it may not have come to it yet."""
        with self._reaping:
            return self.return_code is not None or bool(
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            )

    def wait(self, timeout_seconds: float) -> bool:
        """Whether the process has ended, waiting at most `timeout_seconds` for it."""
        return self._gone.wait(timeout_seconds)

    def _watch(self) -> None:
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        # Not reaped yet, so neither its pid nor its group can name anything else.
        with self._reaping:
            os.killpg(self.pid, signal.SIGKILL)
            self.return_code = self._process.wait()
        self._on_gone(self)
        self._gone.set()


class ProcessKeeper:
    """Starts processes that end with this one, and a scratch folder that goes with them.

    A process that leaves its session with setsid(2) leaves this care too.
    """

    def __init__(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="screener-"))
        self._lock = threading.Lock()
        self._running: dict[int, Child] = {}
        self._guardian: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, str(self.scratch)],
            stdin=subprocess.PIPE,
            # Ctrl-C in the terminal must reach the stack, not its guardian.
            start_new_session=True,
        )

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        on_exit: Callable[[int], None],
    ) -> Child:
        """Start a process.

        Args:
            command: the program and its arguments.
            environment: its whole environment; nothing is inherited.
            folder: its working directory.
            log: file that its standard output and error are appended to.
            on_exit: called once, from a thread of ours, with the return code.

        Raises:
            OSError: the program cannot be run, or the log cannot be written.
        """

        def gone(child: Child) -> None:
            self._tell("-", child.pid)
            with self._lock:
                self._running.pop(child.pid, None)
            on_exit(child.return_code or 0)

        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tell("+", process.pid)
        with self._lock:
            # The watching thread starts in here and waits for this lock before it removes.
            child = self._running[process.pid] = Child(process, gone)
        return child

    def close(self) -> None:
        """Kill what still runs and remove the scratch folder."""
        with self._lock:
            running = list(self._running.values())
        for child in running:
            child.kill()
        for child in running:
            child.wait(10)
        if self._guardian.stdin:
            self._guardian.stdin.close()
        self._guardian.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _tell(self, sign: str, pid: int) -> None:
        pipe = self._guardian.stdin
        if pipe is not None and not pipe.closed:
            # One write below PIPE_BUF: lines of different threads never mix.
            os.write(pipe.fileno(), f"{sign}{pid}\n".encode())
