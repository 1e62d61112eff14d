r"""One round of `bench.rejudge`: judges an archive again and prints what it took as JSON.

A process of its own, and of no other part of `bench`, so that PYTHONPATH decides which version
of Screener does the work.

    PYTHONPATH=CHECKOUT:CHECKOUT/core \
        python bench/rejudging_round.py FOLDER VIDEOS WORKERS [--dry-run]
"""

import hashlib
import json
import resource
import sys
import time
from pathlib import Path

from local.rejudge.archive import FolderArchive
from local.rejudge.workers import Task, judge_archive
from screener.policy.known_faces import load_known_faces
from screener.policy.loading import Preset, load_preset


def main() -> None:
    folder, videos, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    addresses = sorted(map(str, folder.glob("*.moderation.json")))
    task = Task(
        FolderArchive(folder),
        load_preset(Preset.STRICT),
        load_known_faces((folder / "index.npz").read_bytes()),
        dry_run="--dry-run" in sys.argv,
    )
    many = [addresses[number % len(addresses)] for number in range(videos)]
    started, used = time.perf_counter(), children_s()
    judged = list(judge_archive(task, many, workers))
    wall_s, cpu_s = time.perf_counter() - started, children_s() - used
    if any(item.skipped is not None for item in judged):
        raise SystemExit("every video must have been judged")
    result = {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "largest_worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "digest": digest([(item.new, item.reason) for item in judged], addresses),
    }
    print(json.dumps(result))


def digest(judged: list[tuple[str | None, str]], addresses: list[str]) -> str:
    """Of every verdict and every document, without who wrote it and when."""
    total = hashlib.sha256(json.dumps(judged).encode())
    for address in addresses:
        document = json.loads(Path(address).read_bytes())
        del document["pipeline"]
        total.update(json.dumps(document, sort_keys=True).encode())
    return total.hexdigest()


def children_s() -> float:
    """Processor time of ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
