"""One decoded frame -> one upright JPEG of the size that its bundle promises.

Pixels stay YUV from the decoder to the JPEG. JPEG has one meaning for its YUV (BT.601, full
range), so colours are converted to that: a BT.709 picture stored unconverted would reach
every model with shifted skin tones.
"""

import struct
from fractions import Fraction

import av
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc, VideoReformatter

_TIME_BASE = Fraction(1, 1000)
# Numbers of ISO/IEC 23091-2, which both AVColorSpace and swscale's SWS_CS_* use here.
_BT709, _UNSPECIFIED, _BT601, _BT2020 = 1, 2, 5, 9
_HDR = frozenset({int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67)})
_LARGEST_SD_HEIGHT = 576
_MAX_JPEG_SIDE = 65_500
_MATRIX = struct.Struct("=9i")

Orientation = tuple[tuple[str, str | None], ...]
"""FFmpeg filters (name, arguments) that turn a coded picture upright."""

_UPRIGHT: Orientation = ()
# Keyed by the signs of the matrix (a, b, c, d) in x' = ax + cy, y' = bx + dy.
_ORIENTATIONS: dict[tuple[int, int, int, int], Orientation] = {
    (1, 0, 0, 1): _UPRIGHT,
    (-1, 0, 0, -1): (("hflip", None), ("vflip", None)),
    (-1, 0, 0, 1): (("hflip", None),),
    (1, 0, 0, -1): (("vflip", None),),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


def orientation_of(frame: VideoFrame) -> Orientation:
    """How to turn the frame upright, from its display matrix.

    Angles between the quarter turns go to the nearest; no camera writes them.
    """
    matrix: SideData | None = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    if matrix is None or matrix.buffer_size < _MATRIX.size:
        return _UPRIGHT
    a, b, _, c, d, *_ = _MATRIX.unpack_from(bytes(matrix))
    straight = abs(a) >= abs(b)
    signs = (_sign(a), 0, 0, _sign(d)) if straight else (0, _sign(b), _sign(c), 0)
    return _ORIENTATIONS.get(signs, _UPRIGHT)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def swaps_sides(orientation: Orientation) -> bool:
    return any(name == "transpose" for name, _ in orientation)


def displayed_size(frame: VideoFrame, pixel_shape: Fraction | None) -> tuple[int, int]:
    """Width and height as a player shows them.

    Args:
        frame: the decoded frame.
        pixel_shape: width of one pixel divided by its height; None or 0 for square.
    """
    shape = pixel_shape if pixel_shape and Fraction(1, 16) <= pixel_shape <= 16 else Fraction(1)
    # Wide pixels widen the picture; narrow ones heighten it: no line is thrown away.
    width, height = Fraction(frame.width), Fraction(frame.height)
    if shape > 1:
        width *= shape
    else:
        height /= shape
    if swaps_sides(orientation_of(frame)):
        width, height = height, width
    return max(1, round(width)), max(1, round(height))


def stored_size(width: int, height: int, max_side_px: int) -> tuple[int, int]:
    """The displayed size scaled down so that its longer side fits."""
    scale = min(Fraction(1), Fraction(min(max_side_px, _MAX_JPEG_SIDE), max(width, height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


class Renderer:
    """Turns decoded frames into JPEGs of one size. Belongs to one thread.

    Args:
        width, height: size of every JPEG, in pixels, upright.
        quality: MJPEG quantiser scale, 1 (best) to 31.
        orientation: how to turn the coded pictures upright.
    """

    def __init__(self, width: int, height: int, quality: int, orientation: Orientation) -> None:
        self._size = width, height
        self._orientation = orientation
        self._reformatter = VideoReformatter()
        self._graphs: dict[tuple[str, int, int, str], av.filter.Graph] = {}
        self._encoder = _jpeg_encoder(width, height, quality)
        self._encoded = 0

    def picture(self, frame: VideoFrame) -> VideoFrame:
        """The frame upright, scaled, in JPEG's YUV."""
        if frame.interlaced_frame and frame.height > 1:
            # Two moments in one picture: a comb on everything that moves. One field is half
            # the lines of a true picture, which detectors read far better.
            frame = self._filter(frame, (("field", "top"),))
        width, height = self._size
        if swaps_sides(self._orientation):
            width, height = height, width
        picture = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuvj420p",
            src_colorspace=_matrix_of(frame),
            dst_colorspace=_BT601,
            src_color_range=_range_of(frame),
            dst_color_range=ColorRange.JPEG,
            # HDR shown as if it were SDR is dull and dark; its reference white becomes white.
            # The table for this takes FFmpeg two seconds, once for each decoder.
            dst_color_trc=ColorTrc.BT709 if frame.color_trc in _HDR else None,
            dst_color_primaries=ColorPrimaries.BT709 if frame.color_trc in _HDR else None,
            threads=1,
        )
        return self._filter(picture, self._orientation) if self._orientation else picture

    def jpeg(self, picture: VideoFrame) -> bytes:
        """Encode what `picture` returned."""
        picture.time_base = _TIME_BASE
        picture.pts = self._encoded
        self._encoded += 1
        return b"".join(bytes(packet) for packet in self._encoder.encode(picture))

    def _filter(self, frame: VideoFrame, filters: Orientation) -> VideoFrame:
        key = (filters[0][0], frame.width, frame.height, frame.format.name)
        graph = self._graphs.get(key)
        if graph is None:
            if len(self._graphs) > 4:
                self._graphs.clear()
            graph = av.filter.Graph()
            nodes = [
                graph.add_buffer(
                    width=frame.width,
                    height=frame.height,
                    format=frame.format,
                    time_base=_TIME_BASE,
                ),
                *(graph.add(name, arguments) for name, arguments in filters),
                graph.add("buffersink"),
            ]
            graph.link_nodes(*nodes).configure()
            self._graphs[key] = graph
        graph.vpush(frame)
        return graph.vpull()


def _matrix_of(frame: VideoFrame) -> int:
    if frame.colorspace == _UNSPECIFIED:
        # What players assume, and what every camera and phone means.
        return _BT709 if frame.height > _LARGEST_SD_HEIGHT else _BT601
    return frame.colorspace if frame.colorspace in (_BT709, _BT601, _BT2020) else _BT601


def _range_of(frame: VideoFrame) -> ColorRange:
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return ColorRange.JPEG if full else ColorRange.MPEG


def _jpeg_encoder(width: int, height: int, quality: int) -> VideoCodecContext:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuvj420p"
    encoder.color_range = ColorRange.JPEG
    encoder.time_base = _TIME_BASE
    encoder.qmin = encoder.qmax = quality
    encoder.thread_type, encoder.thread_count = "NONE", 1
    # Tables fitted to each picture: about 5 % smaller for a little arithmetic.
    encoder.options = {"huffman": "optimal"}
    return encoder
