"""Decodes jobs side by side and yields their pictures in order.

One decoder per core, each with one thread: groups of pictures are independent, so this scales
where threads inside one decoder wait for each other. An overlong group is decoded by one more
decoder whose threads work on successive frames.

Jobs begin in their order until the last one is known; then the largest that waits begins first. A
long group begun last would keep one core busy while the others have nothing left to do.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from screener.media.facts import MediaLimits
from screener.media.groups import Job, Wanted

T = TypeVar("T")

READ_AHEAD_BYTES = 32 * 1024 * 1024
"""Packets that wait for a decoder, beyond those that keep every decoder busy."""

# Codecs whose "key frame" flag can be trusted to start a decodable group. Others (GIF, whose
# frames paint over each other, and rarities) are decoded from the first packet to the last.
_TRUSTED_KEYS = frozenset(
    {
        "h264", "hevc", "vvc", "vp8", "vp9", "av1", "libdav1d", "mpeg1video", "mpeg2video",
        "mpeg4", "h263", "mjpeg", "prores", "dnxhd", "ffv1", "theora", "vc1", "wmv1", "wmv2",
        "wmv3", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "flv", "dvvideo", "png", "webp", "rawvideo",
    }
)  # fmt: skip


def keys_are_trusted(stream: VideoStream) -> bool:
    return stream.codec_context.name in _TRUSTED_KEYS


@dataclass
class Decoded(Generic[T]):
    """What one job gave."""

    frames: list[tuple[Wanted, int, T]] = field(default_factory=list)
    """(what was wanted, pts of the frame that was found, what `render` made of it)."""
    lost: int = 0
    """Wanted frames for which no frame, or only a neighbour, could be decoded."""
    damaged: int = 0
    """Kept frames that the decoder had to patch up."""
    refused_packets: int = 0
    decoded: int = 0


def new_decoder(stream: VideoStream, limits: MediaLimits, threads: int) -> VideoCodecContext:
    """A decoder of its own for a stream.

    Args:
        threads: 1 for one of several decoders; more for one whose frames overlap.
    """
    template: VideoCodecContext = stream.codec_context
    decoder = cast(VideoCodecContext, av.CodecContext.create(template.codec, "r"))
    decoder.extradata = template.extradata
    decoder.codec_tag = template.codec_tag
    if template.width and template.height:
        decoder.width, decoder.height = template.width, template.height
    if template.pix_fmt:
        decoder.pix_fmt = template.pix_fmt
    if template.bits_per_coded_sample:
        decoder.bits_per_coded_sample = template.bits_per_coded_sample
    decoder.thread_count = threads
    decoder.thread_type = "NONE" if threads == 1 else "FRAME"
    decoder.options = {"max_pixels": str(limits.max_pixels)}
    return decoder


class _Worker(Generic[T]):
    """A decoder with what it needs to turn frames into results. Used by one thread at a time."""

    def __init__(self, decoder: VideoCodecContext, render: Callable[[VideoFrame], T]) -> None:
        self._decoder = decoder
        self._render = render
        self._waiting: deque[Wanted] = deque()
        self._before: VideoFrame | None = None

    def run(self, job: Job[Packet[VideoStream]]) -> Decoded[T]:
        """Decode one job."""
        result: Decoded[T] = Decoded()
        if job.starts:
            self._restart()
        self._waiting.extend(job.wanted)
        needed = {wanted.pts for wanted in job.wanted}
        for coded in job.packets:
            # Pictures that nobody refers to are not even decoded, unless they are wanted.
            self._decoder.skip_frame = "DEFAULT" if coded.pts in needed else "NONREF"
            self._send(coded.packet, result)
        if job.ends:
            self._send(None, result)
            while self._waiting:
                self._settle(self._waiting.popleft(), None, result)
            self._before = None
        return result

    def _restart(self) -> None:
        if self._decoder.is_open:
            self._decoder.flush_buffers()
        self._waiting.clear()
        self._before = None

    def _send(self, packet: Packet[VideoStream] | None, result: Decoded[T]) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.MemoryError:
            raise
        except (av.error.EOFError, av.FFmpegError):
            result.refused_packets += packet is not None
            return
        for frame in frames:
            result.decoded += 1
            self._take(frame, result)

    def _take(self, frame: VideoFrame, result: Decoded[T]) -> None:
        if frame.pts is None:
            return
        while self._waiting and self._waiting[0].pts < frame.pts:
            self._settle(self._waiting.popleft(), frame, result)
        if self._waiting and self._waiting[0].pts == frame.pts:
            result.damaged += frame.is_corrupt
            result.frames.append((self._waiting.popleft(), frame.pts, self._render(frame)))
            self._before = None
        elif self._waiting:
            self._before = frame

    def _settle(self, wanted: Wanted, after: VideoFrame | None, result: Decoded[T]) -> None:
        """A wanted frame did not come out: its nearest decoded neighbour stands for it."""
        result.lost += 1
        stand_in = self._before
        self._before = None
        if stand_in is None and after is not None and not self._is_wanted(after.pts):
            stand_in = after
        if stand_in is not None and stand_in.pts is not None:
            result.frames.append((wanted, stand_in.pts, self._render(stand_in)))

    def _is_wanted(self, pts: int | None) -> bool:
        return any(wanted.pts == pts for wanted in self._waiting)


class _Waiting(Generic[T]):
    """Jobs that no decoder has begun."""

    def __init__(self) -> None:
        self._jobs: deque[tuple[Job[Packet[VideoStream]], Future[Decoded[T]]]] = deque()
        self._lock = threading.Lock()

    def put(self, job: Job[Packet[VideoStream]]) -> Future[Decoded[T]]:
        future: Future[Decoded[T]] = Future()
        with self._lock:
            self._jobs.append((job, future))
        return future

    def take(self) -> tuple[Job[Packet[VideoStream]], Future[Decoded[T]]] | None:
        with self._lock:
            return self._jobs.popleft() if self._jobs else None

    def close(self) -> None:
        """No more jobs will come: from now on the largest is taken first."""
        with self._lock:
            self._jobs = deque(sorted(self._jobs, key=lambda entry: -entry[0].size_bytes))

    def clear(self) -> None:
        with self._lock:
            self._jobs.clear()


class ParallelDecoder(Generic[T]):
    """Runs jobs on several decoders.

    Args:
        stream: whose packets the jobs hold.
        limits: bounds of each decoder.
        threads: decoders at work at once.
        new_render: makes the function that turns a frame into a result; called once per
            decoder, so the function may keep state that is not safe to share.
    """

    def __init__(
        self,
        stream: VideoStream,
        limits: MediaLimits,
        threads: int,
        new_render: Callable[[], Callable[[VideoFrame], T]],
    ) -> None:
        self._stream, self._limits, self._threads = stream, limits, threads
        self._new_render = new_render
        self._idle: queue.SimpleQueue[_Worker[T]] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(_Worker(new_decoder(stream, limits, 1), new_render()))
        self._sequential: _Worker[T] | None = None
        self._sequential_lock = threading.Lock()

    def run(self, jobs: Iterable[Job[Packet[VideoStream]]]) -> Iterator[Decoded[T]]:
        """Yield each job's result, in the order of the jobs."""
        pending: deque[tuple[Future[Decoded[T]], int]] = deque()
        waiting: _Waiting[T] = _Waiting()
        size_bytes = 0
        with (
            ThreadPoolExecutor(self._threads, "decode") as pool,
            ThreadPoolExecutor(1, "decode-long") as lane,
        ):
            try:
                for job in jobs:
                    if job.starts and job.ends:
                        pending.append((waiting.put(job), job.size_bytes))
                        pool.submit(self._run_next, waiting)
                    else:
                        future = lane.submit(self._run_long, job)
                        pending.append((future, job.size_bytes))
                    size_bytes += job.size_bytes
                    while pending and (
                        pending[0][0].done() or self._is_enough(len(pending), size_bytes)
                    ):
                        future, size = pending.popleft()
                        size_bytes -= size
                        yield future.result()
                waiting.close()
                while pending:
                    yield pending.popleft()[0].result()
            finally:
                waiting.clear()
                for future, _ in pending:
                    future.cancel()

    def _is_enough(self, count: int, size_bytes: int) -> bool:
        """Whether the jobs read ahead keep every decoder busy; their packets wait in memory."""
        return count > 4 * self._threads or (
            count > 2 * self._threads and size_bytes > READ_AHEAD_BYTES
        )

    def _run_next(self, waiting: _Waiting[T]) -> None:
        taken = waiting.take()
        if taken is None:
            return
        job, future = taken
        worker = self._idle.get()
        try:
            future.set_result(worker.run(job))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)
        finally:
            self._idle.put(worker)

    def _run_long(self, job: Job[Packet[VideoStream]]) -> Decoded[T]:
        with self._sequential_lock:
            if self._sequential is None:
                threads = max(2, self._threads)
                self._sequential = _Worker(
                    new_decoder(self._stream, self._limits, threads), self._new_render()
                )
            return self._sequential.run(job)
