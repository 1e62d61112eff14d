"""`python -m bench.simulation`: print cost and latency by volume; write plots when asked."""

import argparse
from pathlib import Path

from bench.simulation import assumptions as assumed
from bench.simulation import report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulation", description=__doc__)
    parser.add_argument("--assumptions", type=Path, default=assumed.SHIPPED)
    parser.add_argument("--volumes", type=int, nargs="+", metavar="VIDEOS_PER_DAY")
    parser.add_argument("--only-chosen", action="store_true", help="no alternatives")
    parser.add_argument(
        "--pessimistic",
        action="store_true",
        help="the backlog metric forgets a request as soon as it is picked up",
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write SVG plots there")
    arguments = parser.parse_args()

    numbers = assumed.load(arguments.assumptions)
    if arguments.pessimistic:
        numbers = numbers.with_backlog_of_queued_only()
    alternatives = [] if arguments.only_chosen else list(numbers.alternatives)
    print(report.HEADER)
    rows = []
    for row in report.simulate(numbers, arguments.volumes or numbers.videos_per_day, alternatives):
        print(report.line(row, numbers), flush=True)
        rows.append(row)
    if arguments.plots:
        from bench.simulation import plots  # matplotlib is installed for benchmarks only

        for path in plots.save_all(rows, numbers, arguments.plots):
            print(path)


if __name__ == "__main__":
    main()
