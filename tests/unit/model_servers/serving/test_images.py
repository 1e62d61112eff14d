import io

import numpy as np
import pytest
from PIL import Image

from model_servers.serving.images import decode
from screener.bundles import Frame, FrameEntry
from screener.errors import InvalidBundle
from tests.frame_bundles import jpeg, portrait

ENTRY = FrameEntry(
    index=0, name="frame_000000.jpg", pts=0, timestamp_ms=0, span_start_ms=0, span_end_ms=1
)


def test_pixels_are_those_that_pillow_decodes_in_reverse_channel_order() -> None:
    data = jpeg(portrait())
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))[:, :, ::-1]
    decoded = decode(Frame(ENTRY, data), 512, 512)
    assert np.array_equal(decoded.pixels, expected)


def test_orientation_marks_do_not_turn_a_frame() -> None:
    wide = Image.fromarray(portrait()[:256])
    exif = Image.Exif()
    exif[0x0112] = 6
    target = io.BytesIO()
    wide.save(target, "JPEG", exif=exif)
    assert decode(Frame(ENTRY, target.getvalue()), 512, 256).pixels.shape == (256, 512, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a JPEG"),
        (b"GIF89a" + b"\0" * 100, "not a JPEG"),
        (jpeg(portrait())[:-2], "cut off"),
        (jpeg(portrait()[:100]), "512x100"),
    ],
)
def test_what_is_not_the_promised_image_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidBundle, match=f"frame_000000.jpg.*{reason}"):
        decode(Frame(ENTRY, data), 512, 512)


def test_a_png_is_refused_even_when_its_size_is_right() -> None:
    target = io.BytesIO()
    Image.fromarray(portrait()).save(target, "PNG")
    with pytest.raises(InvalidBundle, match="not a JPEG"):
        decode(Frame(ENTRY, target.getvalue()), 512, 512)


def test_a_header_that_claims_gigabytes_is_refused_before_decoding() -> None:
    data = bytearray(jpeg(portrait()))
    frame_header = data.index(b"\xff\xc0")
    data[frame_header + 5 : frame_header + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(InvalidBundle, match=r"frame_000000\.jpg"):
        decode(Frame(ENTRY, bytes(data)), 512, 512)
