"""Leaving pictures out and decoding groups side by side changes nothing about what is kept."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest

from screener.media import MediaLimits
from screener.media.decoding import ParallelDecoder
from screener.media.groups import Coded, GroupPlanner
from screener.media.picture import Renderer
from screener.media.sampler import EveryInterval
from screener.sampling import Sampling
from tests.media_clips import HEIGHT, WIDTH, extract_here, steady, write_clip

SECONDS, RATE = 12, 25
# What x264 makes by itself: B-pictures in a pyramid, three references; cuts make the groups uneven.
ENCODERS = {
    "h264": ("libx264", {"preset": "medium", "bf": "3", "g": "80", "crf": "24"}),
    "h264 with open groups": (
        "libx264", {"preset": "medium", "bf": "3", "g": "40", "x264-params": "open-gop=1"},
    ),
    "hevc": ("libx265", {"preset": "fast", "x265-params": "bframes=4:keyint=60:log-level=none"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "60"}),
}  # fmt: skip


def moving(number):
    """Shapes that move over noise, cut to another place now and then."""
    scene = number // 47
    texture = np.random.default_rng(scene).integers(40, 200, (HEIGHT, WIDTH), dtype=np.uint8)
    picture = np.roll(texture, (number, 2 * number), (0, 1))
    picture[20:50, (number * 3) % WIDTH : (number * 3) % WIDTH + 30] = 235
    return picture


@pytest.fixture(scope="module", params=ENCODERS)
def clip(request, tmp_path_factory):
    codec, options = ENCODERS[request.param]
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write_clip(path, steady(SECONDS * RATE), codec=codec, options=options, picture=moving)


def test_kept_frames_are_byte_for_byte_those_of_decoding_everything_in_order(clip):
    sampling = Sampling(frames_per_second=2)
    renderer = Renderer(WIDTH, HEIGHT, sampling.jpeg_quality, ())
    expected = []
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "NONE"
        frames = list(container.decode(video=0))
        assert len(frames) == SECONDS * RATE
        for frame in frames:
            start = frame.pts * Fraction(frame.time_base)
            if math.ceil(start * 2) < (start + Fraction(1, RATE)) * 2:
                expected.append(renderer.jpeg(renderer.picture(frame)))
    extracted = extract_here(clip, sampling)
    assert len(expected) == SECONDS * 2
    assert extracted.jpegs == expected
    assert extracted.result.losses == {}


def jobs_of(container):
    video = container.streams.video[0]
    planner = GroupPlanner(
        EveryInterval(2), lambda pts: pts * video.time_base, Fraction(1, RATE), from_beginning=True
    )
    for packet in container.demux(video):
        if packet.pts is not None:
            coded = Coded(packet, packet.pts, packet.size, packet.is_keyframe, is_shown=True)
            yield from planner.feed(coded)
    yield from planner.finish()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_jobs_whichever_is_decoded_first(clip, threads):
    with av.open(str(clip)) as container:
        decoder = ParallelDecoder(
            container.streams.video[0], MediaLimits(), threads, lambda: lambda frame: frame.pts
        )
        found = [
            (wanted.pts, pts, rendered)
            for result in decoder.run(jobs_of(container))
            for wanted, pts, rendered in result.frames
        ]
    assert len(found) == SECONDS * 2
    assert found == sorted(found)
    assert all(wanted == pts == rendered for wanted, pts, rendered in found)


def test_an_error_of_one_decoder_is_raised_to_the_caller(clip):
    def refuse(_):
        raise MemoryError("no room for this picture")

    with av.open(str(clip)) as container:
        decoder = ParallelDecoder(container.streams.video[0], MediaLimits(), 2, lambda: refuse)
        with pytest.raises(MemoryError, match="no room"):
            list(decoder.run(jobs_of(container)))
