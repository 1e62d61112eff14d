"""CLIP by `open_clip`, file by file, prompts encoded anew for each: FOLDER MODEL. Needs PyTorch.

The weights are random: they would have to be downloaded, and take the same time.
"""

import sys
from pathlib import Path

import open_clip
import torch
from PIL import Image

from bench.baseline.prompts import PROMPTS
from bench.baseline.report import report


def main(folder: str, architecture: str) -> None:
    files = sorted(Path(folder).glob("*.jpg"))
    model, _, transform = open_clip.create_model_and_transforms(architecture, pretrained=None)
    tokenizer = open_clip.get_tokenizer(architecture)
    model.eval()

    def work() -> int:
        best = []
        with torch.no_grad():
            for file in files:
                image = model.encode_image(transform(Image.open(file)).unsqueeze(0))
                texts = model.encode_text(tokenizer(PROMPTS))
                image = image / image.norm(dim=-1, keepdim=True)
                texts = texts / texts.norm(dim=-1, keepdim=True)
                best.append(int((image @ texts.T).argmax()))
        return len(best)

    report(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
