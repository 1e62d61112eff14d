"""Median processor time per stage of judging one video again, for `bench.rejudge`."""

import gc
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.rejudge import workers
from local.rejudge.archive import FolderArchive
from screener import rejudging
from screener.policy import engine
from screener.policy.faces import Faces
from screener.policy.known_faces import load_known_faces
from screener.policy.loading import Preset, load_preset
from screener.policy.objects import Objects
from screener.policy.speech import Speech
from screener.policy.visual import Moderation

VIDEOS = 60
STAGES: list[tuple[str, Any, str]] = [
    ("read files, in threads", FolderArchive, "observations"),
    ("read and parse document", FolderArchive, "read"),
    ("parse observations", rejudging, "parse_observations"),
    ("judge moderation", Moderation, "__init__"),
    ("judge faces", Faces, "__init__"),
    ("judge speech", Speech, "__init__"),
    ("judge objects, scenes", Objects, "__init__"),
    ("rules", engine, "rule_on"),
    ("section moderation", Moderation, "section"),
    ("section faces", Faces, "section"),
    ("section speech", Speech, "section"),
    ("section objects", Objects, "section"),
    ("compose document", rejudging, "judged_document"),
    ("write document", FolderArchive, "write"),
]
IN_MAIN_THREAD = {label for label, _, _ in STAGES if label != "read files, in threads"}


def main() -> None:
    folder = Path(sys.argv[1])
    task = workers.Task(
        FolderArchive(folder),
        load_preset(Preset.STRICT),
        load_known_faces((folder / "index.npz").read_bytes()),
        dry_run="--dry-run" in sys.argv,
    )
    addresses = sorted(map(str, folder.glob("*.moderation.json")))
    spent: dict[str, float] = defaultdict(float)
    videos: dict[str, list[float]] = defaultdict(list)
    for label, owner, name in STAGES:
        setattr(owner, name, timed(getattr(owner, name), label, spent))
    judge_one = timed(workers.judge_one, "all of it", spent)
    gc.freeze()
    for number in range(VIDEOS):
        judge_one(task, addresses[number % len(addresses)])
        for label, elapsed_s in spent.items():
            videos[label].append(elapsed_s)
        spent.clear()
    median = {label: statistics.median(each) * 1_000 for label, each in videos.items()}
    # Other threads read files meanwhile, so that their time is not part of the whole.
    stages = sum(value for label, value in median.items() if label in IN_MAIN_THREAD)
    median["the rest"] = median["all of it"] - stages
    print(f"one process, {VIDEOS} videos, median per video:")
    for label, elapsed_ms in median.items():
        print(f"  {label:<24}{elapsed_ms:7.1f} ms")


def timed(call: Callable[..., Any], label: str, spent: dict[str, float]) -> Callable[..., Any]:
    """The same call, whose processor time is added up."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            spent[label] += time.thread_time() - started

    return wrapped


if __name__ == "__main__":
    main()
