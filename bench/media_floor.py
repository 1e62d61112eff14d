"""What extraction at 1 fps cannot be faster than, and what its pictures have to be equal to."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from bench.media_run import Cost
from screener.media import MediaFacts, MediaLimits, picture
from screener.media.container import OpenVideo, open_video
from screener.media.decoding import ParallelDecoder
from screener.media.groups import Coded, GroupPlanner, Job
from screener.media.sampler import EveryInterval
from screener.sampling import Sampling


def decode_needed(clip: Path) -> Cost:
    """Decode just the pictures that the frames at 1 fps need, and do nothing with them."""
    cores = len(os.sched_getaffinity(0))
    with clip.open("rb") as file, open_video(file, MediaLimits(), None) as opened:
        jobs = list(_jobs(opened))
        decoder: ParallelDecoder[None] = ParallelDecoder(
            opened.video, MediaLimits(), cores, lambda: lambda _: None
        )
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in decoder.run(jobs):
            pass
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _jobs(opened: OpenVideo) -> Iterator[Job[Packet[VideoStream]]]:
    base = Fraction(opened.video.time_base or 1)
    planner: GroupPlanner[Packet[VideoStream]] = GroupPlanner(
        EveryInterval(1.0),
        lambda pts: pts * base - opened.origin,
        1 / opened.frame_rate,
        from_beginning=True,
    )
    for packet in opened.packets(opened.video):
        if packet.pts is not None:
            yield from planner.feed(
                Coded(packet, packet.pts, packet.size, packet.is_keyframe, is_shown=True)
            )
    yield from planner.finish()


def expected_jpegs(clip: Path, facts: MediaFacts, sampling: Sampling) -> Iterator[bytes]:
    """Every picture decoded in order, and of each second the one on display, as JPEG."""
    size = picture.stored_size(facts.width, facts.height, sampling.frame_max_side_px)
    renderer = picture.Renderer(*size, sampling.jpeg_quality, ())
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_type = "FRAME"
        base = Fraction(video.time_base or 1)
        length = 1 / Fraction(video.average_rate or 1)
        frames: Iterator[VideoFrame | None] = chain(container.decode(video), [None])
        for frame, following in pairwise(frames):
            if frame is None or frame.pts is None:
                raise ValueError(f"{clip}: a frame without a time")
            start = frame.pts * base
            if following is None or following.pts is None:
                end = start + length
            else:
                end = following.pts * base
            if math.ceil(start) < end:
                yield renderer.jpeg(renderer.picture(frame))
