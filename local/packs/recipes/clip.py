"""CLIP: image tower, text tower and tokenizer, each compared with open_clip's."""

import importlib.metadata
from collections.abc import Callable

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from local.packs.recipes.clip_tokenizer import make_tokenizer
from local.packs.recipes.contract import RANDOM_WEIGHTS, Export, Job, Parity, Precision
from local.packs.recipes.modules import export_module
from local.packs.recipes.networks import Network, finish, smallest_cosine
from local.packs.recipes.photographs import photographs

PROMPTS = [
    "a photo of a person",
    "A BUSY Street, with cars & bicycles!",
    "someone's kitchen; it's tidy, they'll cook",
    "weapon",
    "42 apples on 3.5 tables",
    "une scène de café à l'extérieur",
    "日本の通り",
    "fireworks 🎆🎇 at night",
    "  two   spaces\tand a tab\nand a line  ",
    "supercalifragilisticexpialidocious " * 12,
    "",
]
"""Short and long, cased, accented, of other scripts: what people write into a policy."""

_COSINE_LIMITS = {Precision.FP32: 1e-5, Precision.FP16: 1e-3, Precision.INT8: 1e-2}
_SCENE_LIMITS = {Precision.FP32: 1e-3, Precision.FP16: 0.02, Precision.INT8: 0.05}
_RANDOM_SEED = 20_240_229


class _ImageTower(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_image(pixels)
        return features


class _TextTower(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_text(tokens)
        return features


def export(job: Job) -> Export:
    """Export both towers with a free batch; embeddings are not normalised.

    Raises:
        ValueError: a tokenizer or a shape that this recipe does not know.
    """
    torch.manual_seed(_RANDOM_SEED)
    model, preprocess = _load(job)
    side = int(model.visual.image_size[0])
    context = int(model.context_length)
    tokenize = open_clip.get_tokenizer(job.model)
    images = photographs(job.images)
    pixels = torch.stack([preprocess(image) for image in images.values()])
    tokens = tokenize(PROMPTS)

    image_path, text_path = job.folder / "image.onnx", job.folder / "text.onnx"
    metadata = {"exported_with": f"open_clip_torch {importlib.metadata.version('open_clip_torch')}"}
    export_module(_ImageTower(model), pixels[:2].repeat(2, 1, 1, 1)[:2], image_path, "pixels")
    export_module(_TextTower(model), tokens[:2], text_path, "tokens")
    finish(image_path, job.precision, metadata)
    # A text is encoded once, so it need not be fast, and stays exact.
    exact = job.precision is Precision.INT8
    finish(text_path, Precision.FP32 if exact else job.precision, metadata)
    tokenizer = make_tokenizer(tokenize, context)
    tokenizer.save(str(job.folder / "tokenizer.json"))

    with torch.no_grad():
        expected_images = model.encode_image(pixels).numpy()
        expected_texts = model.encode_text(tokens).numpy()
    ours = np.array([encoding.ids for encoding in tokenizer.encode_batch(PROMPTS)])
    found_images = Network(image_path)(pixels.numpy())
    found_texts = Network(text_path)(ours)
    scale = float(model.logit_scale.exp())
    scenes = _scenes(expected_images, expected_texts, scale)
    found_scenes = _scenes(found_images, found_texts, scale)
    cosine, scene = _COSINE_LIMITS[job.precision], _SCENE_LIMITS[job.precision]
    return Export(
        files=["image.onnx", "text.onnx", "tokenizer.json"],
        input_size=(side, side),
        parameters={
            "family": "clip",
            "precision": job.precision.value,
            "logit_scale": scale,
            "context_length": context,
            "image_mean": list(model.visual.image_mean),
            "image_std": list(model.visual.image_std),
            "embedding_size": int(expected_images.shape[1]),
        },
        libraries={name: importlib.metadata.version(name) for name in ("open_clip_torch", "torch")},
        compared_on=list(images),
        parity=[
            Parity(
                measure="prompts with other tokens",
                value=float((ours != tokens.numpy()).any(axis=1).sum()),
                limit=0,
            ),
            Parity(
                measure="1 - smallest cosine of an image embedding",
                value=1 - smallest_cosine(found_images, expected_images),
                limit=cosine,
            ),
            Parity(
                measure="1 - smallest cosine of a text embedding",
                value=1 - smallest_cosine(found_texts, expected_texts),
                limit=cosine,
            ),
            Parity(
                measure="largest difference of a scene's probability",
                value=float(np.abs(found_scenes - scenes).max()),
                limit=scene,
            ),
        ],
    )


def _load(job: Job) -> tuple[torch.nn.Module, Callable[[Image.Image], torch.Tensor]]:
    # OpenAI's weights were trained with the quick approximation of GELU. open_clip knows that
    # when it fetches them by name, but not when they come as a file, or when there are none.
    named = job.weights in open_clip.list_pretrained_tags_by_model(job.model)
    random = job.weights == RANDOM_WEIGHTS
    model, _, preprocess = open_clip.create_model_and_transforms(
        job.model,
        pretrained=None if random else job.weights,
        force_quick_gelu=not named,
        precision="fp32",
        device="cpu",
    )
    return model.eval(), preprocess


def _scenes(
    images: NDArray[np.float32], texts: NDArray[np.float32], scale: float
) -> NDArray[np.float32]:
    """(images, texts) to probabilities over the texts, as a policy scores scenes."""
    logits = np.float32(scale) * _unit(images) @ _unit(texts).T
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
