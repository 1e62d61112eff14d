"""What a container says, and whether it is true."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from screener.errors import InvalidVideo, RefusalCode
from screener.media import picture, timeline
from screener.media.container import (
    OpenVideo,
    SeekableFile,
    ffmpeg_messages,
    open_video,
    refuse_logged_size,
    too_many_pixels,
)
from screener.media.facts import AudioTrack, MediaFacts, MediaLimits, ProbeTask
from screener.media.packets import ClockedPackets

_MAX_TRIAL_PACKETS = 600
_MAX_TRIAL_BYTES = 64 * 1024 * 1024


def probe(file: SeekableFile, task: ProbeTask) -> MediaFacts:
    """Open, decode one frame, and find the duration.

    Raises:
        InvalidVideo: see `open_video`; also when no frame at all can be decoded.
    """
    with open_video(file, task.limits, task.audio_language) as opened:
        frame = first_frame(opened, task.limits)
        # The decoded picture tells the size: a header may say 65535x65535 about a small video.
        width, height = picture.displayed_size(frame, opened.video.sample_aspect_ratio)
        facts = MediaFacts(
            container=opened.container.format.name.partition(",")[0],
            video_codec=opened.video.codec_context.codec.canonical_name,
            audio_codec=opened.audio.codec_context.codec.canonical_name if opened.audio else None,
            width=width,
            height=height,
            frame_rate=f"{opened.frame_rate.numerator}/{opened.frame_rate.denominator}",
            duration_ms=0,
            seekable=True,
            audio_tracks=list(_audio_tracks(opened)),
            rotation_degrees=frame.rotation,
            interlaced=frame.interlaced_frame,
        )
        duration = _stated_duration(opened)
        facts = facts.model_copy(update={"seekable": not opened.numbered})
    if duration is not None:
        return facts.model_copy(update={"duration_ms": timeline.to_ms(duration)})
    # Opened anew, because raw streams cannot be rewound.
    with open_video(file, task.limits, task.audio_language) as opened:
        measured = _measure(opened)
    return facts.model_copy(update=measured)


def _audio_tracks(opened: OpenVideo) -> Iterator[AudioTrack]:
    for track in opened.container.streams.audio:
        if track.codec_context is not None:
            yield AudioTrack(
                index=track.index,
                codec=track.codec_context.codec.canonical_name,
                language=track.language,
                channels=track.codec_context.channels or 0,
                sample_rate=track.codec_context.sample_rate or 0,
                chosen=track is opened.audio,
            )


def first_frame(opened: OpenVideo, limits: MediaLimits) -> VideoFrame:
    """Decode until a frame comes out, then go back to the start.

    Raises:
        InvalidVideo: nothing decodes, or the picture is larger than the limit.
    """
    # The stream's own context, because it alone carries the container's display matrix.
    decoder = opened.video.codec_context
    decoder.thread_count, decoder.thread_type = 1, "NONE"
    decoder.options = {"max_pixels": str(limits.max_pixels)}
    packets, size_bytes, problem = 0, 0, "no packet holds a picture"
    with ffmpeg_messages() as log:
        for packet in _packets(opened):
            if packet is not None:
                packets, size_bytes = packets + 1, size_bytes + packet.size
                if packet.has_sidedata("encryption_info"):
                    raise InvalidVideo(RefusalCode.ENCRYPTED, "the pictures are encrypted (DRM)")
            try:
                for frame in decoder.decode(packet):
                    if frame.width * frame.height > limits.max_pixels:
                        raise too_many_pixels(frame.width, frame.height, limits)
                    return frame
            except av.error.MemoryError:
                raise
            except av.FFmpegError as cause:
                problem = cause.strerror or str(cause)
            if packets >= _MAX_TRIAL_PACKETS or size_bytes >= _MAX_TRIAL_BYTES:
                break
    refuse_logged_size(log, limits)
    _require_memory_for((decoder.width or 0) * (decoder.height or 0))
    if packets == 0:
        raise InvalidVideo(RefusalCode.TRUNCATED, "the video stream has no data")
    raise InvalidVideo(
        RefusalCode.UNDECODABLE,
        f"no picture could be decoded from the first {packets} packets: {problem}",
    )


def _require_memory_for(pixels: int) -> None:
    """Tell damage from want of memory: FFmpeg calls both "invalid data".

    Raises:
        MemoryError: there is no room for what decoding one picture takes at least (the picture,
            a reference and working memory, in two bytes and three planes at most).
    """
    bytearray(pixels * 6)


def _packets(opened: OpenVideo) -> Iterator[Packet[VideoStream] | None]:
    """The video's packets, then None; damage ends the file where it lies."""
    try:
        yield from opened.packets(opened.video)
    except av.error.MemoryError:
        raise
    except av.FFmpegError:
        # What was read before the damage may still hold a picture.
        pass
    yield None


def _stated_duration(opened: OpenVideo) -> Fraction | None:
    """Seconds of the timeline as the file states them; None where that cannot be relied on.

    Stream durations come before the container's, which may be wrong by hours. Formats whose
    clock may jump are not believed.
    """
    if opened.discontinuous:
        return None
    ends = []
    for stream in (opened.video, opened.audio):
        if stream is not None and stream.duration and stream.time_base:
            start = (stream.start_time or 0) * stream.time_base
            ends.append(start + stream.duration * stream.time_base - opened.origin)
    if ends:
        return max(Fraction(0), *ends)
    duration = opened.container.duration
    return Fraction(duration, av.time_base) if duration else None


def _measure(opened: OpenVideo) -> dict[str, Any]:
    """Demux everything; returns the facts that only this can tell.

    A clock that jumped, or packets without times, cannot be sought in.
    """
    packets = ClockedPackets(opened)
    pictures = untimed = 0
    for packet, _, is_video in packets:
        pictures += is_video
        untimed += is_video and packet.pts is None
    counted = pictures / opened.frame_rate if untimed else Fraction(0)
    return {
        "duration_ms": timeline.to_ms(max(packets.end, counted)),
        "seekable": not untimed and not packets.has_jumped,
        "counted_pictures": pictures if untimed else None,
    }
