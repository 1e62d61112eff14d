"""Making an image fit a detector's input."""

import cv2
import numpy as np

from model_servers.serving.images import Pixels


def fit_inside(pixels: Pixels, width: int, height: int) -> Pixels:
    """The image as large as it fits, in its own proportions, the shorter side rounded down."""
    rows, columns = pixels.shape[:2]
    across, down = width / columns, height / rows
    new_width = width if across <= down else int(columns * down)
    new_height = height if down < across else int(rows * across)
    small = cv2.resize(pixels, (max(1, new_width), max(1, new_height)))
    return np.asarray(small, dtype=np.uint8)
