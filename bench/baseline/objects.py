"""Ultralytics YOLO, file by file: FOLDER WEIGHTS. Needs PyTorch."""

import sys
from pathlib import Path

from ultralytics import YOLO

from bench.baseline.report import report


def main(folder: str, weights: str) -> None:
    files = sorted(str(path) for path in Path(folder).glob("*.jpg"))
    yolo = YOLO(weights)
    report(lambda: sum(len(yolo.predict(file, verbose=False)[0].boxes) for file in files))


if __name__ == "__main__":
    main(*sys.argv[1:])
