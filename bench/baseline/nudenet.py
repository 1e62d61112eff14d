"""NudeNet, file by file: FOLDER."""

import sys
from pathlib import Path

from nudenet import NudeDetector  # type: ignore[import-untyped]

from bench.baseline.report import report


def main(folder: str) -> None:
    files = sorted(str(path) for path in Path(folder).glob("*.jpg"))
    detector = NudeDetector()
    report(lambda: sum(len(detector.detect(file)) for file in files))


if __name__ == "__main__":
    main(*sys.argv[1:])
