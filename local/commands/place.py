"""Where the command works: the checkout and its home."""

from pathlib import Path

from local.packs.places import Places
from local.stack.description import StackDescription
from local.stack.instance import StackFolder
from screener.errors import ScreenerError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout that this command was installed from."""


class NoStack(ScreenerError):
    """A command needs the stack to be up."""


def home() -> Path:
    return Places().home


def stack_folder() -> StackFolder:
    return StackFolder(home(), ROOT)


def stack_that_is_up() -> StackDescription:
    """The stack that `screener up` started.

    Raises:
        NoStack: there is none.
    """
    running = stack_folder().running()
    if running is None:
        raise NoStack("no local stack is up. Start one: screener up --detach")
    return running
