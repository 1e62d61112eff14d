"""A process that has everything loaded and forks one child per task.

Loading the decoders and what they need takes longer than the key frames of a short video, so it
is done once for each process that decodes, not once for each task. The server sees no byte of any
video and holds no credentials; its children inherit just that, and confine themselves.

    parent --- control socket: a byte and two descriptors per task --> server
    parent <-- data socket (channel.py) -----------------------------> child
    parent <-- leash: hanging up kills the child; carries its status -> server

When the parent ends, however it does, the server reads the end of the control socket and goes,
and the kernel kills its children with it.

Looked at and not used: multiprocessing's own fork server, which hands its environment on and
tracks resources with semaphores, which Lambda does not have.
"""

import atexit
import contextlib
import ctypes
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

_PR_SET_DUMPABLE = 4
_TASK = b"t"
_STATUS = struct.Struct("=i")
_LAST_WORDS_SECONDS = 5.0
_STANDARD_ERROR = 2

# LD_LIBRARY_PATH: Lambda's own Python does not start without it.
_INHERITED_VARIABLES = ("PATH", "LANG", "LD_LIBRARY_PATH", "TZ")


def keep_memory_private() -> None:
    """Forbid this user's other processes to read and trace this one, and those it forks.

    A decoder that its video has taken over is such a process, and this one may hold credentials, or
    decode the next video. Root is not stopped by it, and nobody runs decoders as root on Lambda.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


class Forked:
    """The parent's hold on one child."""

    def __init__(self, leash: socket.socket, server: "subprocess.Popen[bytes]") -> None:
        self._leash, self._server = leash, server
        self._status: int | None = None

    def kill(self) -> None:
        """End the child if it still runs."""
        with contextlib.suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)

    def wait(self) -> int:
        """The child's exit status, or minus the signal that ended it; waits for its end."""
        if self._status is None:
            answer = self._leash.recv(_STATUS.size)
            self._leash.close()
            self._status = _STATUS.unpack(answer)[0] if answer else self._status_of_server()
        return self._status

    def _status_of_server(self) -> int:
        """The server is gone: what ended it ended, or prevented, the child."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._server.wait(_LAST_WORDS_SECONDS)
        return -signal.SIGKILL


class ForkServer:
    """The parent's hold on a server. Any thread may use it.

    Args:
        module: what the server runs; has to call `serve` with the descriptor in its arguments.
    """

    def __init__(self, module: str) -> None:
        keep_memory_private()
        ours, theirs = socket.socketpair()
        self._control = ours
        self._lock = threading.Lock()
        self._owner = os.getpid()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno())],
                env=_environment(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        """Whether it runs, and is this process's own: after a fork both would talk to it."""
        return self._owner == os.getpid() and self._process.poll() is None

    def fork(self, data: socket.socket) -> Forked:
        """Start a child that talks on `data`.

        Raises:
            BrokenPipeError: the server has ended.
        """
        leash, far_end = socket.socketpair()
        with far_end, self._lock:
            try:
                socket.send_fds(self._control, [_TASK], [data.fileno(), far_end.fileno()])
            except OSError:
                leash.close()
                raise
        return Forked(leash, self._process)

    def close(self) -> None:
        """End the server and its children."""
        atexit.unregister(self.close)
        self._control.close()
        if self._owner == os.getpid():
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(control: socket.socket, run: Callable[[int], None]) -> None:
    """The server's loop; returns when the parent hangs up.

    Args:
        control: the server's end.
        run: a child's work, given the descriptor of its data socket.
    """
    keep_memory_private()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    message, descriptors, _, _ = socket.recv_fds(control, len(_TASK), 2)
                    if not message:
                        return
                    _fork(selector, run, *descriptors)
                elif key.fileobj is not key.data.leash:
                    key.data.report(selector)
                elif not key.data.has_ended:
                    # The parent has let go; the status follows when the child is gone.
                    selector.unregister(key.data.leash)
                    key.data.kill()


class _Running:
    """A child as its server sees it."""

    def __init__(self, pid: int, leash: socket.socket) -> None:
        self._pid, self.leash, self.has_ended = pid, leash, False
        self.pid_descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        signal.pidfd_send_signal(self.pid_descriptor, signal.SIGKILL)

    def report(self, selector: selectors.BaseSelector) -> None:
        """The child has ended: tell the parent how, and forget it."""
        self.has_ended = True
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        for watched in (self.pid_descriptor, self.leash):
            with contextlib.suppress(KeyError):
                selector.unregister(watched)
        os.close(self.pid_descriptor)
        with self.leash, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.leash.sendall(_STATUS.pack(status))


def _fork(
    selector: selectors.BaseSelector, run: Callable[[int], None], data: int, leash: int
) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            # A child holds its data socket and the standard streams, nothing else of the server's.
            for entry in list(Path("/proc/self/fd").iterdir()):
                descriptor = int(entry.name)
                if descriptor > _STANDARD_ERROR and descriptor != data:
                    with contextlib.suppress(OSError):  # the listing's own
                        os.close(descriptor)
            run(data)
            status = 0
        finally:
            os._exit(status)
    os.close(data)
    running = _Running(pid, socket.socket(fileno=leash))
    selector.register(running.leash, selectors.EVENT_READ, running)
    selector.register(running.pid_descriptor, selectors.EVENT_READ, running)


def _environment() -> dict[str, str]:
    """No credentials, no addresses; bounded allocators."""
    kept = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    if sys.dont_write_bytecode:
        kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return kept | {
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        # One heap per core would count against the memory limit without being used.
        "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1",
    }
