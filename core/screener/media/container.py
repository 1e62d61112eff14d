"""Opens a container without following it anywhere, and chooses its streams.

The demuxer gets a file object, no name and no protocol, and only demuxers of self-contained
formats may look at it: playlists, concat scripts and image sequences are not among them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
import av.container
import av.logging
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from screener.errors import InvalidVideo, RefusalCode
from screener.media.facts import MediaLimits
from screener.media.languages import same_language
from screener.media.timeline import Timeline

# Demuxers by FFmpeg's names. Audio formats are here so that their refusal can say what they are.
VIDEO_DEMUXERS = (
    "mov", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc", "vvc",
    "obu", "ivf", "flv", "asf", "ogg", "mxf", "nut", "rm", "dv", "wtv", "gxf", "vc1", "h263",
    "yuv4mpegpipe", "gif", "apng", "png_pipe", "jpeg_pipe", "webp_pipe", "mjpeg", "avs2", "avs3",
)  # fmt: skip
AUDIO_DEMUXERS = ("mp3", "wav", "flac", "aac", "aiff", "amr", "ac3", "caf", "w64", "wv", "ape")

_IO_BUFFER_BYTES = 256 * 1024
_REFERENCES = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat": "an FFmpeg concat script",
    b"<MPD": "a DASH manifest",
    b"v=0\r\no=": "an SDP session description",
    b"v=0\no=": "an SDP session description",
    b"[playlist]": "a playlist",
    b"RTSPtext": "a QuickTime stream reference",
}
# Formats without any times. Their packets are numbered, and last 1/frame rate each.
_UNTIMED_DEMUXERS = frozenset(
    {"h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "h263", "vc1", "avs2", "avs3", "mjpeg"}
)
_INTRA_CODECS = frozenset({"mjpeg", "dvvideo", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "png"})
_TS_DISCONT = 0x200  # AVFMT_TS_DISCONT


class SeekableFile(Protocol):
    """What the demuxer needs of a file."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class OpenVideo:
    """An open container with its chosen streams; the others are discarded while demuxing."""

    container: av.container.InputContainer
    video: VideoStream
    audio: AudioStream | None
    origin: Fraction
    """The container's start in seconds: time 0 of the timeline."""

    @property
    def other_videos(self) -> int:
        """Further tracks of moving pictures that were found so far. Players differ in which one
        they show, so what they hold is as good as shown."""
        return len(_moving(self.container.streams.video)) - 1

    @property
    def discontinuous(self) -> bool:
        return bool(int(self.container.format.flags) & _TS_DISCONT)

    def length_of(self, packet: "Packet[Any]") -> Fraction:
        """Seconds that a packet lasts; transport streams do not say it of every picture."""
        if packet.duration:
            return packet.duration * Fraction(packet.time_base)
        return 1 / self.frame_rate if packet.stream_index == self.video.index else Fraction(0)

    @property
    def numbered(self) -> bool:
        """Whether frames have to be numbered in the order shown, see numbering.py."""
        name = self.container.format.name
        if name == "avi":
            return self.video.codec_context.name not in _INTRA_CODECS
        return self.container.start_time is None and name in _UNTIMED_DEMUXERS

    def packets(self, *streams: VideoStream | AudioStream | None) -> Iterator["Packet[Any]"]:
        """Packets of the streams in file order, without the empty ones that end each stream.

        Raises:
            av.FFmpegError: the file is damaged here; asking again may go on behind it.
        """
        try:
            for packet in self.container.demux([s for s in streams if s is not None]):
                if packet.size:
                    yield packet
        except IndexError:
            # PyAV, at the end of a file in which a stream turned up late, looks for that stream
            # among those that it opened with. All packets have come by then.
            return

    def timeline(self) -> Timeline:
        return Timeline(self.origin, discontinuous=self.discontinuous)

    @property
    def frame_rate(self) -> Fraction:
        """Average, else guessed, frames per second; 25 where nothing is known."""
        for rate in (self.video.average_rate, self.video.guessed_rate):
            if rate and 0 < rate <= 1000:
                return Fraction(rate)
        return Fraction(25)


@contextmanager
def ffmpeg_messages() -> Iterator[list[tuple[int, str, str]]]:
    """Collect what FFmpeg says on this thread: (level, component, message).

    Only here and only on the main thread: a decoder's thread that logs while another holds the
    interpreter's lock is how PyAV programs come to a halt.
    """
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as messages:
            yield messages
    finally:
        av.logging.set_level(None)


@contextmanager
def open_video(
    file: SeekableFile, limits: MediaLimits, audio_language: str | None
) -> Iterator[OpenVideo]:
    """Open a container and choose its streams.

    Args:
        file: the video, seekable.
        limits: bounds on streams and pixels.
        audio_language: preferred language of the audio track.

    Raises:
        InvalidVideo: not a video, cut off, without a picture, with a codec that cannot be
            decoded, encrypted, beyond a limit, or a file that only refers to others.
    """
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    _refuse_by_content(head)
    with ffmpeg_messages() as log:
        try:
            container = av.open(
                file,
                mode="r",
                options={
                    "format_whitelist": ",".join(VIDEO_DEMUXERS + AUDIO_DEMUXERS),
                    "protocol_whitelist": "none",
                    "max_streams": str(max(1000, limits.max_streams)),
                    "max_pixels": str(limits.max_pixels),
                },
                metadata_errors="replace",
                buffer_size=_IO_BUFFER_BYTES,
            )
        except av.error.MemoryError:
            raise
        except (av.FFmpegError, UnicodeDecodeError) as cause:
            raise _refusal_to_open(head, str(cause), log) from cause
    with container:
        streams = container.streams
        if len(streams) > limits.max_streams:
            raise InvalidVideo(
                RefusalCode.TOO_MANY_STREAMS,
                f"{len(streams)} streams; at most {limits.max_streams} are read",
            )
        video = _choose_video(list(streams.video), limits, log)
        audio = choose_audio(list(streams.audio), audio_language)
        for stream in streams:
            if stream is not video and stream is not audio:
                stream.discard = Discard.all
        start = container.start_time
        origin = Fraction(start, av.time_base) if start is not None else Fraction(0)
        yield OpenVideo(container, video, audio, origin)


def choose_audio(tracks: list[AudioStream], language: str | None) -> AudioStream | None:
    """The track most likely to hold the speech that belongs to the picture.

    In the asked language before others; a default track before others; a main track before
    descriptions and comments; more channels before fewer; the first before later ones.
    """
    decodable = [track for track in tracks if track.codec_context is not None]
    secondary = (
        Disposition.comment
        | Disposition.visual_impaired
        | Disposition.karaoke
        | Disposition.clean_effects
        | Disposition.descriptions
    )

    def rank(track: AudioStream) -> tuple[bool, bool, bool, int, int]:
        return (
            language is not None and same_language(track.language, language),
            not track.disposition & secondary,
            bool(track.disposition & Disposition.default),
            track.codec_context.channels or 0,
            -track.index,
        )

    return max(decodable, key=rank, default=None)


def _choose_video(
    tracks: list[VideoStream], limits: MediaLimits, log: list[tuple[int, str, str]]
) -> VideoStream:
    moving = _moving(tracks)
    if not moving:
        what = "only a cover picture" if tracks else "no video stream"
        raise InvalidVideo(RefusalCode.NO_VIDEO_STREAM, f"the file has {what}")
    decodable = [track for track in moving if track.codec_context is not None]
    if not decodable:
        raise InvalidVideo(
            RefusalCode.UNSUPPORTED_CODEC,
            "the file names no video codec that can be decoded",
        )
    chosen = max(
        decodable,
        key=lambda track: (
            bool(track.disposition & Disposition.default),
            (track.width or 0) * (track.height or 0),
            -track.index,
        ),
    )
    if chosen.codec_tag in ("encv", "drmi"):
        raise InvalidVideo(RefusalCode.ENCRYPTED, "the video stream is encrypted")
    width, height = chosen.width or 0, chosen.height or 0
    if width * height > limits.max_pixels:
        raise too_many_pixels(width, height, limits)
    if not width * height:
        refuse_logged_size(log, limits)
    return chosen


def _moving(tracks: Iterable[VideoStream]) -> list[VideoStream]:
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [track for track in tracks if not track.disposition & pictures]


def too_many_pixels(width: int, height: int, limits: MediaLimits) -> InvalidVideo:
    return InvalidVideo(
        RefusalCode.TOO_MANY_PIXELS,
        f"a picture of {width}x{height} pixels; at most {limits.max_pixels} pixels are decoded",
    )


def refuse_logged_size(log: list[tuple[int, str, str]], limits: MediaLimits) -> None:
    """FFmpeg refuses to allocate a picture beyond the limit, and says its size only in its log.

    Raises:
        InvalidVideo: it did so.
    """
    for _, _, message in log:
        words = message.split()
        if message.startswith("Picture size") and len(words) > 2:
            width, _, height = words[2].partition("x")
            if width.isdigit() and height.isdigit():
                raise too_many_pixels(int(width), int(height), limits)


def _refuse_by_content(head: bytes) -> None:
    if not head:
        raise InvalidVideo(RefusalCode.EMPTY_FILE, "the file has no bytes")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, name in _REFERENCES.items():
        if start.startswith(mark) or (mark == b"<MPD" and b"<MPD" in start[:1024]):
            raise InvalidVideo(
                RefusalCode.UNSAFE_REFERENCE,
                f"{name}: it only refers to other files, which are never followed",
            )


def _refusal_to_open(head: bytes, reason: str, log: list[tuple[int, str, str]]) -> InvalidVideo:
    messages = [message.strip() for _, _, message in log]
    if any("moov atom not found" in message for message in messages):
        return InvalidVideo(
            RefusalCode.TRUNCATED, "the file ends before its index (moov): the upload was cut off"
        )
    if head[4:8] == b"ftyp":
        return InvalidVideo(RefusalCode.TRUNCATED, f"an MP4 file without usable content: {reason}")
    return InvalidVideo(RefusalCode.NOT_A_VIDEO, f"no video format recognised: {reason}")
