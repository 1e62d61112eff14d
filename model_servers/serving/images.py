"""JPEG bytes to pixels, once per frame, at full size.

The JPEG format could be decoded at half the size for the networks that take small pictures.
That saves 0.5 of about 30 ms a frame, and moved OpenNSFW's score by up to 0.1 and NudeNet's by
0.03 (105 real frames), so it is not done.
"""

import io
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from screener.bundles import Frame
from screener.errors import InvalidBundle

Pixels = NDArray[np.uint8]
"""Shape (height, width, 3), channels blue, green, red, as OpenCV orders them."""

_END_OF_IMAGE = b"\xff\xd9"


class DecodedFrame(NamedTuple):
    """A frame's pixels and the size of the stored image that they stand for."""

    pixels: Pixels
    width: int
    height: int


def decode(frame: Frame, width: int, height: int) -> DecodedFrame:
    """Decode a frame that must have the size that its bundle's manifest promises.

    The header is read first: a few bytes can claim gigabytes of pixels.

    Raises:
        InvalidBundle: not a whole JPEG, or not of that size.
    """
    name, jpeg = frame.entry.name, frame.jpeg
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as header:
            size = header.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as cause:
        raise InvalidBundle(f"{name} is not a JPEG image") from cause
    if size != (width, height):
        raise InvalidBundle(f"{name} is {size[0]}x{size[1]}, the manifest says {width}x{height}")
    # OpenCV fills what is missing with grey and does not say so.
    if not jpeg.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise InvalidBundle(f"{name} is cut off")
    try:
        pixels = cv2.imdecode(
            np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error as cause:
        raise InvalidBundle(f"{name} cannot be decoded") from cause
    if pixels is None or pixels.shape != (height, width, 3):
        raise InvalidBundle(f"{name} cannot be decoded")
    return DecodedFrame(np.asarray(pixels, dtype=np.uint8), width, height)
