"""InsightFace, file by file: FOLDER ROOT NAME, where ROOT/models/NAME holds the networks."""

import sys
import warnings
from pathlib import Path

import cv2
from insightface.app import FaceAnalysis  # type: ignore[import-untyped]

from bench.baseline.report import report


def main(folder: str, root: str, name: str) -> None:
    warnings.simplefilter("ignore")
    files = sorted(str(path) for path in Path(folder).glob("*.jpg"))
    analysis = FaceAnalysis(name=name, root=root, providers=["CPUExecutionProvider"])
    analysis.prepare(ctx_id=-1, det_size=(640, 640))
    report(lambda: sum(len(analysis.get(cv2.imread(file))) for file in files))


if __name__ == "__main__":
    main(*sys.argv[1:])
