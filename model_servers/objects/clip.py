"""CLIP: images and texts to vectors of one space."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from model_servers.serving.images import Pixels
from model_servers.serving.runtime import Runtime
from screener.errors import InvalidPack
from screener.packs import InstalledPack

_CACHED_TEXTS = 4096
_PAD = 0


class Clip:
    """The image tower, the text tower and the tokenizer of one CLIP pack.

    `pack.json` parameters: `logit_scale`, `context_length`, `image_mean` and `image_std`
    (three numbers each, red green blue). Preprocessing is `open_clip`'s: shorter side to the
    input size (bicubic), centre crop.
    """

    def __init__(self, pack: InstalledPack, runtime: Runtime) -> None:
        parameters = pack.pack.parameters
        try:
            self.logit_scale = float(parameters["logit_scale"])
            self._context_length = int(parameters["context_length"])
            self._mean = np.array(parameters["image_mean"], np.float32).reshape(3)
            self._std = np.array(parameters["image_std"], np.float32).reshape(3)
        except (KeyError, TypeError, ValueError) as cause:
            raise InvalidPack(f"{pack.folder}: parameter missing or wrong: {cause}") from cause
        if pack.pack.input_size is None:
            raise InvalidPack(f"{pack.folder}: input_size is missing")
        self._side = pack.pack.input_size[0]
        self._image = runtime.session(pack.path_of("image.onnx"))
        self._text = runtime.session(pack.path_of("text.onnx"))
        self._token_type = np.int32 if "int32" in self._text.inputs[0].type else np.int64
        self._tokenizer = _load_tokenizer(pack, self._context_length)
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def preprocess(self, pixels: Pixels) -> NDArray[np.float32]:
        """(3, side, side), normalised."""
        height, width = pixels.shape[:2]
        shorter = min(height, width)
        new_width, new_height = (
            int(self._side * width / shorter),
            int(self._side * height / shorter),
        )
        # Resizing treats each channel alike, so blue and red may change places in what is left.
        image = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BICUBIC)
        left, top = round((new_width - self._side) / 2), round((new_height - self._side) / 2)
        crop = np.asarray(image.crop((left, top, left + self._side, top + self._side)))[..., ::-1]
        normalised = (crop.astype(np.float32) / np.float32(255) - self._mean) / self._std
        return np.ascontiguousarray(normalised.transpose(2, 0, 1))

    def embed_images(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 3, side, side) to unit vectors (n, D)."""
        [vectors] = self._image.run({self._image.inputs[0].name: batch})
        return _unit(np.asarray(vectors))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, D); a text that was asked before costs nothing."""
        with self._lock:
            for text in dict.fromkeys(texts):
                if text not in self._cache:
                    self._cache[text] = self._embed_text(text)
                self._cache.move_to_end(text)
            found = np.stack([self._cache[text] for text in texts])
            while len(self._cache) > _CACHED_TEXTS:
                self._cache.popitem(last=False)
        return found

    def _embed_text(self, text: str) -> NDArray[np.float32]:
        tokens = self._tokenizer.encode(text).ids
        padded = np.full((1, self._context_length), _PAD, dtype=self._token_type)
        padded[0, : len(tokens)] = tokens
        [vectors] = self._text.run({self._text.inputs[0].name: padded})
        return np.asarray(_unit(np.asarray(vectors))[0], dtype=np.float32)


def _load_tokenizer(pack: InstalledPack, context_length: int) -> Tokenizer:
    path = pack.path_of("tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as cause:
        # The library raises plain Exception.
        raise InvalidPack(f"{path}: not a tokenizer: {cause}") from cause
    # Keeps the start and end marks and cuts what lies between, as open_clip does. Padding is
    # ours: CLIP reads the sentence at its end mark, and files differ in what they pad with.
    tokenizer.enable_truncation(context_length)
    tokenizer.no_padding()
    return tokenizer


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    values = vectors.astype(np.float32)
    return np.asarray(
        values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12), np.float32
    )
