"""Ultralytics detectors: the library's own export, then raw outputs side by side."""

import importlib.metadata
import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from ultralytics import YOLO
from ultralytics.data.augment import LetterBox

from local.packs.recipes.contract import Export, Job, Parity, Precision
from local.packs.recipes.networks import Network, finish
from local.packs.recipes.photographs import photographs

_OPSET = 17
_FLOOR = 0.1
"""Anchors whose best score is lower never become a detection under any policy of ours."""
_LIMITS = {
    # (pixels, score). Half precision keeps 11 bits: measured on yolov8n 0.3 pixels, and 0.02
    # on the worst of 20,000 anchors (0.0013 on 95 % of those that could be detections).
    Precision.FP32: (0.1, 0.001),
    Precision.FP16: (1.0, 0.05),
}


def export(job: Job) -> Export:
    """Export a detector with free batch and image size; output is raw (N, 4 + classes, anchors).

    Raises:
        ValueError: not a detection model of the plain YOLO head.
    """
    weights = Path(f"{job.model}.pt")
    if job.weights:
        # The library writes its export beside the weights, which may be read-only.
        shutil.copyfile(job.weights, weights)
    model = YOLO(str(weights))
    if model.task != "detect":
        raise ValueError(f"{weights.name} is a {model.task} model; screening needs a detector")
    names = [str(model.names[number]) for number in range(len(model.names))]
    size = _trained_size(model)
    exported = model.export(
        format="onnx",
        dynamic=True,
        simplify=False,
        opset=_OPSET,
        nms=False,
        imgsz=size,
        device="cpu",
        verbose=False,
    )
    network = job.folder / job.network
    shutil.move(exported, network)
    version = importlib.metadata.version("ultralytics")
    metadata = {"names": str(dict(enumerate(names))), "task": "detect", "stride": "32"}
    finish(network, job.precision, metadata | {"exported_with": f"ultralytics {version}"})
    images = photographs(job.images)
    return Export(
        files=[job.network],
        input_size=(size, size),
        class_names=names,
        parameters={"family": "yolov8", "precision": job.precision.value},
        libraries={"ultralytics": version, "torch": torch.__version__},
        compared_on=list(images),
        parity=_compare(weights, Network(network), list(images.values()), size, job.precision),
    )


def _trained_size(model: YOLO) -> int:
    size = model.overrides.get("imgsz") or model.model.args.get("imgsz", 640)
    return int(size if isinstance(size, int) else max(size))


def _compare(
    weights: Path, network: Network, images: list[Image.Image], size: int, precision: Precision
) -> list[Parity]:
    # A fresh one: exporting fuses layers in place.
    reference = YOLO(str(weights)).model.float().eval()
    box, score, anchors = 0.0, 0.0, 0
    for batch in _batches(images, size):
        with torch.no_grad():
            expected = reference(torch.from_numpy(batch))[0].numpy()
        found = network(batch)
        if found.shape != expected.shape:
            raise ValueError(f"the export gives {found.shape}, the library {expected.shape}")
        likely = expected[:, 4:].max(axis=1) > _FLOOR
        anchors += int(likely.sum())
        box = max(box, _largest(np.abs(found - expected)[:, :4].max(axis=1)[likely]))
        score = max(score, float(np.abs(found - expected)[:, 4:].max()))
    if not anchors:
        raise ValueError("the library itself finds nothing on these images; give others")
    box_limit, score_limit = _LIMITS[precision]
    return [
        Parity(measure="largest box difference, pixels", value=box, limit=box_limit),
        Parity(measure="largest class score difference", value=score, limit=score_limit),
    ]


def _batches(images: list[Image.Image], size: int) -> list[NDArray[np.float32]]:
    """Each image in its own shape, and all of them as one square batch."""
    shapes = [LetterBox((size, size), auto=True, stride=32), LetterBox((size, size), auto=False)]
    own, square = ([box(image=_bgr(image)) for image in images] for box in shapes)
    return [_blob([image]) for image in own] + [_blob(square)]


def _bgr(image: Image.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def _blob(images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    stacked = np.stack(images)[:, :, :, ::-1].transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stacked, dtype=np.float32) / np.float32(255)


def _largest(values: NDArray[np.float32]) -> float:
    return float(values.max()) if values.size else 0.0
