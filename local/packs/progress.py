"""What a user sees while gigabytes arrive."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)


class Downloads(Progress):
    """A bar per download, on stderr, gone when all is done."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._of: dict[str, TaskID] = {}

    def show(self, what: str, have: int, total: int | None) -> None:
        if what not in self._of:
            self._of[what] = self.add_task(what)
        self.update(self._of[what], completed=have, total=total)
