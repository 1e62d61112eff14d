"""Writes `reference.json`: what `ultralytics` and `open_clip` themselves make of the test picture.

Needs PyTorch, so it runs in the environment of `screener packs build`, not in the tests':

    PYTHON tests/unit/model_servers/objects/make_reference.py MIRROR/yolo/yolov8n.pt PHOTO

PHOTO is `insightface/data/images/t1.jpg` of the installed `insightface`.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import open_clip
import torch
import ultralytics
from PIL import Image

CROPS = {"people": (0, 886, 0, 1280), "wide": (150, 690, 0, 1280), "tall": (0, 886, 250, 750)}
CLIP_SIDE = 16


def main(weights: str, photo: str) -> None:
    yolo = ultralytics.YOLO(weights)
    picture = cv2.imread(photo)
    detections = {}
    for name, (top, bottom, left, right) in CROPS.items():
        [result] = yolo.predict(
            np.ascontiguousarray(picture[top:bottom, left:right]), verbose=False
        )
        detections[name] = [
            {"label": result.names[int(kind)], "score": float(score), "corners": corners.tolist()}
            for corners, score, kind in zip(
                result.boxes.xyxy, result.boxes.conf, result.boxes.cls, strict=True
            )
        ]
    transform = open_clip.image_transform(CLIP_SIDE, is_train=False)
    pixels = {}
    for name, (top, bottom, left, right) in CROPS.items():
        crop = Image.fromarray(picture[top:bottom, left:right, ::-1])
        pixels[name] = np.round(transform(crop).numpy().ravel().astype(float), 3).tolist()
    versions = {
        "torch": torch.__version__,
        "ultralytics": ultralytics.__version__,
        "open_clip": open_clip.__version__,
    }
    target = Path(__file__).with_name("reference.json")
    target.write_text(
        json.dumps({"versions": versions, "crops": CROPS, "detections": detections, "clip": pixels})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
