"""The parent's end: starts the decoding child, serves its reads, and takes what it writes.

A demuxer and a decoder are a hundred thousand lines of C fed by strangers. The child that
runs them has no credentials in its environment, gets no path and no address (only numbered
reads through one socket), may open no further file or socket, and has hard limits on memory,
processor time and silence; the memory of the parent is closed to it. However it ends, the parent
lives on and knows why.

The child is forked by a server that never sees a video (forkserver.py), not by this process,
whose credentials it would inherit.

Looked at and not used: multiprocessing pools (no /dev/shm on Lambda), bubblewrap and nsjail (not
on Lambda, not on every laptop).
"""

import signal
import socket
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection

from screener import bundles
from screener.errors import InvalidVideo, RefusalCode
from screener.media import channel
from screener.media.channel import Sink
from screener.media.facts import (
    Extraction,
    ExtractionOrder,
    MediaFacts,
    MediaLimits,
    ProbeTask,
)
from screener.media.forkserver import Forked, ForkServer
from screener.media.sink import ByteSink
from screener.media.source import ByteSource
from screener.model import Message

PROBE_LIMITS = MediaLimits(wall_seconds=120, cpu_seconds=240)
MAX_BUNDLE_BYTES = 1_000_000_000
"""SageMaker Async Inference takes inputs of up to 1 GB."""

_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}


class DecoderFault(RuntimeError):
    """The child failed in a way that is our bug, not the video's; carries its traceback."""


def probe(
    source: ByteSource,
    *,
    limits: MediaLimits = PROBE_LIMITS,
    audio_language: str | None = None,
) -> MediaFacts:
    """What a video is, checked against its data as far as that is cheap.

    Args:
        source: the video.
        limits: bounds of the child.
        audio_language: preferred language (ISO 639) when there are several audio tracks.

    Raises:
        InvalidVideo: it cannot be screened; names what is wrong with it.
        VideoUnavailable: the source lost the bytes on the way.
    """
    task = ProbeTask(size_bytes=source.size_bytes, limits=limits, audio_language=audio_language)
    answer = _Child(channel.PROBE, task, limits).serve(source, {})
    return MediaFacts.model_validate_json(answer)


def extract(
    source: ByteSource, order: ExtractionOrder, frames: ByteSink, audio: ByteSink
) -> Extraction:
    """Extract one time range: JPEGs as tar members to `frames`, FLAC to `audio`.

    `frames` receives members only; the manifest goes in front when the caller finishes it.
    Nothing is appended to `audio` when the range has no sound.

    Raises:
        InvalidVideo: nothing can be decoded, or a limit was reached.
        VideoUnavailable: the source lost the bytes on the way.
    """
    answer = _Child(channel.EXTRACT, order, order.limits).serve(
        source, {Sink.FRAMES: _Members(frames), Sink.AUDIO: audio}
    )
    return Extraction.model_validate_json(answer)


class _Members:
    """Wraps each JPEG that comes from the child into a tar member."""

    def __init__(self, target: ByteSink) -> None:
        self._target = target
        self._count = 0

    @property
    def written_bytes(self) -> int:
        return self._target.written_bytes

    def append(self, data: bytes) -> None:
        self._target.append(bundles.member(bundles.frame_name(self._count), data))
        self._count += 1
        if self.written_bytes > MAX_BUNDLE_BYTES:
            raise InvalidVideo(
                RefusalCode.RESOURCE_LIMIT,
                f"the frames of one time range exceed {MAX_BUNDLE_BYTES} bytes after "
                f"{self._count} frames: sample fewer or smaller frames",
            )

    def patch(self, offset: int, data: bytes) -> None:
        raise ValueError(f"frames are not patched ({len(data)} bytes at {offset})")

    def finish(self, prefix: bytes = b"") -> None:
        self._target.finish(prefix)

    def abort(self) -> None:
        self._target.abort()


class _Child:
    """One child process doing one task."""

    def __init__(self, task_name: bytes, task: Message, limits: MediaLimits) -> None:
        self._limits = limits
        self._wall_seconds_left = limits.wall_seconds
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _fork(theirs)
        self._connection = Connection(ours.detach())
        self._first_message = task_name + task.model_dump_json().encode()

    def serve(self, source: ByteSource, sinks: Mapping[Sink, ByteSink]) -> bytes:
        """Answer the child until it has its result, and return that."""
        try:
            with self._connection:
                return self._converse(source, sinks)
        finally:
            self._process.kill()
            self._process.wait()

    def _converse(self, source: ByteSource, sinks: Mapping[Sink, ByteSink]) -> bytes:
        try:
            self._connection.send_bytes(self._first_message)
        except BrokenPipeError:
            raise self._death() from None
        while True:
            message = self._receive()
            kind, body = message[:1], message[1:]
            try:
                if kind == channel.READ:
                    offset, length = channel.parse_read(body)
                    self._connection.send_bytes(source.read_at(offset, length))
                elif kind == channel.WRITE:
                    sink, data = channel.parse_write(body)
                    sinks[sink].append(data)
                elif kind == channel.PATCH:
                    sink, offset, data = channel.parse_patch(body)
                    sinks[sink].patch(offset, data)
                elif kind == channel.DONE:
                    return body
                elif kind == channel.REFUSED:
                    raise InvalidVideo.from_message(body.decode())
                else:
                    raise DecoderFault(body.decode("utf-8", "replace"))
            except BrokenPipeError:
                raise self._death() from None
            except (ValueError, KeyError) as cause:
                # A child taken over by its input could send anything.
                raise DecoderFault(f"malformed message from the decoder: {cause}") from cause

    def _receive(self) -> bytes:
        started = time.monotonic()
        try:
            if not self._connection.poll(max(0.0, self._wall_seconds_left)):
                raise InvalidVideo(
                    RefusalCode.RESOURCE_LIMIT,
                    f"decoding did not finish within {self._limits.wall_seconds:g} s",
                )
            return self._connection.recv_bytes(channel.MAX_MESSAGE_BYTES)
        except (EOFError, ConnectionResetError):
            raise self._death() from None
        finally:
            self._wall_seconds_left -= time.monotonic() - started

    def _death(self) -> Exception:
        """Why the child ended without a last word."""
        status = self._process.wait()
        if status >= 0:
            return DecoderFault(f"the decoder exited with status {status} and no result")
        died_of = signal.Signals(-status)
        if died_of == signal.SIGXCPU:
            return InvalidVideo(
                RefusalCode.RESOURCE_LIMIT,
                f"decoding took more than {self._limits.cpu_seconds} s of processor time",
            )
        if died_of in _CRASHES:
            return InvalidVideo(
                RefusalCode.UNDECODABLE, f"the data crashed the decoder ({died_of.name})"
            )
        return InvalidVideo(
            RefusalCode.RESOURCE_LIMIT,
            f"the decoder was killed ({died_of.name}); most likely it ran out of memory",
        )


_server: ForkServer | None = None
_server_lock = threading.Lock()


def warm_up() -> None:
    """Have decoders loaded when the first video comes; returns at once.

    A function calls this while its own environment starts.
    """
    _running_server()


def _running_server() -> ForkServer:
    """This process's fork server, which is started anew if it has ended."""
    global _server
    with _server_lock:
        if _server is None or not _server.is_usable:
            _server = ForkServer("screener.media.child")
        return _server


def _fork(data: socket.socket) -> Forked:
    server = _running_server()
    try:
        return server.fork(data)
    except BrokenPipeError:
        # It ended between two tasks, and only now was seen to.
        server.close()
        return _running_server().fork(data)
