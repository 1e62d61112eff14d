"""Folders of the running stacks, and how a command finds the stack that `screener up` started.

<home>/stacks/<checkout>/stack.json             the stack that is up, if one is
<home>/stacks/<checkout>/executions/            records of ended executions
<home>/stacks/<checkout>/instances/<start>/     logs and temporary files of one start
                                   .../alive    locked by the stack process while it runs
"""

import fcntl
import hashlib
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from local.stack.description import StackDescription
from screener.errors import ScreenerError

DESCRIPTION_PATH = "/_screener/stack"
"""Where a running stack answers with its `StackDescription`."""
KEPT_INSTANCES = 5
"""Folders of ended stacks are kept for their logs; older ones are removed."""

_ALIVE = "alive"
_ANSWER_SECONDS = 3.0


class StackBusy(ScreenerError):
    """Another command is starting or stopping the stack at this moment."""


class StackSilent(ScreenerError):
    """The stack that is up does not answer: it is paused, or has too much to do."""

    def __init__(self, stack: StackDescription) -> None:
        super().__init__(
            f"the stack that is up (process {stack.pid}) does not answer. Try again; "
            "`screener down` ends it"
        )
        self.stack = stack


class StackFolder:
    """The folder of one checkout's stacks.

    Args:
        home: SCREENER_HOME.
        root: the checkout.
    """

    def __init__(self, home: Path, root: Path) -> None:
        checkout = hashlib.sha256(str(root).encode()).hexdigest()[:12]
        self.path = home / "stacks" / f"{root.name}-{checkout}"
        self.state_file = self.path / "stack.json"
        self.executions = self.path / "executions"

    def new_instance(self) -> Path:
        """A folder for a stack that is about to start; old ones are removed on the way."""
        self._prune()
        # Sorted by name they are sorted by time.
        folder = self.path / "instances" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}"
        for part in ("logs", "tmp"):
            (folder / part).mkdir(parents=True)
        return folder

    def latest_instance(self) -> Path | None:
        """The folder of the last stack that was started."""
        return next(iter(self._instances()), None)

    def running(self) -> StackDescription | None:
        """The stack that is up. A state file that no stack answers for is removed.

        Raises:
            StackSilent: its process lives and does not answer.
        """
        try:
            noted = StackDescription.model_validate_json(self.state_file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            self.state_file.unlink(missing_ok=True)
            return None
        answering = ask(noted.endpoint_url)
        if answering is not None and answering.instance == noted.instance:
            return noted
        if answering is None and _is_locked(noted.folder):
            raise StackSilent(noted)
        self.state_file.unlink(missing_ok=True)
        return None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Held while the stack is started or stopped.

        Raises:
            StackBusy: another command holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            if not _lock(file.fileno()):
                raise StackBusy("another `screener up` or `screener down` is at work; try again")
            yield

    def _instances(self) -> list[Path]:
        """Newest first."""
        return sorted((self.path / "instances").glob("*"), reverse=True)

    def _prune(self) -> None:
        for age, folder in enumerate(self._instances()):
            if is_alive(folder):
                continue
            # What a stack leaves behind when it is killed: spooled videos and scratch files.
            shutil.rmtree(folder / "tmp", ignore_errors=True)
            if age >= KEPT_INSTANCES - 1:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def alive(folder: Path) -> Iterator[None]:
    """Marks an instance's folder as in use for as long as this process lives in here."""
    with (folder / _ALIVE).open("w") as file:
        _lock(file.fileno())
        yield


def is_alive(folder: Path) -> bool:
    """Whether a stack process uses the folder, or is about to."""
    if (folder / _ALIVE).exists():
        return _is_locked(folder)
    # Just made, or left by a start that failed; the first is decided within a minute.
    return time.time() - folder.stat().st_mtime < 60


def ask(endpoint_url: str) -> StackDescription | None:
    """What answers at this URL; None when nothing does, or something else."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(endpoint_url + DESCRIPTION_PATH, timeout=_ANSWER_SECONDS) as answer:
            return StackDescription.model_validate_json(answer.read(1_000_000))
    except (OSError, ValueError):
        return None


def _is_locked(folder: Path) -> bool:
    """Whether the process of the folder's instance lives."""
    try:
        with (folder / _ALIVE).open() as file:
            return not _lock(file.fileno())
    except OSError:
        return False


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
