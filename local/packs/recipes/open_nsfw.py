"""Yahoo Open-NSFW: the Keras network of `opennsfw2`, its scores beside the export's."""

import importlib.metadata

import numpy as np
import opennsfw2
import torch

from local.packs.recipes.contract import RANDOM_WEIGHTS, Export, Job, Parity, Precision
from local.packs.recipes.modules import export_module
from local.packs.recipes.networks import Network, finish
from local.packs.recipes.photographs import photographs

_SIDE = 224
_LIMITS = {Precision.FP32: 1e-4, Precision.FP16: 0.01}


class _Scores(torch.nn.Module):
    """Keras networks on the PyTorch backend are modules, but not by the name of their input."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.model(images, training=False)
        return scores


def export(job: Job) -> Export:
    """Export (N, 224, 224, 3), BGR minus the mean, to (N, 2): safe, unsafe."""
    if job.weights == RANDOM_WEIGHTS:
        model = opennsfw2.make_open_nsfw_model(weights_path=None)
    elif job.weights:
        model = opennsfw2.make_open_nsfw_model(weights_path=job.weights)
    else:
        model = opennsfw2.make_open_nsfw_model()
    images = photographs(job.images)
    pixels = np.stack([opennsfw2.preprocess_image(image) for image in images.values()])
    network = job.folder / job.network
    export_module(_Scores(model), torch.from_numpy(np.repeat(pixels[:1], 2, 0)), network, "images")
    versions = {name: importlib.metadata.version(name) for name in ("opennsfw2", "keras", "torch")}
    finish(network, job.precision, {"exported_with": f"opennsfw2 {versions['opennsfw2']}"})
    expected = np.asarray(model.predict(pixels, verbose=0))
    found = Network(network)(pixels)
    return Export(
        files=[job.network],
        input_size=(_SIDE, _SIDE),
        parameters={"family": "open_nsfw", "precision": job.precision.value},
        libraries=versions,
        compared_on=list(images),
        parity=[
            Parity(
                measure="largest score difference",
                value=float(np.abs(found - expected).max()),
                limit=_LIMITS[job.precision],
            )
        ],
    )
