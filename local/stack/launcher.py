"""Starting and stopping the stack process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.stack.description import StackDescription
from local.stack.environment import stack_environment
from local.stack.instance import StackFolder, is_alive
from screener.errors import ScreenerError
from screener.observations import Analyzer

START_SECONDS = 120
"""A stack that is not ready by then is given up."""
STOP_SECONDS = 20
"""A stack that has not ended by then is killed; its processes die with it."""


class StackFailed(ScreenerError):
    """The stack could not be started; the message says why and where its log is."""


class StackProcess:
    """A stack that this process started.

    Args:
        folder: of the checkout's stacks.
        root: the checkout.
        home: SCREENER_HOME.
        port: 0 takes a free one.
        announce: write the state file, so that other commands find this stack.
        detach: leave the stack running when this process ends.
        parameters: template parameters to replace.
        servers: commands that replace the model servers of some analyzers.
        keep_warm: start every model server at once.

    Raises:
        StackFailed: it did not come up.
    """

    def __init__(
        self,
        folder: StackFolder,
        *,
        root: Path,
        home: Path,
        port: int = 0,
        announce: bool = False,
        detach: bool = False,
        parameters: Mapping[str, str] | None = None,
        servers: Mapping[Analyzer, Sequence[str]] | None = None,
        keep_warm: bool = False,
    ) -> None:
        self._instance = folder.new_instance()
        self._log = self._instance / "logs" / "stack.log"
        command = [
            *(sys.executable, "-m", "local.stack"),
            *("--root", str(root), "--home", str(home)),
            *("--folder", str(self._instance), "--port", str(port)),
            *("--parameters", json.dumps(dict(parameters or {}))),
            *("--servers", json.dumps(dict(servers or {}))),
            *("--records", str(folder.executions)),
            *(["--state-file", str(folder.state_file)] if announce else []),
            *(["--keep-warm"] if keep_warm else []),
            *([] if detach else ["--end-with-stdin"]),
        ]
        with (self._instance / "logs" / "stderr.log").open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=root,
                env=stack_environment(os.environ, self._instance),
                stdin=subprocess.DEVNULL if detach else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Ctrl-C is for the command; it ends its stack in its own order.
                start_new_session=True,
            )
        try:
            self.description = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self) -> StackDescription:
        # The stack says one line, or ends and closes the pipe; a watchdog bounds the wait.
        watchdog = _Watchdog(self._process, START_SECONDS)
        assert self._process.stdout is not None  # noqa: S101 - piped above
        line = self._process.stdout.readline()
        self._process.stdout.close()
        watchdog.cancel()
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise StackFailed(f"the local stack did not start: {answer['error']}\nlog: {self._log}")
        return StackDescription.model_validate(answer)

    def _last_words(self) -> str:
        errors = (self._instance / "logs" / "stderr.log").read_text(errors="replace").strip()
        return errors.rpartition("\n")[2] or f"not ready after {START_SECONDS} seconds"

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End the stack and everything it started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        else:
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def stop_announced(stack: StackDescription, folder: StackFolder) -> None:
    """End a stack that another process started.

    It is asked by the id in its own answer, moments ago, or while it holds the lock of its folder,
    so the signal reaches the stack and not a process that inherited its id.
    """
    os.kill(stack.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while is_alive(stack.folder):
        if time.monotonic() > deadline:
            os.kill(stack.pid, signal.SIGKILL)
            break
        time.sleep(0.05)
    folder.state_file.unlink(missing_ok=True)


class _Watchdog:
    """Kills a process after a time unless it is cancelled."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        self._timer = threading.Timer(seconds, process.kill)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()
