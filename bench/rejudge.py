"""Judging an archive again: time per video and stage, and how large documents become.

    python -m bench.rejudge [--videos 400] [--workers 2] [--rounds 1] [--dry-run]
    python -m bench.rejudge --against CHECKOUT --rounds 3

The whole command runs: documents and observations are read from disk, parsed, judged, composed
and written, for the videos that `bench.rejudging_archive` describes. The yardstick is 10,000 such
videos in 600 s on two cores, which is 120 ms of a core each.

`--against` names a checkout of another version (`git worktree add --detach FOLDER COMMIT`). Rounds
of the two alternate, so that they share whatever else the machine does; the ratio is that of their
processor times. Both must leave the same documents.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bench.rejudging_round
from bench.rejudging_archive import document_of, observations, write_archive
from local.rejudge.workers import WORKERS_ENVIRONMENT

ARCHIVE = 10_000
TARGET_S = 600.0
CORES = 2
HERE = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=400)
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dry-run", action="store_true", help="verdicts only")
    parser.add_argument("--against", type=Path, help="a checkout of another version")
    options = parser.parse_args()
    checkouts = {"this version": HERE}
    if options.against is not None:
        checkouts["other version"] = options.against.resolve()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_archive(folder)
        rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for number in range(options.rounds):
            # The order changes from round to round: who comes first has the quieter machine.
            order = list(checkouts.items())[:: -1 if number % 2 else 1]
            for version, checkout in order:
                rounds[version].append(one_round(checkout, folder, options))
        load = os.getloadavg()[0]
        what = "verdicts only" if options.dry_run else "documents written"
        print(
            f"{options.videos} ten-minute videos a round, {options.workers} processes, "
            f"{options.rounds} rounds, load {load:.1f}, {what}"
        )
        for version, results in rounds.items():
            report(version, results, options.videos)
        equal = options.against is None or compare(rounds)
        print_stages(folder, options)
    for minutes in (10, 60, 360):
        size = len(document_of(observations(minutes, 1), "size", minutes).model_dump_json())
        print(f"document of {minutes} min: {size / 1_000_000:.2f} MB")
    if not equal:
        raise SystemExit("the two versions differ in verdicts or documents")


def one_round(checkout: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Judge the archive once with one version."""
    command = [sys.executable, bench.rejudging_round.__file__, str(folder)]
    command += [str(options.videos), str(options.workers), *["--dry-run"] * options.dry_run]
    path = os.pathsep.join([str(checkout), str(checkout / "core")])
    # The version must not be decided by the folder of the script.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    answer = subprocess.run(
        command, env=environment, cwd=checkout, check=True, stdout=subprocess.PIPE
    )
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


def print_stages(folder: Path, options: argparse.Namespace) -> None:
    """Time per stage of one video: in a process of its own, with a worker's environment."""
    command = [sys.executable, "-m", "bench.rejudging_stages", str(folder)]
    command += ["--dry-run"] * options.dry_run
    sys.stdout.flush()
    subprocess.run(command, env={**os.environ, **WORKERS_ENVIRONMENT}, check=True)


def report(version: str, results: list[dict[str, Any]], videos: int) -> None:
    wall_s = statistics.median(item["wall_s"] for item in results) / videos
    cpu_s = statistics.median(item["cpu_s"] for item in results) / videos
    memory = max(item["largest_worker_mb"] for item in results)
    total_s, idle_s = wall_s * ARCHIVE, cpu_s * ARCHIVE / CORES
    print(
        f"{version}: {cpu_s * 1_000:.0f} ms of processor per video, {1 / wall_s:.1f} videos a "
        f"second, largest worker {memory:.0f} MB\n"
        f"  {ARCHIVE} videos: {total_s:.0f} s measured, {idle_s:.0f} s of {CORES} idle cores "
        f"({total_s / TARGET_S:.2f} and {idle_s / TARGET_S:.2f} of the target's {TARGET_S:.0f} s)"
    )


def compare(rounds: dict[str, list[dict[str, Any]]]) -> bool:
    """Print the ratio; whether both versions left the same verdicts and documents."""
    new, old = rounds["this version"], rounds["other version"]
    ratios = [left["cpu_s"] / right["cpu_s"] for left, right in zip(new, old, strict=True)]
    print(f"processor time, this to other: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    equal = len({item["digest"] for item in (*new, *old)}) == 1
    print(f"verdicts and documents of both versions are {'equal' if equal else 'NOT equal'}")
    return equal


if __name__ == "__main__":
    main()
