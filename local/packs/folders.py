"""The folder of a pack in the making, and its move into place.

A pack is made in a folder of its own below `scratch/` and renamed to `packs/<name>`, so a
reader sees all of it or nothing.
"""

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.packs.places import scratch_folder
from screener.packs import PACK_FILE, Pack


@contextmanager
def workspace(home: Path, name: str) -> Iterator[Path]:
    """An empty folder on the file system of the packs, removed with what is left in it.

    Only for the holder of the pack's lock: what a killed command left is removed first.
    """
    ours = re.compile(re.escape(name) + r"-[0-9a-f]{12}(-replaced)?")
    for left in scratch_folder(home).glob(f"{name}-*"):
        if left.is_dir() and ours.fullmatch(left.name):
            shutil.rmtree(left, ignore_errors=True)
    folder = scratch_folder(home) / f"{name}-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_pack_file(folder: Path, pack: Pack) -> None:
    """Write `pack.json`."""
    (folder / PACK_FILE).write_text(pack.model_dump_json(indent=2) + "\n")


def place(made: Path, target: Path) -> None:
    """Move a finished pack folder to its place, replacing an older one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = made.with_name(f"{made.name}-replaced")
    if target.exists():
        # A folder that is not empty cannot be renamed over.
        target.rename(old)
    made.rename(target)
    shutil.rmtree(old, ignore_errors=True)
