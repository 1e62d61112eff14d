"""Frame bundles made of real pictures that dependencies ship."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from screener.bundles import FrameBundleManifest, FrameEntry, write_bundle
from screener.sampling import Sampling
from tests.model_packs import package_folder

VIDEO_ID = "0123456789abcdef0123456789abcdef"


def group_photo() -> np.ndarray:
    """Six people in front of a house, 1280x886, BGR: `insightface`'s own test picture."""
    picture = cv2.imread(str(package_folder("insightface") / "data" / "images" / "t1.jpg"))
    assert picture is not None
    return picture


def portrait() -> np.ndarray:
    """An astronaut, 512x512, BGR: `scikit-image`'s public-domain NASA portrait."""
    picture = cv2.imread(str(package_folder("skimage") / "data" / "astronaut.png"))
    assert picture is not None
    return picture


def jpeg(picture: np.ndarray, quality: int = 95) -> bytes:
    """A BGR picture as a JPEG."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def bundle_of(
    jpegs: Sequence[bytes], *, size: tuple[int, int] | None = None, chunk: int = 0
) -> bytes:
    """A bundle with one frame per second; `size` overrides what the manifest says of the size."""
    if size is None:
        with Image.open(io.BytesIO(jpegs[0])) as image:
            size = image.size
    manifest = FrameBundleManifest(
        video_id=VIDEO_ID,
        sampling_id="0123456789abcdef",
        sampling=Sampling(),
        chunk=chunk,
        time_base="1/1000",
        width=size[0],
        height=size[1],
        frames=[
            FrameEntry(
                index=index,
                name=f"frame_{index:06d}.jpg",
                pts=index * 1000,
                timestamp_ms=index * 1000,
                span_start_ms=index * 1000,
                span_end_ms=(index + 1) * 1000,
            )
            for index in range(len(jpegs))
        ],
    )
    target = io.BytesIO()
    write_bundle(target, manifest, iter(jpegs))
    return target.getvalue()
