import io

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc

from screener.media.picture import Renderer, displayed_size, stored_size

BT709, BT2020 = 1, 9
LIMITED_RANGE = 1


def decoded(jpeg):
    with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)


def render(frame, width=64, height=64, orientation=()):
    renderer = Renderer(width, height, 2, orientation)
    return decoded(renderer.jpeg(renderer.picture(frame)))


def yuv(y, u, v, *, bits=8, side=64):
    """A frame of one colour."""
    frame = VideoFrame(side, side, "yuv420p" if bits == 8 else "yuv420p10le")
    kind = np.uint8 if bits == 8 else np.uint16
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
    frame.color_range = LIMITED_RANGE
    return frame


def test_colours_of_hd_video_reach_a_reader_of_jpegs_unchanged():
    red = yuv(63, 102, 240)  # (255, 0, 0) in BT.709, limited range
    red.colorspace = BT709
    assert np.abs(render(red).reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 8


def test_video_without_a_colour_tag_is_taken_for_what_players_take_it():
    hd = yuv(63, 102, 240, side=720)
    assert np.abs(render(hd).reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 8
    sd = yuv(81, 90, 240, side=64)  # the same red in BT.601
    assert np.abs(render(sd).reshape(-1, 3).mean(axis=0) - [255, 0, 0]).max() < 8


@pytest.mark.parametrize(("transfer", "white"), [("SMPTE2084", 0.58), ("ARIB_STD_B67", 0.75)])
def test_the_reference_white_of_hdr_is_stored_as_white(transfer, white):
    frame = yuv(round(64 + white * 876), 512, 512, bits=10)
    frame.colorspace, frame.color_primaries = BT2020, BT2020
    frame.color_trc = ColorTrc[transfer]
    assert render(frame).mean() > 245


def test_one_field_of_an_interlaced_picture_is_kept(tmp_path):
    """Even lines show one moment, odd lines another."""
    combed = np.zeros((96, 160), np.uint8)
    combed[::2] = 200
    path = tmp_path / "clip.ts"
    with av.open(str(path), "w") as output:
        options = {"flags": "+ildct+ilme", "top": "1"}
        stream = output.add_stream("mpeg2video", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(5):
            frame = VideoFrame.from_ndarray(combed, format="gray").reformat(format="yuv420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert frame.interlaced_frame
    stored = render(frame, 160, 96).mean(axis=2)
    assert stored.std() < 10
    assert stored.mean() > 150


@pytest.mark.parametrize(
    ("size", "side", "stored"),
    [
        ((1920, 1080), 1280, (1280, 720)),
        ((1080, 1920), 1280, (720, 1280)),
        ((640, 360), 1280, (640, 360)),
        ((3840, 16), 1280, (1280, 5)),
        ((100_000, 1), 4096, (4096, 1)),
    ],
)
def test_pictures_are_scaled_down_never_up(size, side, stored):
    assert stored_size(*size, side) == stored


def test_an_absurd_pixel_shape_is_ignored():
    from fractions import Fraction

    frame = VideoFrame(160, 96, "yuv420p")
    assert displayed_size(frame, Fraction(4000, 1)) == (160, 96)
    assert displayed_size(frame, Fraction(0)) == (160, 96)
    assert displayed_size(frame, Fraction(1, 2)) == (160, 192)
